package server

import (
	"maps"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lycaon-io/lycaon/server/front"
	httpfront "github.com/lycaon-io/lycaon/server/front/http"
	"github.com/lycaon-io/lycaon/server/internal/histogram"
	"github.com/lycaon-io/lycaon/server/peer"
	"github.com/lycaon-io/lycaon/server/pipeline"
	"github.com/lycaon-io/lycaon/server/raftlog"
	"github.com/lycaon-io/lycaon/server/replicate"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

// collector reads the Stats of every component when it is asked, so that
// nothing is counted twice and nothing is counted on behalf of metrics.
type collector struct{ s *Server }

func newCollector(s *Server) prometheus.Collector { return collector{s} }

// reading is all Stats at about one moment.
type reading struct {
	core  pipeline.Stats
	node  replicate.Stats
	front front.Stats
	web   httpfront.Stats
	store raftlog.Stats
	snaps raftlog.SnapshotStats
	disk  raftlog.DiskStats
	peers peer.Stats

	backups          uint64
	starting, ready  bool
	nodes, dataBytes float64

	quotas, quotasExceeded int
}

func (c collector) read() *reading {
	s := c.s
	r := &reading{
		core: s.core.Stats(), node: s.node.Stats(), front: s.front.Stats(),
		store: s.store.Stats(), snaps: s.snaps.Stats(), disk: s.diskStats(), peers: s.peers.Stats(),
		backups: s.native.Snapshots(),
	}
	if s.http != nil {
		r.web = s.http.Stats()
	}
	r.ready = r.node.Ready && s.node.Condition() == nil
	var quotas []znode.Quota
	s.core.View(func(m *state.Machine) {
		r.nodes, r.dataBytes = float64(m.Len()), float64(m.Tree().DataBytes())
		quotas = m.Tree().Quotas()
	})
	r.countQuotas(quotas)
	return r
}

func (r *reading) countQuotas(all []znode.Quota) {
	r.quotas = len(all)
	for i := range all {
		if limit, _, _ := all[i].Exceeded(); limit != "" {
			r.quotasExceeded++
		}
	}
}

// Describe is what Collect gives of a server that has started: the names do not change.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(prometheus.CollectorFunc(new(reading).collect), to)
}

// Collect tells little before there is more to be read.
func (c collector) Collect(to chan<- prometheus.Metric) {
	if c.s.admits.Load() == nil {
		show(to, &reading{starting: true}, startFigures)
		return
	}
	c.read().collect(to)
}

func (r *reading) collect(to chan<- prometheus.Metric) {
	show(to, r, startFigures, treeFigures, pipelineFigures, frontFigures, peerFigures, raftFigures, streamFigures, guardFigures, proposerFigures, storeFigures)
	streams(to, "peer_streams_accepted", "Streams that other servers have opened to this one.", r.peers.Accepted)
	streams(to, "peer_streams_dialed", "Streams that this server has opened to others.", r.peers.Dialed)
	to <- state1("raft_state", "1 for the role of this server in raft.", "state", r.node.State)
	to <- state1("disk_level", "1 for the level of free disk space: ok, soft, hard.", "level", r.disk.Level.String())
	to <- spread("write_seconds", "From the first transaction of a batch to the batch applied, the longest wait in the batch.", r.node.Proposer.Waited)
	to <- spread("batch_seconds", "From a batch given to raft to the batch applied.", r.node.Proposer.BatchTook)
	to <- spread("batch_transactions", "Transactions in a batch.", r.node.Proposer.BatchTxns)
	to <- syncs(&r.store)
}

func show(to chan<- prometheus.Metric, r *reading, tables ...[]figure) {
	for _, table := range tables {
		for _, f := range table {
			desc := prometheus.NewDesc("lycaon_"+f.name, f.help, nil, nil)
			to <- prometheus.MustNewConstMetric(desc, f.kind, f.value(r))
		}
	}
}

// streams shows every kind, open or not.
func streams(to chan<- prometheus.Metric, name, help string, open map[peer.Kind]int) {
	desc := prometheus.NewDesc("lycaon_"+name, help, []string{"kind"}, nil)
	all := map[peer.Kind]int{peer.Raft: 0, peer.Forward: 0, peer.Touch: 0, peer.Admin: 0}
	maps.Copy(all, open)
	for kind, n := range all {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(n), kind.String())
	}
}

// state1 is an info metric: its label carries the word.
func state1(name, help, label, word string) prometheus.Metric {
	return prometheus.MustNewConstMetric(prometheus.NewDesc("lycaon_"+name, help, []string{label}, nil), prometheus.GaugeValue, 1, word)
}

func spread(name, help string, h histogram.Snapshot) prometheus.Metric {
	return prometheus.MustNewConstHistogram(prometheus.NewDesc("lycaon_"+name, help, nil, nil), h.Count, h.Sum, h.Buckets)
}

func syncs(s *raftlog.Stats) prometheus.Metric {
	buckets := map[float64]uint64{}
	var count uint64
	for i, n := range s.Latency {
		count += n
		if i < len(raftlog.LatencyBounds) {
			buckets[raftlog.LatencyBounds[i].Seconds()] = count
		}
	}
	return spread("store_sync_seconds", "A durable write of the log store.",
		histogram.Snapshot{Count: count, Sum: s.LatencySum.Seconds(), Buckets: buckets})
}
