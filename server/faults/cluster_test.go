package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/server/compat/rig"
)

const (
	settleWithin = 30 * time.Second // of the end of a fault to all servers alike
	askWithin    = time.Second      // for one status
	lookEvery    = 20 * time.Millisecond

	superDigest   = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=" // base64(sha1("super:test"))
	superPassword = "test"
)

// plan is how a cluster is to be.
type plan struct {
	servers       int
	snapshotBytes int64 // of log between snapshots; 0: the default
	padding       int   // bytes that make the log grow faster
	tick          time.Duration
	disks         map[uint64]string // data directories that are not on the common disk
	env           []string
	binary        string // of every server at first; "": the one built from this tree
}

// cluster is several servers, each a process of its own.
type cluster struct {
	t       testing.TB
	plan    plan
	dir     string   // of the data
	net     *network // nil: all on loopback
	servers []*server
	rec     *recorder

	mu       sync.Mutex // guards all below
	ends     map[uint64]int
	expected map[uint64]bool // of whom an end by itself is part of the fault
	asking   map[uint64]*client.Client
}

// openCluster starts all servers and returns when they serve.
func openCluster(t testing.TB, p plan, rec *recorder) *cluster {
	t.Helper()
	c := &cluster{t: t, plan: p, dir: t.TempDir(), rec: rec, ends: map[uint64]int{}, expected: map[uint64]bool{}, asking: map[uint64]*client.Client{}}
	ids := make([]uint64, p.servers)
	for i := range ids {
		ids[i] = uint64(i + 1)
	}
	t.Cleanup(c.close)
	if n, err := openNetwork(append(ids, uint64(p.servers+1))); err == nil {
		c.net = n
	} else {
		t.Logf("SKIPPED FAULT: partitions: %v", err)
	}
	for _, id := range ids {
		c.servers = append(c.servers, c.newServer(id))
	}
	for _, s := range c.servers {
		s.args = c.args(s, c.initial())
		must(t, s.start())
	}
	must(t, c.settle(settleWithin))
	return c
}

func (c *cluster) newServer(id uint64) *server {
	c.t.Helper()
	s := &server{id: id, boot: 1, env: c.plan.env, binary: c.plan.binary, died: c.unasked}
	s.dir = c.plan.disks[id]
	if s.dir == "" {
		s.dir = filepath.Join(c.dir, fmt.Sprintf("data-%d", id))
	} else {
		s.dir = filepath.Join(s.dir, "data")
	}
	must(c.t, os.MkdirAll(s.dir, 0o700))
	log, err := os.Create(filepath.Join(c.rec.h.dir, fmt.Sprintf("server-%d.log", id)))
	must(c.t, err)
	c.t.Cleanup(func() { log.Close() })
	s.log = log
	if c.net != nil {
		s.client, s.peer, s.prefix = c.net.host(id)+":2181", c.net.host(id)+":2888", c.net.enter(id)
		return s
	}
	s.client, s.peer = freeAddr(c.t), freeAddr(c.t)
	return s
}

func freeAddr(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", rig.Ports(t, 1)[0])
}

// initial is the option that founds the cluster.
func (c *cluster) initial() []string {
	if len(c.servers) == 1 {
		return nil
	}
	var members []string
	for _, s := range c.servers {
		members = append(members, fmt.Sprintf("%d=%s", s.id, s.peer))
	}
	return []string{"--initial-cluster", strings.Join(members, ",")}
}

func (c *cluster) args(s *server, how []string) []string {
	args := []string{
		"--id", fmt.Sprint(s.id), "--data-dir", s.dir, "--client-addr", s.client, "--peer-addr", s.peer, "--http-addr", "off",
		"--max-session-timeout", "60s", "--super-digest", superDigest, "--tick", c.plan.tick.String(),
	}
	// The last one keeps its whole log, for the checkers, as long as no snapshot is sent to it.
	if c.plan.snapshotBytes > 0 && s.id != uint64(c.plan.servers) {
		args = append(args, "--snapshot-bytes", fmt.Sprint(c.plan.snapshotBytes))
	}
	if c.net != nil && c.plan.servers > 1 {
		args = append(args, "--insecure-peers")
	}
	return append(args, how...)
}

// unasked notes a server that ended though nobody had killed it.
func (c *cluster) unasked(s *server, code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends[s.id]++
	if !c.expected[s.id] {
		c.rec.note("server %d ended by itself with exit code %d: %s", s.id, code, s.tail(5))
	}
}

// mayEnd allows a server to end by itself, or forbids it again.
func (c *cluster) mayEnd(s *server, may bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expected[s.id] = may
}

func (c *cluster) addrs() []string {
	var all []string
	for _, s := range c.servers {
		all = append(all, s.client)
	}
	return all
}

// guest is a client that talks to one server alone, whatever others it learns of. Only one goroutine asks.
func (c *cluster) guest(s *server) *client.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.asking[s.id]; g != nil {
		return g
	}
	var d net.Dialer
	ctx, cancel := context.WithTimeout(context.Background(), askWithin)
	defer cancel()
	g, err := client.OpenGuest(ctx, []string{s.client}, client.WithDialer(func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, "tcp", s.client)
	}), client.WithSessionTimeout(2*time.Second))
	if err != nil {
		return nil
	}
	c.asking[s.id] = g
	return g
}

// status is nil if the server does not answer.
func (c *cluster) status(s *server) *client.ServerStatus {
	g := c.guest(s)
	if g == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), askWithin)
	defer cancel()
	st, err := g.Status(ctx)
	if err == nil {
		return st
	}
	if g.Session().Context().Err() != nil {
		c.mu.Lock()
		delete(c.asking, s.id)
		c.mu.Unlock()
		g.Abandon()
	}
	return nil
}

// statuses asks all servers at once.
func (c *cluster) statuses() map[*server]*client.ServerStatus {
	all := map[*server]*client.ServerStatus{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, s := range c.servers {
		if !s.running() {
			continue
		}
		wg.Go(func() {
			st := c.status(s)
			mu.Lock()
			defer mu.Unlock()
			all[s] = st
		})
	}
	wg.Wait()
	return all
}

// leader waits until a server leads, the one of the greatest term if two say so.
func (c *cluster) leader() (*server, error) {
	for deadline := time.Now().Add(settleWithin); ; {
		var leads *server
		var term uint64
		for s, st := range c.statuses() {
			if st != nil && st.Role == "leader" && st.Term > term {
				leads, term = s, st.Term
			}
		}
		if leads != nil {
			return leads, nil
		}
		if time.Now().After(deadline) {
			return nil, errors.New("no server leads")
		}
		time.Sleep(lookEvery) // other processes are asked, not told of
	}
}

// follower is a server that does not lead.
func (c *cluster) followers(leader *server) []*server {
	var all []*server
	for _, s := range c.servers {
		if s != leader {
			all = append(all, s)
		}
	}
	return all
}

// settle waits until every server is ready.
func (c *cluster) settle(within time.Duration) error {
	for deadline := time.Now().Add(within); ; {
		ready, all := 0, c.statuses()
		for _, st := range all {
			if st != nil && st.Ready {
				ready++
			}
		}
		if ready == len(c.servers) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d servers are ready after %v", ready, len(c.servers), within)
		}
		time.Sleep(lookEvery) // as in leader
	}
}

// agree waits until every server has applied the same and returns how each is then.
func (c *cluster) agree(within time.Duration) []member {
	for deadline := time.Now().Add(within); ; {
		var members []member
		alike := true
		for s, st := range c.statuses() {
			if st != nil {
				members = append(members, member{ID: s.id, Zxid: st.Zxid, Digest: st.Digest, Nodes: st.Nodes})
				alike = alike && st.Zxid == members[0].Zxid
			}
		}
		if alike && len(members) == len(c.servers) || time.Now().After(deadline) {
			return members
		}
		time.Sleep(lookEvery) // as in leader
	}
}

// close ends everything, whatever state it is in.
func (c *cluster) close() {
	c.mu.Lock()
	asking := c.asking
	c.asking = map[uint64]*client.Client{}
	c.mu.Unlock()
	for _, g := range asking {
		g.Abandon()
	}
	for _, s := range c.servers {
		s.kill()
	}
	if c.net != nil {
		if err := c.net.close(); err != nil {
			c.t.Errorf("the network is left behind: %v", err)
		}
	}
}
