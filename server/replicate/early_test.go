package replicate

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

func entry(index, term uint64) *raft.Log { return &raft.Log{Index: index, Term: term} }

func TestOnlySmallBatchesOfCommandsRightBehindTheNewestAppliedAreWorthSendingEarly(t *testing.T) {
	t.Parallel()
	before := logID{7, 3}
	command := func(index, term uint64, size int) *raft.Log {
		return &raft.Log{Index: index, Term: term, Data: make([]byte, size)}
	}
	membership := func(index uint64) *raft.Log { return &raft.Log{Index: index, Term: 3, Type: raft.LogConfiguration} }
	for name, c := range map[string]struct {
		entries []*raft.Log
		want    bool
	}{
		"one":                        {[]*raft.Log{command(8, 3, 100)}, true},
		"as large as may be":         {[]*raft.Log{command(8, 3, maxEarlyBytes)}, true},
		"two":                        {[]*raft.Log{command(8, 3, 1), command(9, 3, 1)}, true},
		"none":                       {nil, false},
		"too large":                  {[]*raft.Log{command(8, 3, maxEarlyBytes+1)}, false},
		"too large together":         {[]*raft.Log{command(8, 3, maxEarlyBytes), command(9, 3, 1)}, false},
		"of another term":            {[]*raft.Log{command(8, 4, 1)}, false},
		"of two terms":               {[]*raft.Log{command(8, 3, 1), command(9, 4, 1)}, false},
		"another is under way":       {[]*raft.Log{command(9, 3, 1)}, false},
		"one that is there":          {[]*raft.Log{command(7, 3, 1)}, false},
		"with a gap":                 {[]*raft.Log{command(8, 3, 1), command(10, 3, 1)}, false},
		"a membership":               {[]*raft.Log{membership(8)}, false},
		"a membership among entries": {[]*raft.Log{command(8, 3, 1), membership(9)}, false},
	} {
		require.Equal(t, c.want, worthSendingEarly(before, c.entries), name)
	}
}

func ask(term uint64, before logID, entries ...*raft.Log) *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{Term: term, PrevLogEntry: before.index, PrevLogTerm: before.term, Entries: entries}
}

// What raft asks must be what the early message asked, in all that makes it up.
func TestAnEarlyAnswerAnswersTheSameQuestionAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := logID{7, 2}
		accepted := raft.AppendEntriesResponse{Term: 3, Success: true}
		done := make(chan struct{})
		close(done)
		for name, c := range map[string]struct {
			to   raft.ServerAddress
			req  *raft.AppendEntriesRequest
			resp raft.AppendEntriesResponse
			age  time.Duration
			want bool
		}{
			"the same":                {"a", ask(3, before, entry(8, 3), entry(9, 3)), accepted, 0, true},
			"just fresh":              {"a", ask(3, before, entry(8, 3), entry(9, 3)), accepted, standInFor, true},
			"stale":                   {"a", ask(3, before, entry(8, 3), entry(9, 3)), accepted, standInFor + 1, false},
			"other data of a member":  {"b", ask(3, before, entry(8, 3), entry(9, 3)), accepted, 0, false},
			"a later term":            {"a", ask(4, before, entry(8, 3), entry(9, 3)), raft.AppendEntriesResponse{Term: 4, Success: true}, 0, false},
			"behind another entry":    {"a", ask(3, logID{6, 2}, entry(8, 3), entry(9, 3)), accepted, 0, false},
			"behind one of a term":    {"a", ask(3, logID{7, 3}, entry(8, 3), entry(9, 3)), accepted, 0, false},
			"fewer":                   {"a", ask(3, before, entry(8, 3)), accepted, 0, false},
			"more":                    {"a", ask(3, before, entry(8, 3), entry(9, 3), entry(10, 3)), accepted, 0, false},
			"none":                    {"a", ask(3, before), accepted, 0, false},
			"an entry of a term":      {"a", ask(3, before, entry(8, 3), entry(9, 2)), accepted, 0, false},
			"an entry with a gap":     {"a", ask(3, before, entry(8, 3), entry(10, 3)), accepted, 0, false},
			"refused":                 {"a", ask(3, before, entry(8, 3), entry(9, 3)), raft.AppendEntriesResponse{Term: 3}, 0, false},
			"by one of a later term":  {"a", ask(3, before, entry(8, 3), entry(9, 3)), raft.AppendEntriesResponse{Term: 4, Success: true}, 0, false},
			"by one that had no term": {"a", ask(3, before, entry(8, 3), entry(9, 3)), raft.AppendEntriesResponse{Success: true}, 0, false},
		} {
			trans := &peerTransport{progress: newProgress(), earlies: earlies{unasked: map[raft.ServerID]*earlyAppend{
				"1": {to: "a", req: ask(3, before, entry(8, 3), entry(9, 3)), done: done, resp: c.resp, answered: time.Now()},
			}}}
			time.Sleep(c.age)
			var resp raft.AppendEntriesResponse
			require.Equal(t, c.want, trans.answeredEarly("1", c.to, c.req, &resp), name)
			require.Equal(t, c.want, resp.Success, name)
			require.False(t, trans.answeredEarly("2", c.to, c.req, &resp), "another member")
		}
		failed := &earlyAppend{to: "a", req: ask(3, before, entry(8, 3)), done: done, resp: accepted, err: errWithheld, answered: time.Now()}
		underWay := &earlyAppend{to: "a", req: failed.req, done: make(chan struct{})}
		trans := &peerTransport{progress: newProgress(), closed: done, earlies: earlies{unasked: map[raft.ServerID]*earlyAppend{"1": failed, "2": underWay}}}
		var resp raft.AppendEntriesResponse
		require.False(t, trans.answeredEarly("1", "a", failed.req, &resp), "one that was never answered")
		require.False(t, trans.answeredEarly("2", "a", failed.req, &resp), "the transport has closed")
	})
}

// Who is behind, out of reach or sent a snapshot is passed over: raft would
// not ask it for these entries next, or would wait.
func TestAFollowerThatRaftWouldNotAskForAnEntryIsNotSentItEarly(t *testing.T) {
	holds := func(p *progress, index uint64) {
		p.appended("2", ask(3, logID{index - 1, 3}, entry(index, 3)), &raft.AppendEntriesResponse{Term: 3, Success: true}, nil)
	}
	for _, c := range []struct {
		name   string
		before func(p *progress)
		awaits bool
	}{
		{"that holds all before", func(p *progress) { holds(p, 7) }, true},
		{"that was never heard of", func(*progress) {}, false},
		{"that is behind", func(p *progress) { holds(p, 6) }, false},
		{"that holds it", func(p *progress) { holds(p, 8) }, false},
		{"of a reign before", func(p *progress) { holds(p, 7); p.begin(4) }, false},
		{"that cannot be reached", func(p *progress) {
			holds(p, 7)
			time.Sleep(time.Millisecond)
			p.appended("2", ask(3, logID{7, 3}), nil, errWithheld)
		}, false},
		{"that is storing the one before", func(p *progress) { holds(p, 6); p.sends("2", ask(3, logID{6, 3}, entry(7, 3))) }, true},
		{"that is storing earlier ones", func(p *progress) { holds(p, 5); p.sends("2", ask(3, logID{5, 3}, entry(6, 3))) }, false},
		{"that was sent the one before in an earlier reign", func(p *progress) { p.sends("2", ask(2, logID{6, 2}, entry(7, 2))); holds(p, 6) }, false},
		{"that was sent the one before in a reign that is over", func(p *progress) {
			p.sends("2", ask(3, logID{6, 3}, entry(7, 3)))
			p.begin(4)
			p.appended("2", ask(4, logID{6, 3}), &raft.AppendEntriesResponse{Term: 4, Success: true}, nil)
		}, false},
		{"that has refused the one before", func(p *progress) {
			holds(p, 6)
			p.sends("2", ask(3, logID{6, 3}, entry(7, 3)))
			p.appended("2", ask(3, logID{6, 3}, entry(7, 3)), &raft.AppendEntriesResponse{Term: 3}, nil)
		}, false},
		{"that has failed to answer the one before", func(p *progress) {
			holds(p, 6)
			p.sends("2", ask(3, logID{6, 3}, entry(7, 3)))
			p.appended("2", ask(3, logID{6, 3}, entry(7, 3)), nil, errWithheld)
			time.Sleep(time.Millisecond)
			p.heartbeat("2", time.Now(), nil) // it can be reached again
		}, false},
		{"that is slower than others, and is storing the one before", func(p *progress) {
			holds(p, 6)
			p.sends("2", ask(3, logID{6, 3}, entry(7, 3)))
			p.outruns("2", true)
		}, false},
		{"that is slower than others, and has caught up", func(p *progress) { holds(p, 7); p.outruns("2", true) }, true},
		{"that is sent a snapshot", func(p *progress) { holds(p, 7); p.installing("2", true) }, false},
		{"that was sent a snapshot over the one before", func(p *progress) {
			holds(p, 6)
			p.sends("2", ask(3, logID{6, 3}, entry(7, 3)))
			p.installing("2", true)
			p.installing("2", false)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProgress()
				p.begin(3)
				c.before(p)
				require.Equal(t, c.awaits, p.awaits("2", 7))
			})
		})
	}
}

// An early message passes by what holds raft's own back, so it asks first; raft
// alone is waited for until it has come back.
func TestWhatRaftsMessageWouldWaitForHoldsAnEarlyOneBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan struct{})
		trans := &peerTransport{gate: newGate(newDisk().logs), silenced: map[raft.ServerID]chan struct{}{"2": asked}}
		require.True(t, trans.holdsBack("2"), "its address changes")
		require.False(t, trans.holdsBack("3"))
		select {
		case <-asked:
			require.Fail(t, "that was not raft")
		default:
		}
		written := trans.gate.enter()
		time.Sleep(hangAfter)
		require.False(t, trans.holdsBack("3"), "the disk may still be slow")
		time.Sleep(time.Nanosecond)
		require.True(t, trans.holdsBack("3"), "the disk hangs")
		written()
		require.False(t, trans.holdsBack("3"))
	})
}

func (e *ensemble) lastIndex(s *server) uint64 {
	e.Helper()
	last, err := s.store.LastIndex()
	require.NoError(e, err)
	return last
}

func unaskedEarly(s *server, to raft.ServerID) *earlyAppend {
	e := &s.instance().trans.(*peerTransport).earlies
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.unasked[to]
}

// hold has the disk of a server hold back writes of its log until release, which
// may have them fail.
func hold(s *server) (release func(fail bool)) {
	gate := make(chan struct{})
	s.store.gate.Store(&gate)
	return func(fail bool) {
		s.store.refuse.Store(fail)
		s.store.gate.Store(nil)
		close(gate)
	}
}

// idle is a cluster with a session at each server, in which nothing is under way.
func idle(t *testing.T, f func(e *ensemble, all []*writer)) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		all := e.writers()
		e.until("nothing is written", time.Minute, func() bool {
			before := e.lastIndex(e.servers[1])
			time.Sleep(4 * time.Second) // longer than the leader waits before it names the members
			synctest.Wait()             // for what began at this very moment
			return e.lastIndex(e.servers[1]) == before
		})
		f(e, all)
	})
}

func TestFollowersWriteASmallEntryWhileTheLeaderDoes(t *testing.T) {
	for size, early := range map[int]bool{10: true, maxEarlyBytes: false} {
		idle(t, func(e *ensemble, all []*writer) {
			leader, before := e.leader(), e.lastIndex(e.leader())
			release := hold(leader)
			all[leader.id-1].write(size)
			synctest.Wait()
			for _, s := range e.servers {
				require.Equal(t, early && s != leader, e.lastIndex(s) == before+1, "server %d, %d bytes", s.id, size)
			}
			require.Equal(t, 1, all[leader.id-1].waiting(), "two have it, but the leader may not count itself")
			release(false)
			synctest.Wait()
			require.Zero(t, all[leader.id-1].waiting())
			for _, s := range e.servers {
				require.Equal(t, before+1, e.lastIndex(s), "it is there once")
			}
			e.checked(all)
		})
	}
}

// Raft is answered without a message of its own, by both followers each time.
func TestAnEarlyMessageStandsForRaftsOwn(t *testing.T) {
	idle(t, func(e *ensemble, all []*writer) {
		leader := e.leader()
		before := leader.Stats()
		for range 10 {
			all[leader.id-1].write(10)
			synctest.Wait()
			require.Zero(t, all[leader.id-1].waiting())
		}
		now := leader.Stats()
		require.Equal(t, uint64(20), now.EarlyAnswers-before.EarlyAnswers)
		e.checked(all)
		for _, s := range e.servers {
			require.Equal(t, s == leader, s.Stats().EarlyAnswers > 0, "what server %d receives it does not send", s.id)
		}
	})
}

// A commit needs the fastest ones alone: who still writes the entry before has the next one
// waiting for it, and raft is answered by that too if it asks for that one alone.
func TestAFollowerThatWritesTheEntryBeforeIsSentTheNextOneEarly(t *testing.T) {
	for written, answers := range map[uint64]uint64{2: 2 + 2, 3: 3 + 1} {
		idle(t, func(e *ensemble, all []*writer) {
			leader, far := e.leader(), e.follower()
			all[leader.id-1].write(10) // so that no message of raft's without entries is under way
			synctest.Wait()
			before, begun, index := leader.Stats(), time.Now(), e.lastIndex(leader)
			release := hold(far)
			for i := range written {
				all[leader.id-1].write(10)
				synctest.Wait()
				require.Zero(t, all[leader.id-1].waiting())
				if i > 0 {
					require.Equal(t, index+1, unaskedEarly(leader, serverID(far.id)).req.PrevLogEntry, "one at a time")
				}
			}
			require.Equal(t, index, e.lastIndex(far))
			release(false)
			synctest.Wait()
			require.Equal(t, index+written, e.lastIndex(far))
			require.Zero(t, time.Since(begun))
			require.Equal(t, answers, leader.Stats().EarlyAnswers-before.EarlyAnswers)
			e.checked(all)
		})
	}
}

// What waits for a slower follower is written at one go.
func TestAFollowerThatIsOutrunIsSentNothingBeside(t *testing.T) {
	idle(t, func(e *ensemble, all []*writer) {
		leader, far := e.leader(), e.follower()
		all[leader.id-1].write(10)
		synctest.Wait()
		round := func() (stores int64) {
			before := far.store.calls.Load()
			release := hold(far)
			for range 4 {
				all[leader.id-1].write(10)
				synctest.Wait()
			}
			release(false)
			synctest.Wait()
			return far.store.calls.Load() - before
		}
		require.EqualValues(t, 3, round(), "the first entry, the second beside it, and the others")
		require.EqualValues(t, 2, round(), "the first entry, and all behind it")
		e.checked(all)
	})
}

func TestAnEarlyMessageThatOvertakesTheOneBeforeIsSentAgainByRaft(t *testing.T) {
	idle(t, func(e *ensemble, all []*writer) {
		leader, far := e.leader(), e.follower()
		all[leader.id-1].write(10)
		synctest.Wait()
		before, index := leader.Stats(), e.lastIndex(leader)
		e.net.Delay(hostOf(leader.id), hostOf(far.id), 10*time.Millisecond)
		all[leader.id-1].write(10)
		synctest.Wait()
		e.net.Delay(hostOf(leader.id), hostOf(far.id), 0)
		all[leader.id-1].write(10)
		synctest.Wait()
		require.Zero(t, all[leader.id-1].waiting())
		require.Equal(t, index, e.lastIndex(far), "it refuses what it has not the one before of")
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, index+2, e.lastIndex(far), "raft sends that again, at once")
		require.EqualValues(t, 2+1, leader.Stats().EarlyAnswers-before.EarlyAnswers)
		e.checked(all)
	})
}

// A member that is sent a snapshot may lose the entries behind it, so that what
// it said of them before counts no more.
func TestASnapshotEndsWhatWasSaidEarly(t *testing.T) {
	for snapshot, answers := range map[bool]uint64{false: 1, true: 0} {
		idle(t, func(e *ensemble, all []*writer) {
			leader, follower := e.leader(), e.follower()
			id := serverID(follower.id)
			trans := leader.instance().trans.(*peerTransport)
			release := hold(leader)
			all[leader.id-1].write(10)
			synctest.Wait()
			sent := unaskedEarly(leader, id)
			require.NotNil(t, sent)
			if snapshot { // of a former term, which the follower ignores
				meta := &raft.InstallSnapshotRequest{
					RPCHeader: sent.req.RPCHeader, SnapshotVersion: raft.SnapshotVersionMax,
					Configuration: raft.EncodeConfiguration(leader.configuration()),
				}
				require.NoError(t, trans.InstallSnapshot(id, sent.to, meta, &raft.InstallSnapshotResponse{}, strings.NewReader("")))
			}
			before, resp := leader.Stats().EarlyAnswers, raft.AppendEntriesResponse{}
			require.NoError(t, trans.AppendEntries(id, sent.to, sent.req, &resp))
			require.True(t, resp.Success)
			require.Equal(t, answers, leader.Stats().EarlyAnswers-before)
			release(false)
			e.checked(all)
		})
	}
}

// A leader whose own write fails is none any more, whatever followers hold: the
// client's write comes again in another term and runs once.
func TestALeaderWhoseWriteFailsCountsNoEarlyEntry(t *testing.T) {
	idle(t, func(e *ensemble, all []*writer) {
		leader := e.leader()
		release := hold(leader)
		all[leader.id-1].write(10)
		synctest.Wait()
		release(true)
		synctest.Wait()
		require.Equal(t, 1, all[leader.id-1].waiting())
		require.NotEqual(t, raft.Leader, leader.instance().raft.State())
		leader.store.refuse.Store(false)
		e.checked(all)
	})
}

// The entry stands in the logs of a majority though its leader never had it: the
// next leader commits it, and the former one takes it like any other.
func TestALeaderThatDiesBeforeItsOwnWriteLosesNothing(t *testing.T) {
	idle(t, func(e *ensemble, all []*writer) {
		leader, before := e.leader(), e.lastIndex(e.leader())
		release := hold(leader)
		all[leader.id-1].write(10)
		synctest.Wait()
		e.crash(leader)
		release(true)
		e.dead.Wait()
		require.Equal(t, before, e.lastIndex(leader))
		e.until("the next leader has applied the entry", 10*time.Second, func() bool {
			next := e.leader()
			return next != nil && next.has(all[leader.id-1].path(1))
		})
		leader.store.refuse.Store(false)
		e.start(leader)
		e.settled()
		e.equal()
		require.True(t, leader.has(all[leader.id-1].path(1)))
	})
}

// heldByOne has a write in the log of one follower alone: the leader's disk holds
// it back, and the other follower has died.
func (e *ensemble) heldByOne(all []*writer) (leader, one, two *server, release func(fail bool)) {
	e.Helper()
	leader, one = e.leader(), e.follower()
	two = e.servers[6-leader.id-one.id]
	before := e.lastIndex(leader)
	e.crash(two)
	release = hold(leader)
	all[leader.id-1].write(10)
	synctest.Wait()
	require.Equal(e, before+1, e.lastIndex(one))
	return leader, one, two, release
}

// A follower that has an entry early and loses its leader may find that a majority
// goes on without it.
func TestAnEarlyEntryThatNobodyElseHasGivesWay(t *testing.T) {
	idle(t, func(e *ensemble, all []*writer) {
		leader, one, two, release := e.heldByOne(all)
		require.False(t, one.has(all[leader.id-1].path(1)), "it is not committed")
		e.crash(one)
		e.crash(leader)
		release(true)
		e.dead.Wait()
		leader.store.refuse.Store(false)
		e.start(leader)
		e.start(two)
		e.until("two of them go on", 20*time.Second, func() bool { return two.Serving() == nil })
		e.writes(two)
		e.start(one)
		e.settled()
		e.equal()
		require.False(t, one.has(all[leader.id-1].path(1)), "the client that asked for it is gone")
	})
}

// A follower that dies after its early answer has the entry when it comes back;
// the leader, whose own write took longer, asks it anew.
func TestAFollowerThatDiesAfterItsEarlyAnswerStillHasTheEntry(t *testing.T) {
	idle(t, func(e *ensemble, all []*writer) {
		leader, one, two, release := e.heldByOne(all)
		held := e.lastIndex(one)
		e.crash(one)
		e.dead.Wait()
		require.Equal(t, held, e.lastIndex(one))
		e.start(one)
		time.Sleep(2 * standInFor)
		release(false)
		e.checked(all[leader.id-1 : leader.id])
		e.start(two)
		e.settled()
		e.equal()
		require.True(t, two.has(all[leader.id-1].path(1)))
	})
}
