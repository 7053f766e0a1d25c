package clienttest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/lycaon-io/lycaon/server"
)

// pollEvery is how often a condition is looked at that nobody tells.
const pollEvery = 2 * time.Millisecond

// Stop closes servers, all of them if none is named, until Restart. One that
// leads hands leadership over, as it does when its process is asked to stop.
func (c *Cluster) Stop(ids ...int) {
	c.t.Helper()
	c.stop(c.ids(ids))
}

// Restart closes servers, all of them if none is named, and opens them again,
// each at its address over its data: one after the other, so that a cluster of
// three or more goes on, and all at once if none of them runs. Sessions live on.
func (c *Cluster) Restart(ids ...int) {
	c.t.Helper()
	ids = c.ids(ids)
	if len(c.running(ids)) == 0 {
		c.start(ids)
		return
	}
	for _, id := range ids {
		c.stop([]int{id})
		c.start([]int{id})
	}
}

// Leader is the server that leads. It waits for one, as long as servers may
// take to start.
func (c *Cluster) Leader() int {
	c.t.Helper()
	for end := time.Now().Add(startTimeout); time.Now().Before(end); time.Sleep(pollEvery) {
		for _, s := range c.running(nil) {
			if st := s.Status(); st.Role == "leader" && st.Ready {
				return int(st.ServerID)
			}
		}
	}
	c.t.Fatal("clienttest: no server leads")
	return 0
}

// ids are those that are named, else all.
func (c *Cluster) ids(named []int) []int {
	c.t.Helper()
	if len(named) == 0 {
		for i := range c.members {
			named = append(named, i+1)
		}
	}
	for _, id := range named {
		if id < 1 || id > len(c.members) {
			c.t.Fatalf("clienttest: there is no server %d", id)
		}
	}
	return named
}

// running are those of the servers that are up; of all if none is named.
func (c *Cluster) running(ids []int) []*server.Server {
	c.t.Helper()
	ids = c.ids(ids)
	c.mu.Lock()
	defer c.mu.Unlock()
	var up []*server.Server
	for _, id := range ids {
		if s := c.members[id-1].server; s != nil {
			up = append(up, s)
		}
	}
	return up
}

// start opens servers and waits until they serve, together: a cluster that
// begins needs a majority of its servers for that.
func (c *Cluster) start(ids []int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for _, id := range ids {
		c.open(ctx, id)
	}
	for _, s := range c.running(ids) { // each may take as long as all
		select {
		case <-s.Ready():
		case err := <-s.Fatal():
			c.t.Fatalf("clienttest: starting server %d: %v", s.Status().ServerID, err)
		case <-ctx.Done():
			c.t.Fatalf("clienttest: server %d does not serve: %v", s.Status().ServerID, s.Condition())
		}
	}
}

func (c *Cluster) open(ctx context.Context, id int) {
	c.t.Helper()
	m := c.members[id-1]
	c.mu.Lock()
	cfg, up := m.cfg, m.server != nil
	c.mu.Unlock()
	if up {
		return
	}
	s, err := server.Open(ctx, cfg)
	if err != nil {
		c.t.Fatalf("clienttest: starting server %d: %v", id, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m.server = s
	m.cfg.ClientAddr = s.ClientAddr().String() // the same one after a restart
}

func (c *Cluster) stop(ids []int) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, id := range ids {
		c.mu.Lock()
		m := c.members[id-1]
		s := m.server
		m.server = nil
		c.mu.Unlock()
		if s == nil {
			continue
		}
		wg.Go(func() {
			if err := s.Close(ctx); err != nil {
				c.t.Errorf("clienttest: stopping server %d: %v", id, err)
			}
		})
	}
	wg.Wait()
}

// given are the addresses that this program has handed out: one that nobody
// listens on may be that of a server which is about to start, or is down.
var given sync.Map

// freeAddrs finds addresses that nobody listens on now. They are not of the
// range from which connections get their own ports, so that none of those
// takes one before it is used; no two of one run are the same.
func freeAddrs(t testing.TB, n int) []string {
	t.Helper()
	const lowest, ports, tries = 10_000, 22_000, 1000
	var addrs []string
	for range tries {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(ports)))
		if err != nil {
			continue // somebody's
		}
		addr := l.Addr().String()
		l.Close()
		if _, taken := given.LoadOrStore(addr, true); taken {
			continue
		}
		if addrs = append(addrs, addr); len(addrs) == n {
			return addrs
		}
	}
	t.Fatal("clienttest: no free ports")
	return nil
}
