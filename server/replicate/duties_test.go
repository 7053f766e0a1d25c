package replicate

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
)

// led runs f in a bubble, where time passes at once, with a leading node over
// real raft.
func led(t *testing.T, f func(t *testing.T, n *Node, r *replica)) {
	synctest.Test(t, func(t *testing.T) {
		n, r := bubbled(t, newDisk())
		f(t, n, r)
		stop(t, n)
	})
}

func bubbled(t *testing.T, d *disk) (*Node, *replica) {
	n := New(Config{ID: 1, Address: "127.0.0.1:2888"}, d.logs, d.snaps)
	r := newReplica()
	r.observer, r.log = n, n
	require.NoError(t, n.Open(r))
	<-n.Ready()
	return n, r
}

func (r *replica) alive(id uint64) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.machine.Sessions().Get(id)
	return ok
}

func (r *replica) sessions() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.machine.Sessions().Len()
}

func (r *replica) ended(id uint64) (session.Ended, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.machine.Sessions().Ended(id)
}

func (r *replica) touch(ids ...uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.touched = ids
}

func TestASilentSessionExpiresWithItsCauseAndItsEphemerals(t *testing.T) {
	led(t, func(t *testing.T, n *Node, r *replica) {
		silent, live := r.session(t, 10*time.Second), r.session(t, 10*time.Second)
		r.touch(live)
		r.send(write(silent, 1, 1, protocol.OpCreate, protocol.AppendCreate(nil, &znode.CreateOp{
			Path: "/e", Kind: znode.Ephemeral, ACL: znode.OpenACL,
		})))
		time.Sleep(9 * time.Second)
		synctest.Wait()
		require.True(t, r.alive(silent))
		require.True(t, r.has("/e"))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.False(t, r.alive(silent))
		require.False(t, r.has("/e"))
		require.True(t, r.alive(live))
		end, _ := r.ended(silent)
		require.Equal(t, "no heartbeat for 10s (timeout 10s)", end.Cause)
		require.Equal(t, uint64(1), n.Stats().Expired)
		require.Equal(t, 1, n.Stats().TrackedSessions)
	})
}

func TestARestartGivesEverySessionItsFullTimeoutAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		n, r := bubbled(t, d)
		id := r.session(t, 10*time.Second)
		time.Sleep(8 * time.Second)
		stop(t, n)
		time.Sleep(time.Hour)
		n, r = bubbled(t, d)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		require.True(t, r.alive(id))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.False(t, r.alive(id))
		stop(t, n)
	})
}

func TestALeaderThatStoodStillBlamesNobody(t *testing.T) {
	led(t, func(t *testing.T, n *Node, r *replica) {
		id := r.session(t, 10*time.Second)
		time.Sleep(time.Second)
		gate := make(chan struct{}) // the goroutine of the duties waits here and misses its ticks
		r.hold(gate)
		time.Sleep(time.Minute)
		r.hold(nil)
		close(gate)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.True(t, r.alive(id))
		require.NotZero(t, n.Stats().Stalls)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.False(t, r.alive(id))
	})
}

// The time is given back once: who was heard of just before gets its timeout
// and no more, or the locks of the dead would outlive a long pause by as much.
func TestAPauseIsNotGivenTwice(t *testing.T) {
	led(t, func(t *testing.T, n *Node, r *replica) {
		id := r.session(t, 10*time.Second)
		r.touch(id)
		gate := make(chan struct{})
		r.hold(gate)
		time.Sleep(time.Hour)
		r.hold(nil)
		r.touch()
		close(gate)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		require.True(t, r.alive(id))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.False(t, r.alive(id))
	})
}

func TestAShortPauseIsGivenBackToo(t *testing.T) {
	led(t, func(t *testing.T, n *Node, r *replica) {
		id := r.session(t, time.Second)
		r.touch(id)
		time.Sleep(350 * time.Millisecond)
		r.touch()
		time.Sleep(170 * time.Millisecond) // past a tick
		gate := make(chan struct{})
		r.hold(gate)
		time.Sleep(900 * time.Millisecond) // and less than two more
		r.hold(nil)
		close(gate)
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		require.True(t, r.alive(id))
	})
}

// With short ticks a loaded machine is late all the time: that is given back, too, and is no news.
func TestAPauseThatNobodyNoticesIsNotLogged(t *testing.T) {
	var log bytes.Buffer
	d := newDuties(slog.New(slog.NewTextHandler(&log, nil)), nil, 10*time.Millisecond)
	d.stalledLocked(stallTold - time.Millisecond)
	require.Empty(t, log.String())
	d.stalledLocked(stallTold)
	require.Contains(t, log.String(), "stood still")
	require.EqualValues(t, 2, d.counts.stalls.Load())
	require.Equal(t, 2*stallTold-time.Millisecond, d.lost)
}

func TestAPauseIsGivenBackToTTLNodes(t *testing.T) {
	led(t, func(t *testing.T, n *Node, r *replica) {
		id := r.session(t, 24*time.Hour)
		r.send(write(id, 1, 1, protocol.OpCreate, protocol.AppendCreate(nil, &znode.CreateOp{
			Path: "/ttl", Kind: znode.TTL, TTLMs: 60_000, ACL: znode.OpenACL,
		})))
		time.Sleep(30 * time.Second)
		gate := make(chan struct{})
		r.hold(gate)
		time.Sleep(time.Hour)
		r.hold(nil)
		close(gate)
		time.Sleep(25 * time.Second)
		synctest.Wait()
		require.True(t, r.has("/ttl"))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.False(t, r.has("/ttl"))
	})
}

// raft's channel of leadership holds one word: two wins may be read when the
// second term is already known, and the second reading must not end the duties.
func TestTheSameLeadershipToldTwiceKeepsItsDuties(t *testing.T) {
	led(t, func(t *testing.T, n *Node, r *replica) {
		id := r.session(t, 10*time.Second)
		synctest.Wait()
		again := &loop{Node: n, resend: time.NewTimer(never), stand: stand{timer: time.NewTimer(never)}}
		again.look()
		require.True(t, n.duties.leads())
		time.Sleep(12 * time.Second)
		synctest.Wait()
		require.False(t, r.alive(id))
	})
}

func TestAMassExpiryIsSpread(t *testing.T) {
	led(t, func(t *testing.T, n *Node, r *replica) {
		const sessions = 3 * maxExpiriesPerTick
		for i := range sessions {
			r.send(open(i, time.Second))
		}
		r.await(t, "sessions", func(m *state.Machine) bool { return m.Sessions().Len() == sessions })
		for left := sessions; left > 0; left -= maxExpiriesPerTick {
			for r.sessions() == left {
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
			}
			require.Equal(t, left-maxExpiriesPerTick, r.sessions())
		}
		require.Equal(t, uint64(sessions), n.Stats().Expired)
	})
}

func TestExpireSessionEndsItNow(t *testing.T) {
	led(t, func(t *testing.T, n *Node, r *replica) {
		id := r.session(t, time.Hour)
		require.NoError(t, n.ExpireSession(t.Context(), id, "because"))
		end, ok := r.ended(id)
		require.True(t, ok)
		require.Equal(t, "because", end.Cause)
		require.ErrorIs(t, n.ExpireSession(t.Context(), id, "again"), ErrNoSession)

		other := r.session(t, time.Hour)
		n.prop.rest() // nothing gets through
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		require.ErrorIs(t, n.ExpireSession(ctx, other, "late"), context.DeadlineExceeded)
		require.Empty(t, n.duties.waiting)
	})
}

func TestContainersAndTTLNodesAreReaped(t *testing.T) {
	led(t, func(t *testing.T, n *Node, r *replica) {
		id := r.session(t, 24*time.Hour)
		var seq uint64
		do := func(op protocol.Op, body []byte) {
			seq++
			r.send(write(id, 1, seq, op, body))
			synctest.Wait()
		}
		do(protocol.OpCreate, protocol.AppendCreate(nil, &znode.CreateOp{Path: "/box", Kind: znode.Container, ACL: znode.OpenACL}))
		do(protocol.OpCreate, protocol.AppendCreate(nil, &znode.CreateOp{Path: "/ttl", Kind: znode.TTL, TTLMs: 60_000, ACL: znode.OpenACL}))
		do(protocol.OpCreate, create("/box/a", nil))
		time.Sleep(30 * time.Second)
		require.True(t, r.has("/box") && r.has("/ttl"))

		do(protocol.OpDelete, protocol.AppendDelete(nil, "/box/a", znode.AnyVersion, false))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.False(t, r.has("/box"), "its last child is gone")

		do(protocol.OpSet, protocol.AppendSet(nil, "/ttl", []byte("kept alive"), znode.AnyVersion))
		time.Sleep(58 * time.Second)
		synctest.Wait()
		require.True(t, r.has("/ttl"), "a change starts its time anew")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.False(t, r.has("/ttl"))
		require.Equal(t, uint64(2), n.Stats().Reaped)
		require.Empty(t, n.duties.reaper.seen, "what is gone is forgotten")
	})
}

func TestReaperLooks(t *testing.T) {
	ttl := func(path string, mzxid uint64) znode.Mortal {
		return znode.Mortal{Path: path, Kind: znode.TTL, TTLMs: 10_000, Mzxid: mzxid, Pzxid: 1}
	}
	paths := func(dead []znode.Mortal) (all []string) {
		for _, m := range dead {
			all = append(all, m.Path)
		}
		return all
	}
	var r reaper
	a, b, c := ttl("/a", 1), ttl("/b", 1), ttl("/c", 1)
	at := func(s int) time.Duration { return time.Duration(s) * time.Second }
	require.Empty(t, r.look([]znode.Mortal{a, b, c}, "", at(100), 10), "all its TTL from when it was first seen")
	require.Empty(t, r.look([]znode.Mortal{a, b, c}, "", at(109), 10))
	b = ttl("/b", 2)
	require.Equal(t, []string{"/a"}, paths(r.look([]znode.Mortal{a, b, c}, "", at(110), 1)), "at most as many as allowed")
	require.Equal(t, []string{"/c"}, paths(r.look([]znode.Mortal{a, b, c}, "", at(111), 10)), "not twice at once")
	require.Equal(t, []string{"/a"}, paths(r.look([]znode.Mortal{a, b}, "", at(115), 10)), "but again, if it was lost")
	require.NotContains(t, r.seen, "/c", "gone")
	require.Empty(t, r.look([]znode.Mortal{a}, "/a", at(116), 10), "half a round")
	require.Contains(t, r.seen, "/b", "forgets nothing before its end")
}

func TestTouchesAreCollectedInTimeForTheShortestTimeout(t *testing.T) {
	for _, c := range []struct{ timeout, want time.Duration }{
		{time.Second, time.Second / 6},
		{time.Minute, time.Second / 2},
		{time.Millisecond, 10 * time.Millisecond},
	} {
		require.Equal(t, c.want, touchInterval(c.timeout))
	}
}

func TestALeaderListensWhenItIsAwakeAnyway(t *testing.T) {
	for _, c := range []struct{ timeout, want time.Duration }{
		{time.Second, time.Second / 4},
		{time.Minute, time.Second / 2},
		{time.Millisecond, 10 * time.Millisecond},
	} {
		require.Equal(t, c.want, listenInterval(c.timeout))
	}
}

var _ raft.MonotonicLogStore = monotonic{}
