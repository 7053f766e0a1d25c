package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/server/internal/bubble"
	"github.com/lycaon-io/lycaon/server/internal/memnet"
)

// pack is a cluster of whole servers in a bubble: their network, their disks
// and their time are made up, everything else is the product.
type pack struct {
	t       *testing.T
	net     *memnet.Net
	dens    []*den // by id - 1
	initial string
	clients int
	change  func(*Config)
}

// den is what a server lives in.
type den struct {
	id     uint64
	host   string
	dir    string
	disk   *memDisk
	join   string
	server *Server         // nil while it does not run
	buried <-chan struct{} // closed when a killed server holds nothing more
}

// hop is how long bytes take between two hosts, and most of what lets virtual
// time pass at all.
const hop = 100 * time.Microsecond

// inBubble runs f with n servers that found a cluster, and stops what f left.
func inBubble(t *testing.T, n int, f func(t *testing.T, p *pack), change ...func(*Config)) {
	t.Helper()
	bubble.Test(t, func(t *testing.T) {
		p := &pack{t: t, net: memnet.New()}
		p.change = func(c *Config) {
			for _, f := range change {
				f(c)
			}
		}
		var members []string
		for id := range uint64(n) {
			members = append(members, fmt.Sprintf("%d=%s:2888", id+1, hostOf(id+1)))
			p.newDen(id + 1)
		}
		p.initial = strings.Join(members, ",")
		defer p.stopAll()
		for _, d := range p.dens {
			p.start(d.id)
		}
		f(t, p)
	})
}

func hostOf(id uint64) string { return fmt.Sprintf("10.0.0.%d", id) }

// newDen makes room for one more server; it has the network's usual delays.
func (p *pack) newDen(id uint64) *den {
	d := &den{id: id, host: hostOf(id), dir: filepath.Join(p.t.TempDir(), "data"), disk: newMemDisk()}
	for _, o := range p.dens {
		p.net.Delay(d.host, o.host, hop)
		p.net.Delay(o.host, d.host, hop)
	}
	p.dens = append(p.dens, d)
	return d
}

func (p *pack) den(id uint64) *den { return p.dens[id-1] }

func (p *pack) server(id uint64) *Server { return p.den(id).server }

// config is what an operator would write for the server of a den.
func (p *pack) config(d *den) Config {
	cfg := DefaultConfig()
	cfg.ID, cfg.DataDir, cfg.HTTPAddr = d.id, d.dir, httpOff
	cfg.ClientAddr, cfg.PeerAddr, cfg.InsecurePeers = d.host+":2181", d.host+":2888", true
	if cfg.InitialCluster = p.initial; d.join != "" {
		cfg.InitialCluster, cfg.Join = "", d.join
	}
	cfg.Logger = p.logger(d)
	host := p.net.Host(d.host)
	cfg.hooks = hooks{
		network: host, openLog: d.disk.open,
		listen: func(_, addr string) (net.Listener, error) { return host.Listen(addr) },
	}
	p.change(&cfg)
	return cfg
}

// logger shows what the servers say if LYCAON_BUBBLE_LOG is set.
func (p *pack) logger(d *den) *slog.Logger {
	if os.Getenv("LYCAON_BUBBLE_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("server", d.id)
}

// tryStart opens a server over what its den holds.
func (p *pack) tryStart(id uint64) error {
	d := p.den(id)
	if d.buried != nil {
		<-d.buried
	}
	s, err := Open(p.t.Context(), p.config(d))
	if err == nil {
		d.server = s
	}
	return err
}

func (p *pack) start(id uint64) {
	p.t.Helper()
	require.NoError(p.t, p.tryStart(id), "server %d", id)
}

// stop ends a server as SIGTERM does.
func (p *pack) stop(id uint64) {
	require.NoError(p.t, p.terminate(p.den(id)), "server %d", id)
}

// terminate closes a server and, should its disk hang, ends its process all
// the same: what it holds of its data directory is not the next one's.
func (p *pack) terminate(d *den) error {
	s := d.server
	if d.server = nil; s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := s.Close(ctx)
	if err != nil {
		d.disk.revoke()
		p.net.Crash(d.host)
		left := d.dir
		d.dir = filepath.Join(p.t.TempDir(), "data")
		require.NoError(p.t, os.CopyFS(d.dir, os.DirFS(left)))
	}
	return err
}

func (p *pack) stopAll() {
	p.net.HealAll()
	for _, d := range p.dens {
		p.net.Resume(d.host)
		d.disk.stall(false)
		p.stop(d.id)
		if d.buried != nil {
			<-d.buried
		}
	}
}

// kill ends a server as SIGKILL does: its connections break, and from this
// moment on nothing of it reaches its disk or anybody. What still runs of it
// in this process is put away meanwhile.
func (p *pack) kill(id uint64) {
	d := p.den(id)
	s := d.server
	if d.server = nil; s == nil {
		return
	}
	d.disk.revoke()
	p.net.Crash(d.host)
	buried := make(chan struct{})
	d.buried = buried
	go func() {
		defer close(buried)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = s.Close(ctx) // its disk is gone
	}()
}

// wipe loses what a stopped server had.
func (p *pack) wipe(id uint64) {
	d := p.den(id)
	require.Nil(p.t, d.server)
	d.dir, d.disk = filepath.Join(p.t.TempDir(), "data"), newMemDisk()
}

// others are the hosts of all servers but some.
func (p *pack) others(ids ...uint64) (hosts []string) {
	for _, d := range p.dens {
		found := false
		for _, id := range ids {
			found = found || id == d.id
		}
		if !found {
			hosts = append(hosts, d.host)
		}
	}
	return hosts
}

// leader is the one server that leads and serves, 0 while there is none or
// more than one believe it.
func (p *pack) leader() uint64 {
	var found, term uint64
	for _, d := range p.dens {
		if d.server == nil {
			continue
		}
		id, in := d.server.node.Leader()
		if id == d.id && d.server.node.Stats().State == "Leader" && in > term {
			found, term = id, in
		}
	}
	return found
}

// await lets virtual time pass until ok, at most d of it.
func (p *pack) await(what string, d time.Duration, ok func() bool) time.Duration {
	p.t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > d {
			require.Fail(p.t, "never happened: "+what, "%s", p)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(began)
}

// String tells how the servers stand.
func (p *pack) String() string {
	var b strings.Builder
	for _, d := range p.dens {
		if d.server == nil {
			fmt.Fprintf(&b, "server %d does not run\n", d.id)
			continue
		}
		leader, term := d.server.node.Leader()
		fmt.Fprintf(&b, "server %d: leader %d in term %d, contact %v, serving %v, %+v\n", d.id, leader, term,
			d.server.node.Contact(), d.server.node.Serving(), d.server.Status())
	}
	return b.String()
}

// ready waits until every running server serves, and gives the leader.
func (p *pack) ready() uint64 {
	p.t.Helper()
	var leader uint64
	p.await("every server serves", 20*time.Second, func() bool {
		for _, d := range p.dens {
			if d.server != nil && d.server.Condition() != nil {
				return false
			}
		}
		leader = p.leader()
		return leader != 0
	})
	return leader
}

// agree waits until all running servers have heard of everything committed and
// their states are equal.
func (p *pack) agree(within time.Duration) {
	p.t.Helper()
	p.await("all states are equal", within, func() bool {
		var first *contents
		for _, d := range p.dens {
			if d.server == nil {
				continue
			}
			c := contentsOf(d.server)
			if first == nil {
				first = &c
			}
			if c != *first {
				return false
			}
		}
		return true
	})
}

// contents tells states apart by all but the clock, which entries without
// effect move.
type contents struct{ commit, zxid, digest uint64 }

func contentsOf(s *Server) contents {
	st := s.Status()
	return contents{st.CommitIndex, st.Zxid, st.Digest}
}

// client opens a session on the servers given, or on any of all.
func (p *pack) client(ids []uint64, opts ...client.Option) *client.Client {
	p.t.Helper()
	c, err := p.tryClient(ids, opts...)
	require.NoError(p.t, err)
	return c
}

// newHost is one for a client, with the network's usual delays.
func (p *pack) newHost() *memnet.Host {
	p.clients++
	host := p.net.Host(fmt.Sprintf("10.0.1.%d", p.clients))
	for _, d := range p.dens {
		p.net.Delay(d.host, host.Name(), hop)
		p.net.Delay(host.Name(), d.host, hop)
	}
	return host
}

func (p *pack) tryClient(ids []uint64, opts ...client.Option) (*client.Client, error) {
	host := p.newHost()
	var addrs []string
	if len(ids) == 0 {
		for _, d := range p.dens {
			addrs = append(addrs, d.host+":2181")
		}
	}
	for _, id := range ids {
		addrs = append(addrs, hostOf(id)+":2181")
	}
	dialer := client.WithDialer(func(ctx context.Context, _, addr string) (net.Conn, error) { return host.Dial(ctx, addr) })
	opts = append([]client.Option{dialer}, opts...)
	if len(ids) > 0 {
		opts = append(opts, client.WithOnlyGivenServers())
	}
	return client.Open(p.t.Context(), addrs, opts...)
}
