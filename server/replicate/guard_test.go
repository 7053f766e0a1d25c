package replicate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/memnet"
	"github.com/lycaon-io/lycaon/server/peer"
	"github.com/lycaon-io/lycaon/server/pipeline"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

// trio is three servers without fronts in a bubble: real raft, real streams,
// real Cores, a network and disks in memory.
type trio struct {
	t     *testing.T
	net   *memnet.Net
	nodes []*member
}

type member struct {
	*Node
	id    uint64
	core  *pipeline.Core
	mux   *peer.Mux
	logs  monotonic
	snaps *vault
}

// inTrio runs f in a bubble beside three servers that know their leader.
func inTrio(t *testing.T, f func(c *trio)) {
	synctest.Test(t, func(t *testing.T) {
		c := &trio{t: t, net: memnet.New()}
		defer func() {
			for _, m := range c.nodes {
				m.stop()
			}
		}()
		for id := range uint64(3) {
			c.start(id+1, newDisk().logs, &vault{})
		}
		c.await("three servers serve", func() bool { return c.serving() == 3 })
		f(c)
	})
}

func (c *trio) start(id uint64, logs monotonic, snaps *vault) *member {
	m := &member{id: id, logs: logs, snaps: snaps}
	var initial []Member
	for other := range uint64(3) {
		initial = append(initial, Member{ID: other + 1, PeerAddr: addrOf(other + 1), Suffrage: Voter})
	}
	data := fmt.Sprintf("data%d", id)
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("LYCAON_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("server", id)
	}
	var err error
	var ready atomic.Pointer[Node]
	m.mux, err = peer.Open(peer.Config{
		Self: peer.Identity{Cluster: "c", ID: id, Data: data, Version: "test"}, Addr: addrOf(id),
		Network: c.net.Host(hostOf(id)), Insecure: true, Logger: log,
		Admit: func(k peer.Kind, remote peer.Identity) error {
			if n := ready.Load(); n != nil {
				return n.Admit(k, remote)
			}
			return peer.Refuse(peer.ErrNotReady, "server %d begins", id)
		},
	})
	require.NoError(c.t, err)
	m.Node = New(Config{
		ID: id, Cluster: "c", Address: addrOf(id), Data: data, Version: "test", Logger: log,
		Initial: initial, Peers: m.mux,
	}, logs, snaps)
	m.core = pipeline.New(pipeline.Config{Origin: id, Observer: m.Node})
	m.core.SetLog(m.Node)
	ready.Store(m.Node)
	require.NoError(c.t, m.Open(m.core))
	if int(id) > len(c.nodes) {
		c.nodes = append(c.nodes, m)
	} else {
		c.nodes[id-1] = m
	}
	return m
}

func (m *member) stop() {
	_ = m.Node.Close(context.Background())
	_ = m.mux.Close()
}

// await lets virtual time pass until ok, a minute at most.
func (c *trio) await(what string, ok func() bool) {
	c.t.Helper()
	for started := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(started) > time.Minute {
			for _, m := range c.nodes {
				c.t.Logf("server %d: serving %v, %+v", m.id, m.Serving(), m.Stats().Guard)
			}
			require.Fail(c.t, "never happened", what)
		}
	}
}

func (c *trio) serving() (n int) {
	for _, m := range c.nodes {
		if m.Serving() == nil {
			n++
		}
	}
	return n
}

func (c *trio) leader() *member {
	var leader *member
	c.await("a leader", func() bool {
		for _, m := range c.nodes {
			if id, _ := m.Leader(); id == m.id && m.Serving() == nil {
				leader = m
			}
		}
		return leader != nil
	})
	return leader
}

func (c *trio) follower() *member {
	leader := c.leader()
	for _, m := range c.nodes {
		if m != leader {
			return m
		}
	}
	return nil
}

// agree waits until all have applied the same and checks that it is the same.
func (c *trio) agree() {
	c.t.Helper()
	c.await("equal zxids", func() bool {
		return c.serving() == len(c.nodes) && c.nodes[0].core.Zxid() == c.nodes[1].core.Zxid() && c.nodes[1].core.Zxid() == c.nodes[2].core.Zxid()
	})
	c.nodes[0].core.Freeze()
	digests := map[uint64]bool{}
	for _, m := range c.nodes {
		require.NoError(c.t, m.core.Freeze().Scrub(nil))
		m.core.View(func(s *state.Machine) { digests[s.Tree().Digest()] = true })
	}
	require.Len(c.t, digests, 1)
}

// user is a connection with a session on one server.
type user struct {
	c    *trio
	lane *pipeline.Lane
	xid  uint64

	mu     sync.Mutex // guards what follows
	got    map[uint64]protocol.Code
	closed string
}

func (u *user) Push(m *protocol.Message) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.got[m.Xid] = m.Code
}

func (u *user) Wake() {}

func (u *user) Close(code protocol.Code, detail string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = fmt.Sprint(code, " ", detail)
}

func (u *user) gone() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.closed
}

func (c *trio) connect(m *member) *user {
	u := &user{c: c, got: map[uint64]protocol.Code{}}
	opened := make(chan *pipeline.Lane, 1)
	hash := [32]byte{byte(m.id), byte(time.Now().UnixNano() >> 20), byte(time.Now().UnixNano() >> 28)}
	m.core.Open(pipeline.OpenParams{PasswordHash: hash, TimeoutMs: 600_000}, u, func(l *pipeline.Lane, _ pipeline.Opened, code protocol.Code, detail string) {
		require.Equal(c.t, protocol.OK, code, detail)
		opened <- l
	})
	u.lane = <-opened
	return u
}

// write waits for the answer to one write.
func (u *user) write(op protocol.Op, body []byte) protocol.Code {
	u.xid++
	xid := u.xid
	require.NoError(u.c.t, u.lane.Submit(&protocol.Request{Op: op, Xid: xid, Arg: xid, Body: body}))
	var code protocol.Code
	u.c.await("an answer", func() bool {
		u.mu.Lock()
		defer u.mu.Unlock()
		var answered bool
		code, answered = u.got[xid]
		return answered
	})
	return code
}

func (u *user) create(path, data string) {
	u.c.t.Helper()
	require.Equal(u.c.t, protocol.OK, u.write(protocol.OpCreate, create(path, []byte(data))))
}

func (u *user) set(path, data string) protocol.Code {
	return u.write(protocol.OpSet, protocol.AppendSet(nil, path, []byte(data), znode.AnyVersion))
}

// data is a stored value itself, not a copy.
func (m *member) data(path string) []byte {
	var out protocol.Message
	m.core.View(func(s *state.Machine) {
		s.Read(&znode.Actor{}, &protocol.Read{Op: protocol.OpGet, Path: path}, &out)
	})
	return out.Data
}

// flip changes one bit of a stored value in memory, as a cosmic ray would: the
// digest that the machine keeps up does not notice.
func (m *member) flip(path string) { m.data(path)[0] ^= 4 }

func (m *member) value(path string) string { return string(m.data(path)) }

func TestAFlippedByteIsMendedWithoutAHand(t *testing.T) {
	for _, who := range []string{"follower", "leader"} {
		t.Run(who, func(t *testing.T) {
			inTrio(t, func(c *trio) {
				victim := c.follower()
				if who == "leader" {
					victim = c.leader()
				}
				u := c.connect(victim)
				u.create("/a", "value")
				c.agree()
				victim.flip("/a")
				require.NotEqual(t, "value", victim.value("/a"))

				// The scrub of the next minute finds it.
				c.await("the scrub", func() bool { return victim.Stats().Guard.Damages == 1 })
				synctest.Wait() // the finding is counted first
				require.Contains(t, u.gone(), "rebuilds its state", "within the 5 ms between two looks")
				c.await("another leads", func() bool {
					id, _ := c.nodes[victim.id%3].Leader()
					return id != 0 && (id != victim.id || who == "follower")
				})
				c.connect(c.leader()).create("/b", "meanwhile")

				c.await("it is back", func() bool { return victim.Serving() == nil })
				c.agree()
				require.Equal(t, "value", victim.value("/a"))
				g := victim.Stats().Guard
				require.EqualValues(t, 1, g.Rebuilt)
				require.Zero(t, g.Fetched)
				c.connect(victim).create("/c", "again")
				c.agree()
			})
		})
	}
}

// diverge changes a server's state as a nondeterministic Apply would, digest
// and all, so that no scrub sees it: the value is another one from the start.
func (m *member) diverge() {
	m.core.View(func(s *state.Machine) {
		var out state.Outcome
		s.Apply(&state.Txn{Kind: state.TxnNoop}, 1<<50, &out) // only its clock differs
	})
}

func TestAServerThatAppliedSomethingElseIsMended(t *testing.T) {
	for _, who := range []string{"follower", "leader"} {
		t.Run(who, func(t *testing.T) {
			inTrio(t, func(c *trio) {
				victim := c.follower()
				if who == "leader" {
					victim = c.leader()
				}
				c.connect(c.leader()).create("/a", "value")
				c.agree()
				victim.diverge()
				c.connect(c.leader()).create("/b", "value") // a zxid at which they differ
				found := time.Now()
				c.await("the leader's verdict", func() bool { return victim.Stats().Guard.Damages == 1 })
				require.Less(t, time.Since(found), 2*time.Second)
				c.await("it is back", func() bool { return victim.Serving() == nil && victim.Stats().Guard.Rebuilt == 1 })
				c.connect(c.leader()).create("/c", "value")
				c.agree()
				for _, m := range c.nodes {
					require.False(t, m.Stats().Guard.Halted)
				}
			})
		})
	}
}

// A server that counts one transaction too many is ahead of everybody for
// ever: none of the marks that it sends is ever the leader's.
func TestAServerWhoseZxidsAreItsOwnIsMended(t *testing.T) {
	inTrio(t, func(c *trio) {
		victim := c.follower()
		c.connect(c.leader()).create("/a", "value")
		c.agree()
		victim.core.View(func(s *state.Machine) {
			var out state.Outcome
			s.Apply(&state.Txn{Kind: state.TxnOpen, PasswordHash: [32]byte{0xff}, TimeoutMs: 600_000}, 0, &out)
		})
		c.connect(c.leader()).create("/b", "value")
		found := time.Now()
		c.await("the leader's verdict", func() bool { return victim.Stats().Guard.Damages == 1 })
		require.Less(t, time.Since(found), 2*time.Second)
		c.await("it is back", func() bool { return victim.Serving() == nil && victim.Stats().Guard.Rebuilt == 1 })
		c.agree()
	})
}

func TestWithoutAMajorityWritesHaltUntilThereIsOne(t *testing.T) {
	inTrio(t, func(c *trio) {
		leader := c.leader()
		var away *member
		victim := c.follower()
		for _, m := range c.nodes {
			if m != leader && m != victim {
				away = m
			}
		}
		u := c.connect(leader)
		v := c.connect(victim)
		u.create("/a", "value")
		c.agree()
		away.stop()
		victim.diverge()
		require.Equal(t, protocol.OK, u.set("/a", "two"))
		c.await("writes halt", func() bool { return leader.Stats().Guard.Halted && victim.Stats().Guard.Halted })
		require.Equal(t, protocol.SystemError, u.set("/a", "three"))
		require.Equal(t, protocol.SystemError, v.set("/a", "three"))
		require.NoError(t, leader.guard.condemned())
		require.NoError(t, victim.guard.condemned(), "nobody guesses")

		c.start(away.id, away.logs, away.snaps)
		c.await("the third one settles it", func() bool { return victim.Stats().Guard.Rebuilt == 1 && victim.Serving() == nil })
		c.await("writes go on", func() bool { return !leader.Stats().Guard.Halted })
		require.Equal(t, protocol.OK, u.set("/a", "four"))
		c.agree()
		require.Equal(t, "four", victim.value("/a"))
	})
}

// A server whose own snapshots do not do takes one from another.
func TestASnapshotIsFetchedWhenTheOwnOneIsDamaged(t *testing.T) {
	inTrio(t, func(c *trio) {
		leader, victim := c.leader(), c.follower()
		u := c.connect(leader)
		for i := range 30 {
			u.create(fmt.Sprint("/n", i), "value")
		}
		c.agree()
		require.NoError(t, victim.Snapshot(context.Background()))
		first, err := victim.logs.FirstIndex()
		require.NoError(t, err)
		require.NoError(t, victim.logs.DeleteRange(first, first+9)) // as the cut behind a snapshot does
		victim.snaps.spoil()
		victim.flip("/n1")
		victim.ScrubSoon()
		c.await("it is back", func() bool { return victim.Stats().Guard.Rebuilt == 1 && victim.Serving() == nil })
		require.EqualValues(t, 1, victim.Stats().Guard.Fetched)
		c.agree()
		require.Equal(t, "value", victim.value("/n1"))
	})
}

func TestADamagedStateIsNeverSnapshotted(t *testing.T) {
	inTrio(t, func(c *trio) {
		m := c.follower()
		c.connect(m).create("/a", "value")
		c.agree()
		m.flip("/a")
		require.Error(t, m.Snapshot(context.Background()))
		all, err := m.snaps.List()
		require.NoError(t, err)
		require.Empty(t, all)
		c.await("the failed snapshot has it mended", func() bool { return m.Stats().Guard.Rebuilt == 1 && m.Serving() == nil })
		c.agree()
	})
}

func TestAServerThatIsDamagedAgainAndAgainStops(t *testing.T) {
	inTrio(t, func(c *trio) {
		m := c.follower()
		c.connect(c.leader()).create("/a", "value")
		for n := range uint64(rebuildsAllowed) {
			c.agree()
			m.flip("/a")
			m.ScrubSoon()
			c.await("it is back", func() bool { return m.Stats().Guard.Rebuilt == n+1 && m.Serving() == nil })
		}
		c.agree()
		m.flip("/a")
		m.ScrubSoon()
		require.ErrorIs(t, <-m.Fatal(), ErrBeyondRepair)
		require.Error(t, m.Serving())
	})
}

func TestAServerAloneIsMendedFromItsLog(t *testing.T) {
	n, r := start(t, newDisk(), Config{})
	id := r.session(t, time.Minute)
	r.send(write(id, 1, 1, protocol.OpCreate, create("/a", []byte("value"))))
	r.await(t, "created", func(m *state.Machine) bool { return exists(m, "/a") })
	read := func() (out protocol.Message) {
		r.View(func(m *state.Machine) {
			m.Read(&znode.Actor{}, &protocol.Read{Op: protocol.OpGet, Path: "/a"}, &out)
		})
		return out
	}
	read().Data[0] ^= 1
	n.ScrubSoon()
	require.Eventually(t, func() bool { return n.Stats().Guard.Rebuilt == 1 && n.Serving() == nil }, 20*time.Second, time.Millisecond)
	require.Equal(t, "value", string(read().Data))
}

func TestAScrubIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pacer{rest: fullRest, since: time.Now()}
		started := time.Now()
		time.Sleep(2 * paceSlice) // stands for work
		require.NoError(t, p.pace())
		require.Equal(t, 2*paceSlice, p.worked)
		require.Equal(t, 2*(1+paceRest)*paceSlice, time.Since(started))
		require.NoError(t, p.pace(), "no work, no pause")
		require.Equal(t, 2*(1+paceRest)*paceSlice, time.Since(started))
		done := make(chan struct{})
		close(done)
		p.done = done
		time.Sleep(paceSlice)
		require.True(t, errors.Is(p.pace(), errPaceEnded))
	})
}
