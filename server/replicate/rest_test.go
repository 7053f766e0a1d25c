package replicate

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

func TestWhatRaftMayKeepFromAFollower(t *testing.T) {
	const term, newest = 3, 7
	lost := errors.New("lost")
	told := func(p *progress) {
		req := &raft.AppendEntriesRequest{Term: term, PrevLogEntry: newest, LeaderCommitIndex: newest}
		p.appended("2", req, &raft.AppendEntriesResponse{Success: true}, nil)
	}
	for _, c := range []struct {
		name   string
		before func(p *progress)
		req    raft.AppendEntriesRequest
		rests  bool
	}{
		{"what it has answered to", told, raft.AppendEntriesRequest{Term: term, PrevLogEntry: newest, LeaderCommitIndex: newest}, true},
		{"nothing that it has not answered to", func(*progress) {}, raft.AppendEntriesRequest{Term: term, PrevLogEntry: newest, LeaderCommitIndex: newest}, false},
		{"no commit that may still come", told, raft.AppendEntriesRequest{Term: term, PrevLogEntry: newest, LeaderCommitIndex: newest - 1}, false},
		{"no later commit", told, raft.AppendEntriesRequest{Term: term, PrevLogEntry: newest + 1, LeaderCommitIndex: newest + 1}, false},
		{"nothing of another term", told, raft.AppendEntriesRequest{Term: term + 1, PrevLogEntry: newest, LeaderCommitIndex: newest}, false},
		{"nothing while an entry is stored", func(p *progress) {
			told(p)
			p.storing(newest + 1)
		}, raft.AppendEntriesRequest{Term: term, PrevLogEntry: newest, LeaderCommitIndex: newest}, false},
		{"nothing after a heartbeat without an answer", func(p *progress) {
			told(p)
			p.heartbeat("2", time.Now(), lost)
		}, raft.AppendEntriesRequest{Term: term, PrevLogEntry: newest, LeaderCommitIndex: newest}, false},
		{"nothing after a heartbeat that was refused", func(p *progress) {
			told(p)
			p.heartbeat("2", time.Now(), p.refused("2", term+1))
		}, raft.AppendEntriesRequest{Term: term, PrevLogEntry: newest, LeaderCommitIndex: newest}, false},
		{"nothing after entries without an answer", func(p *progress) {
			told(p)
			p.appended("2", &raft.AppendEntriesRequest{Term: term}, nil, lost)
		}, raft.AppendEntriesRequest{Term: term, PrevLogEntry: newest, LeaderCommitIndex: newest}, false},
		{"nothing after entries that do not fit its log", func(p *progress) {
			told(p)
			p.appended("2", &raft.AppendEntriesRequest{Term: term}, &raft.AppendEntriesResponse{}, nil)
		}, raft.AppendEntriesRequest{Term: term, PrevLogEntry: newest, LeaderCommitIndex: newest}, false},
		{"nothing from one whose heartbeat is late", func(p *progress) {
			told(p)
			p.memberLocked("2").heard = time.Now().Add(-heartbeatLate)
		}, raft.AppendEntriesRequest{Term: term, PrevLogEntry: newest, LeaderCommitIndex: newest}, false},
		{"nothing of a reign before", func(p *progress) {
			told(p)
			p.begin(term)
		}, raft.AppendEntriesRequest{Term: term, PrevLogEntry: newest, LeaderCommitIndex: newest}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProgress()
			p.begin(term)
			p.storing(newest)
			c.before(p)
			require.Equal(t, c.rests, p.atRest("2", &c.req) != nil)
		})
	}
}

// resting tells whether some message of a leader's is held back now.
func (p *progress) resting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.news != nil
}

func TestAnIdleClusterIsAtRest(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.writes(e.leader())
		e.equal()
		e.atRest()
		at := 0
		for range 1000 {
			time.Sleep(5 * time.Millisecond)
			if e.leader().progress.resting() {
				at++
			}
		}
		require.Greater(t, at, 800, "of 1000 looks")
	})
}

// atRest waits until followers have been told all and raft comes with it again.
func (e *ensemble) atRest() {
	e.Helper()
	time.Sleep(4 * commitTimeout)
	e.until("at rest", 3*restFor, e.leader().progress.resting)
}

// A message that rests neither keeps a write waiting nor goes before it.
func TestAWriteEndsTheRest(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		for range 20 {
			e.atRest()
			require.Less(t, e.writes(e.leader()), commitTimeout)
			e.atRest()
			require.Less(t, e.writes(e.follower()), commitTimeout)
		}
		e.equal()
	})
}

// The follower's answer to a message that tells it nothing would be waited for first.
func TestTheWayToAFollowerIsNotGoneTwiceAfterARest(t *testing.T) {
	const way = 10 * time.Millisecond
	running(t, 3, func(e *ensemble) {
		leader := e.leader()
		for _, s := range e.servers {
			if s != leader {
				e.net.Delay(leader.host, s.host, way)
				e.net.Delay(s.host, leader.host, way)
			}
		}
		quick := 0
		for range 10 { // some of them may meet a message that is on its way
			e.atRest()
			e.until("one has answered a moment ago", 10*time.Second, func() bool { return slices.Min(e.silences(leader)) < standInFor/2 })
			if e.writes(leader) < 4*way {
				quick++
			}
		}
		require.GreaterOrEqual(t, quick, 6)
	})
}

// Nobody who has clients here would send it a notice: the follower hears of the
// commit from raft.
func TestAFollowerWithoutClientsHearsOfACommitAsBefore(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		for range 10 {
			e.atRest()
			e.writes(e.leader())
			newest := e.leader().fsm.newest.Load().index
			took := e.until("all have it", time.Second, func() bool {
				for _, s := range e.servers {
					if s.fsm.newest.Load().index < newest {
						return false
					}
				}
				return true
			})
			require.Less(t, took, 3*commitTimeout)
		}
	})
}

func TestAServerThatComesBackToAClusterAtRestIsToldOfItsCommit(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		e.writes(e.leader())
		for range 5 {
			e.equal()
			e.atRest()
			s := e.follower()
			e.crash(s)
			e.start(s)
			want := e.leader().fsm.newest.Load().index
			took := e.until("it has all", 5*time.Second, func() bool {
				newest := s.fsm.newest.Load()
				return newest != nil && newest.index >= want
			})
			require.Less(t, took, restFor/2)
			e.settled()
		}
	})
}

// The address of a member changes under raft's eyes: it must have come by.
func TestAMemberMovesWithoutWaitingForTheRestToEnd(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		leader := e.leader()
		tr := leader.instance().trans.(*peerTransport)
		for range 3 {
			for _, s := range e.servers {
				if s == leader {
					continue
				}
				e.atRest()
				began := time.Now()
				release, err := tr.silence(e.Context(), serverID(s.id))
				require.NoError(t, err)
				release()
				require.Less(t, time.Since(began), 3*commitTimeout)
			}
		}
	})
}

// silences are for how long the followers have not answered their leader.
func (e *ensemble) silences(leader *server) (all []time.Duration) {
	for _, id := range leader.others() {
		all = append(all, leader.lagOf(id).silence)
	}
	return all
}

// A message that is answered in place of a follower lengthens raft's lease, which
// is to be over before a follower that hears nothing stands for election.
func TestALeaderThatIsCutOffAtRestGoesBeforeAnotherComes(t *testing.T) {
	for range 10 {
		running(t, 3, func(e *ensemble) {
			e.pinned(3)
			e.atRest()
			old := e.leader()
			e.net.Isolate(old.host, "s1", "s2", "s3")
			cut := time.Now()
			time.Sleep(heartbeatLate - 20*time.Millisecond - slices.Max(e.silences(old)))
			inst := old.instance()
			answer := inst.ask(func() error { return inst.raft.Barrier(0).Error() })
			const look = time.Millisecond
			for inst.raft.State() == raft.Leader {
				time.Sleep(look)
			}
			require.LessOrEqual(t, time.Since(cut), heartbeatTimeout+look)
			require.Error(t, <-answer)
		})
	}
}
