package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/replicate"
)

const patience = 20 * time.Second

// fleet is a cluster of whole servers on loopback. Servers are named by their
// ids, 1 and so on.
type fleet struct {
	t       *testing.T
	configs map[uint64]*Config
	up      map[uint64]*Server
}

// founding prepares n servers that found a cluster.
func founding(t *testing.T, n int) *fleet {
	t.Helper()
	p := &fleet{t: t, configs: map[uint64]*Config{}, up: map[uint64]*Server{}}
	var list []string
	for id := range n {
		list = append(list, fmt.Sprintf("%d=%s", id+1, freeAddr(t)))
	}
	for id := uint64(1); id <= uint64(n); id++ {
		c := p.add(id)
		c.InitialCluster, c.PeerAddr = strings.Join(list, ","), ""
	}
	t.Cleanup(func() { p.stop(p.ids()...) })
	return p
}

// running is founding with all servers up.
func running(t *testing.T, n int) *fleet {
	t.Helper()
	p := founding(t, n)
	p.start(p.ids()...)
	return p
}

// knowsAllData tells whether s knows of each member's data. Whose data nobody
// knows is taken for a founder that comes late.
func (s *Server) knowsAllData() bool {
	members := s.node.Members()
	return len(members) > 0 && !slices.ContainsFunc(members, func(m replicate.Member) bool { return m.Data == "" })
}

func (p *fleet) add(id uint64) *Config {
	cfg := local(p.t)
	cfg.ID, cfg.DataDir = id, filepath.Join(p.t.TempDir(), fmt.Sprint(id))
	cfg.ClientAddr, cfg.PeerAddr = freeAddr(p.t), freeAddr(p.t)
	cfg.MinSessionTimeout, cfg.Tick = 100*time.Millisecond, 20*time.Millisecond
	cfg.SuperDigest = superTest
	p.configs[id] = &cfg
	return &cfg
}

const superTest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=" // of super:test

// freeAddr is an address that nobody listens on now. It is not of the range from
// which connections get their own ports, so that none of those takes it before
// it is used; no two of one run are the same.
func freeAddr(t *testing.T) string {
	t.Helper()
	const lowest, ports, tries = 10_000, 22_000, 1000
	for range tries {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(ports)))
		if err != nil {
			continue // somebody's
		}
		addr := l.Addr().String()
		l.Close()
		if _, given := addrsGiven.LoadOrStore(addr, true); !given {
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

var addrsGiven sync.Map

func (p *fleet) ids() []uint64 {
	var ids []uint64
	for id := uint64(1); id <= maxServerID; id++ {
		if p.configs[id] != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// open starts servers without waiting for them to serve.
func (p *fleet) open(ids ...uint64) {
	p.t.Helper()
	for _, id := range ids {
		s, err := Open(p.t.Context(), *p.configs[id])
		require.NoError(p.t, err)
		p.up[id] = s
	}
}

func (p *fleet) start(ids ...uint64) {
	p.t.Helper()
	p.open(ids...)
	for _, id := range ids {
		p.ready(id)
	}
}

func (p *fleet) ready(id uint64) {
	p.t.Helper()
	s := p.up[id]
	select {
	case <-s.Ready():
	case err := <-s.Fatal():
		require.NoError(p.t, err)
	case <-time.After(patience):
		require.FailNow(p.t, "not ready", "server %d: %v", id, s.Condition())
	}
}

func (p *fleet) stop(ids ...uint64) {
	p.t.Helper()
	var wg sync.WaitGroup
	for _, id := range ids {
		s := p.up[id]
		if s == nil {
			continue
		}
		delete(p.up, id)
		wg.Go(func() {
			began := time.Now()
			if err := s.Close(context.Background()); err != nil {
				p.t.Errorf("stop server %d: %v", id, err)
			}
			if took := time.Since(began); took > patience {
				p.t.Errorf("stop server %d: took %s", id, took)
			}
		})
	}
	wg.Wait()
}

// eventually waits for a condition that nobody tells.
func (p *fleet) eventually(what string, f func() bool) {
	p.t.Helper()
	require.Eventually(p.t, f, patience, 2*time.Millisecond, what)
}

func (p *fleet) leader() uint64 {
	p.t.Helper()
	var leader uint64
	p.eventually("a leader", func() bool {
		for id, s := range p.up {
			if st := s.Status(); st.Role == roleLeader && st.Ready {
				leader = id
				return true
			}
		}
		return false
	})
	return leader
}

// other is a running server that does not lead.
func (p *fleet) other() uint64 {
	leader := p.leader()
	for _, id := range p.ids() {
		if id != leader && p.up[id] != nil {
			return id
		}
	}
	p.t.Fatal("no other server")
	return 0
}

func (p *fleet) addrs(ids ...uint64) []string {
	var addrs []string
	for _, id := range ids {
		addrs = append(addrs, p.configs[id].ClientAddr)
	}
	return addrs
}

func (p *fleet) client(opts ...client.Option) *client.Client {
	p.t.Helper()
	c, err := client.Open(p.t.Context(), p.addrs(p.ids()...), opts...)
	require.NoError(p.t, err)
	p.t.Cleanup(c.Abandon)
	return c
}

// admin is a guest of one server with the superuser's identity.
func (p *fleet) admin(id uint64) *client.Client {
	p.t.Helper()
	c, err := client.OpenGuest(p.t.Context(), p.addrs(id), client.WithCredentials(client.Digest("super", "test")), client.WithRequestTimeout(patience))
	require.NoError(p.t, err)
	p.t.Cleanup(c.Abandon)
	return c
}

func (p *fleet) change(by uint64, action protocol.MemberAction, id uint64, addr string) {
	p.t.Helper()
	require.NoError(p.t, p.admin(by).ChangeMember(p.t.Context(), client.MemberChange{Action: action, ID: id, Addr: addr}))
}

// roles of all members, as one server tells them.
func (p *fleet) roles(by uint64) map[uint64]string {
	roles := map[uint64]string{}
	for _, m := range p.up[by].ClusterStatus(p.t.Context()) {
		roles[m.ID] = m.Role
	}
	return roles
}

// sameState waits until all running servers have applied the same.
func (p *fleet) sameState() {
	p.t.Helper()
	p.eventually("the same state everywhere", func() bool {
		states := map[string]bool{}
		for _, s := range p.up {
			st := s.Status()
			states[fmt.Sprint(st.Zxid, st.Nodes, st.Digest)] = true
		}
		return len(states) == 1
	})
}

func TestServersFoundAClusterInAnyOrder(t *testing.T) {
	p := founding(t, 3)
	p.open(3)
	require.Error(t, p.up[3].Condition(), "one of three")
	p.open(1)
	p.ready(1)
	p.ready(3)
	c := p.client()
	_, err := c.Create(t.Context(), "/before", []byte("the third"))
	require.NoError(t, err)
	p.start(2)
	node, err := dial(t, p.up[2]).Get(t.Context(), "/before")
	require.NoError(t, err)
	require.Equal(t, "the third", string(node.Data))
	p.sameState()
}

func TestEveryServerTakesReadsAndWrites(t *testing.T) {
	p := running(t, 3)
	for _, id := range p.ids() {
		c, err := client.Open(t.Context(), p.addrs(id), client.WithOnlyGivenServers())
		require.NoError(t, err)
		defer c.Abandon()
		path := fmt.Sprintf("/by-%d", id)
		_, err = c.Create(t.Context(), path, nil)
		require.NoError(t, err)
		_, err = c.Get(t.Context(), path)
		require.NoError(t, err)
		_, err = c.Get(t.Context(), path, client.Linearizable())
		require.NoError(t, err)
	}
	p.sameState()
}

func TestTheWholeClusterComesBackWithWhatItHad(t *testing.T) {
	p := running(t, 3)
	c := p.client(client.WithSessionTimeout(20 * time.Second))
	_, err := c.Create(t.Context(), "/e", []byte("mine"), client.Ephemeral())
	require.NoError(t, err)
	p.stop(p.ids()...)
	p.start(p.ids()...)
	node, err := c.Get(t.Context(), "/e")
	require.NoError(t, err)
	require.EqualValues(t, c.Session().ID(), node.Stat.Owner)
}

// A rolling restart is what an operator does for every upgrade.
func TestARollingRestartLosesNoWriteAndNoSession(t *testing.T) {
	const clients = 4
	p := running(t, 3)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var written atomic.Int64
	wrote := make([]int, clients)
	for i := range clients {
		c := p.client(client.WithRequestTimeout(patience), client.WithSessionTimeout(10*time.Second))
		_, err := c.Create(ctx, fmt.Sprintf("/mine-%d", i), nil, client.Ephemeral())
		require.NoError(t, err)
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := c.Create(context.Background(), fmt.Sprintf("/w%d-", i), nil, client.Sequential()); err != nil {
					t.Errorf("client %d, write %d: %v", i, wrote[i], err)
					return
				}
				wrote[i]++
				written.Add(1)
			}
			if err := c.Session().Context().Err(); err != nil {
				t.Errorf("client %d lost its session: %v", i, context.Cause(c.Session().Context()))
			}
		})
	}
	more := func() {
		goal := written.Load() + 10*clients
		p.eventually("writes go on", func() bool { return written.Load() >= goal || t.Failed() })
	}
	for _, id := range p.ids() {
		more()
		p.stop(id)
		more()
		p.start(id)
	}
	cancel()
	wg.Wait()
	p.sameState()
	names, err := p.client().Children(t.Context(), "/")
	require.NoError(t, err)
	counts, mine := map[string]int{}, 0
	for _, name := range names {
		if strings.HasPrefix(name, "mine-") {
			mine++
		}
		before, _, _ := strings.Cut(name, "-")
		counts[before]++
	}
	require.Equal(t, clients, mine, "ephemeral nodes live on")
	for i, n := range wrote {
		require.Equal(t, n, counts[fmt.Sprintf("w%d", i)], "each write ran once")
	}
}

func TestAStopHandsLeadershipOver(t *testing.T) {
	p := running(t, 3)
	leader, other := p.leader(), p.other()
	c, err := client.Open(t.Context(), p.addrs(other), client.WithOnlyGivenServers())
	require.NoError(t, err)
	defer c.Abandon()
	_, err = c.Create(t.Context(), "/before", nil)
	require.NoError(t, err)
	p.stop(leader)
	require.NotEqual(t, leader, p.leader())
	_, err = c.Create(t.Context(), "/after", nil)
	require.NoError(t, err)
}
