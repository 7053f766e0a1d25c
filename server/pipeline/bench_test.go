package pipeline

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
)

// nullSink forgets what it is told.
type nullSink struct{ pushed int }

func (s *nullSink) Push(*protocol.Message)      { s.pushed++ }
func (s *nullSink) Wake()                       {}
func (s *nullSink) Close(protocol.Code, string) {}

// entryLog encodes at once, as a proposer does. What take returns is good
// until the take after the next.
type entryLog struct{ entry, other []byte }

func (l *entryLog) Append(t *state.Txn) []byte {
	l.entry = state.AppendTxn(l.entry, t)
	return nil
}

func (l *entryLog) take() []byte {
	l.entry, l.other = state.AppendBatchHeader(l.other[:0], 1000), l.entry
	return l.other
}

// logEntries has c log to an entryLog from now on.
func logEntries(c *Core) *entryLog {
	log := &entryLog{}
	c.SetLog(log)
	log.take()
	return log
}

func TestReadOnAnIdleLaneAllocatesNothing(t *testing.T) {
	c, log := newTestCore(t, Config{})
	lane := openLane(t, c, log, "a", &nullSink{})
	require.NoError(t, lane.Submit(createRequest(1, "/x", "one")))
	applyAll(t, c, log)
	r := readRequest(protocol.OpGet, 2, "/x")
	require.Zero(t, testing.AllocsPerRun(100, func() { lane.TrySubmit(r) }))
}

func BenchmarkGetOnIdleLane(b *testing.B) {
	c, log := newTestCore(b, Config{})
	lane := openLane(b, c, log, "a", &nullSink{})
	require.NoError(b, lane.Submit(createRequest(1, "/x", string(make([]byte, 1024)))))
	applyAll(b, c, log)
	r := readRequest(protocol.OpGet, 2, "/x")
	b.ReportAllocs()
	for b.Loop() {
		lane.TrySubmit(r)
	}
}

func BenchmarkGetOnManyLanes(b *testing.B) {
	c, log := newTestCore(b, Config{})
	lanes := make(chan *Lane, 64)
	for i := range cap(lanes) {
		lanes <- openLane(b, c, log, fmt.Sprint(i), &nullSink{})
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		lane, r := <-lanes, readRequest(protocol.OpGet, 2, "/")
		for pb.Next() {
			lane.TrySubmit(r)
		}
		lanes <- lane
	})
}

func BenchmarkTouchedOf1000IdleLanes(b *testing.B) {
	c, log := newTestCore(b, Config{})
	for i := range 1000 {
		openLane(b, c, log, fmt.Sprint(i), &nullSink{})
	}
	for b.Loop() {
		c.Touched()
	}
}

// BenchmarkWrites256 submits and applies a batch of 256 sets of 1 KiB from 32
// lanes of this server; its time is of the batch.
func BenchmarkWrites256(b *testing.B) {
	c, held := newTestCore(b, Config{})
	lanes := make([]*Lane, 32)
	for i := range lanes {
		lanes[i] = openLane(b, c, held, fmt.Sprint(i), &nullSink{})
		require.NoError(b, lanes[i].Submit(createRequest(1, fmt.Sprintf("/n%d", i), "")))
	}
	applyAll(b, c, held)
	log := logEntries(c)
	requests := make([]*protocol.Request, len(lanes))
	for i := range requests {
		requests[i] = setRequest(2, fmt.Sprintf("/n%d", i), string(make([]byte, 1024)))
	}
	b.ReportAllocs()
	xid := uint64(1)
	for b.Loop() {
		for range 256 / len(lanes) {
			xid++
			for i, l := range lanes {
				requests[i].Xid, requests[i].Arg = xid, xid
				l.TrySubmit(requests[i])
			}
		}
		if err := c.Apply(log.take()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/256, "ns/write")
}

// BenchmarkLinearizableReads1024 is 1024 gets from 32 lanes, decoded from their frames, and the
// no-ops that they wait for; its time is of all of them.
func BenchmarkLinearizableReads1024(b *testing.B) {
	c, held := newTestCore(b, Config{})
	lanes := make([]*Lane, 32)
	for i := range lanes {
		lanes[i] = openLane(b, c, held, fmt.Sprint(i), &nullSink{})
	}
	require.NoError(b, lanes[0].Submit(createRequest(1, "/bench-of-reads", "")))
	applyAll(b, c, held)
	log := logEntries(c)
	get := readRequest(protocol.OpGet, 2, "/bench-of-reads")
	get.Consistency = protocol.Linearizable
	frame := protocol.AppendRequest(nil, get)[4:]
	b.ReportAllocs()
	var r protocol.Request
	for b.Loop() {
		for _, l := range lanes {
			for range 1024 / len(lanes) {
				if err := protocol.DecodeRequest(frame, &r); err != nil {
					b.Fatal(err)
				}
				r.Owned = true
				l.TrySubmit(&r)
			}
		}
		for range 2 { // the first read's no-op, and that of all others
			if err := c.Apply(log.take()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/read")
}

// BenchmarkFire1000Watchers is one set with a thousand persistent watches on
// the node, each of another connection.
func BenchmarkFire1000Watchers(b *testing.B) {
	c, held := newTestCore(b, Config{})
	for i := range 1000 {
		lane := openLane(b, c, held, fmt.Sprint(i), &nullSink{})
		require.NoError(b, lane.Submit(&protocol.Request{
			Op: protocol.OpWatch, Xid: 1, Watches: []protocol.Watch{{Path: "/x", Mode: protocol.WatchPersistent}},
		}))
	}
	writer := openLane(b, c, held, "writer", &nullSink{})
	require.NoError(b, writer.Submit(createRequest(1, "/x", "")))
	applyAll(b, c, held)
	log := logEntries(c)
	xid := uint64(1)
	b.ReportAllocs()
	for b.Loop() {
		xid++
		writer.TrySubmit(setRequest(xid, "/x", "two"))
		if err := c.Apply(log.take()); err != nil {
			b.Fatal(err)
		}
	}
}
