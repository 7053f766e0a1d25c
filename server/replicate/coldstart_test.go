package replicate

import (
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// soon is what an election takes that nobody waits for a timeout for.
const soon = heartbeatTimeout / 2

func TestAStoppedClusterIsLedAgainAtOnce(t *testing.T) {
	for _, row := range []struct {
		name     string
		order    []uint64
		pause    time.Duration // before the second
		together bool          // the third is not waited with
	}{
		{"all together", []uint64{1, 2, 3}, 0, true},
		{"all together, the last one first", []uint64{3, 2, 1}, 0, true},
		{"one after the other", []uint64{1, 2, 3}, 50 * time.Millisecond, false},
		{"one that has long been a candidate", []uint64{1, 3, 2}, 1700 * time.Millisecond, true},
		{"a candidate and one more", []uint64{2, 1, 3}, 3 * time.Second, false},
		{"two of three", []uint64{3, 1, 2}, 20 * time.Millisecond, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			running(t, 3, func(e *ensemble) {
				e.pinned(3)
				e.writes(e.follower())
				e.equal()
				for _, id := range row.order { // so that the first has seen the least
					e.stop(e.servers[id])
				}
				start := func(n int) { e.start(e.servers[row.order[n]]) }
				start(0)
				time.Sleep(row.pause)
				start(1)
				if row.together {
					start(2)
				}
				took := e.until("there is a leader", 10*time.Second, func() bool { return e.leader() != nil })
				require.Less(t, took, soon, "from when a majority is there")
				e.settled()
				e.writes(e.follower())
				if !row.together {
					start(2)
					e.settled()
				}
				e.equal()
			})
		})
	}
}

func TestAServerThatLacksEntriesDoesNotStandFirst(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		require.NoError(t, e.leader().TransferLeader(e.Context(), 3))
		e.until("leads", time.Second, func() bool { return e.leader() == e.servers[3] })
		behind := e.servers[1]
		e.stop(behind)
		e.writes(e.servers[2])
		e.stop(e.servers[2])
		e.stop(e.servers[3])
		for id := range e.servers {
			e.start(e.servers[id])
		}
		took := e.until("there is a leader", 10*time.Second, func() bool { return e.leader() != nil })
		require.Less(t, took, soon)
		require.NotEqual(t, behind, e.leader())
		e.settled()
		e.equal()
	})
}

// A server that starts beside a leader changes nothing, even if it cannot hear it.
func TestAServerThatStartsDisturbsNoLeader(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		leader, s := e.leader(), e.follower()
		_, term := leader.Leader()
		e.stop(s)
		time.Sleep(time.Second)
		e.net.Cut(leader.host, s.host)
		e.start(s)
		time.Sleep(time.Second)
		require.Equal(t, leader, e.leader())
		require.Zero(t, s.instance().stoodAt.Load(), "the other follower knows the leader")
		e.net.HealAll()
		e.settled()
		_, now := leader.Leader()
		require.Equal(t, term, now)
		require.Equal(t, heartbeatTimeout, s.instance().raft.ReloadableConfig().HeartbeatTimeout)
	})
}

func TestWhoMayStandAtOnce(t *testing.T) {
	const self, voters = 2, 3
	here := standing{LastTerm: 5, LastIndex: 100, Term: 6, Leaderless: true, Waits: true}
	like := func(change func(*standing)) standing {
		s := here
		change(&s)
		return s
	}
	for _, row := range []struct {
		name   string
		own    standing
		others map[uint64]standing
		may    bool
	}{
		{"nobody answers", here, nil, false},
		{"a majority is there, and the ids decide", here, map[uint64]standing{3: here}, true},
		{"the other one has the lower id", here, map[uint64]standing{1: here}, false},
		{"the other one lacks an entry", here, map[uint64]standing{1: like(func(s *standing) { s.LastIndex-- })}, true},
		{"the other one has an entry more", here, map[uint64]standing{3: like(func(s *standing) { s.LastIndex++ })}, false},
		{"the other one has fewer entries, of a later term", here, map[uint64]standing{3: like(func(s *standing) { s.LastTerm, s.LastIndex = 6, 7 })}, false},
		{"the other one has as much and cannot stand at once", here, map[uint64]standing{1: like(func(s *standing) { s.Waits = false })}, true},
		{"the other one has more and cannot stand at once", here, map[uint64]standing{3: like(func(s *standing) { s.Waits, s.LastIndex = false, 101 })}, false},
		{"the other one has seen a later term", here, map[uint64]standing{3: like(func(s *standing) { s.Term++ })}, false},
		{"the other one has seen a later term and lacks an entry", here, map[uint64]standing{3: like(func(s *standing) { s.Term, s.LastIndex = 7, 99 })}, true},
		{"one knows a leader", here, map[uint64]standing{1: like(func(s *standing) { s.Leaderless, s.LastIndex = false, 1 }), 3: here}, false},
		{"one runs an older program", here, map[uint64]standing{3: {LastIndex: 9, SilenceMs: 1e12}}, false},
		{"this server knows a leader", like(func(s *standing) { s.Leaderless = false }), map[uint64]standing{3: here}, false},
		{"this server is a candidate", like(func(s *standing) { s.Waits = false }), map[uint64]standing{3: here}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			require.Equal(t, row.may, row.own.mayStand(self, row.others, voters))
		})
	}
}

func TestTheLastTermMayBeInTheSnapshot(t *testing.T) {
	require.EqualValues(t, 4, lastTerm(map[string]string{"last_log_index": "9", "last_log_term": "4", "last_snapshot_index": "7", "last_snapshot_term": "3"}))
	require.EqualValues(t, 3, lastTerm(map[string]string{"last_log_index": "0", "last_log_term": "0", "last_snapshot_index": "7", "last_snapshot_term": "3"}))
}

// A leader that two restarted servers cannot hear goes on vouching for sessions, up to a
// heartbeat timeout after the last majority that it heard: its successor counts their time
// from behind that, however early it was elected.
func TestALeaderElectedAtOnceLeavesSessionsWhatItsForerunnerVouchedFor(t *testing.T) {
	const timeout = 4 * time.Second
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		old := e.leader()
		old.session(t, timeout)
		e.equal()
		e.net.Isolate(old.host, "s1", "s2", "s3")
		for _, s := range e.servers {
			if s != old {
				e.stop(s)
			}
		}
		for _, s := range e.servers {
			if s != old {
				e.start(s)
			}
		}
		var vouched time.Time
		for old.Contact() == 0 {
			vouched = time.Now()
			time.Sleep(time.Millisecond)
		}
		var d *duties
		e.until("a leader after it", 5*time.Second, func() bool {
			for _, s := range e.servers {
				if s != old && s.duties.leads() {
					d = s.duties
				}
			}
			return d != nil
		})
		d.mu.Lock()
		defer d.mu.Unlock()
		require.Equal(t, 1, d.tracker.Len())
		require.Empty(t, d.tracker.Due(vouched.Sub(d.origin)+timeout-1, 1))
	})
}

func TestWhoHasRaftLookAtItsTimerLeavesTheTimeouts(t *testing.T) {
	n, _ := start(t, newDisk(), Config{})
	for range 20 {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for range 500 {
					n.lookAtTimer()
				}
			})
		}
		for range 1000 { // as the loop does with an election that is prepared
			for _, timeout := range []time.Duration{leaderLease, heartbeatTimeout} {
				n.reload(func(c *raft.ReloadableConfig) { c.HeartbeatTimeout, c.ElectionTimeout = timeout, timeout })
			}
		}
		wg.Wait()
		c := n.instance().raft.ReloadableConfig()
		require.Equal(t, heartbeatTimeout, c.HeartbeatTimeout)
		require.Equal(t, electionTimeout, c.ElectionTimeout)
	}
}
