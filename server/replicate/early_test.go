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

func TestOnlySmallBatchesOfCommandsAreWorthSendingEarly(t *testing.T) {
	t.Parallel()
	command := func(term uint64, size int) *raft.Log { return &raft.Log{Term: term, Data: make([]byte, size)} }
	membership := &raft.Log{Term: 3, Type: raft.LogConfiguration}
	for name, c := range map[string]struct {
		entries []*raft.Log
		want    bool
	}{
		"one":                        {[]*raft.Log{command(3, 100)}, true},
		"as large as may be":         {[]*raft.Log{command(3, maxEarlyBytes)}, true},
		"two":                        {[]*raft.Log{command(3, 1), command(3, 1)}, true},
		"none":                       {nil, false},
		"too large":                  {[]*raft.Log{command(3, maxEarlyBytes+1)}, false},
		"too large together":         {[]*raft.Log{command(3, maxEarlyBytes), command(3, 1)}, false},
		"of two terms":               {[]*raft.Log{command(3, 1), command(4, 1)}, false},
		"a membership":               {[]*raft.Log{membership}, false},
		"a membership among entries": {[]*raft.Log{command(3, 1), membership}, false},
	} {
		require.Equal(t, c.want, worthSendingEarly(c.entries), name)
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
			"just fresh":              {"a", ask(3, before, entry(8, 3), entry(9, 3)), accepted, maxEarlyAge, true},
			"stale":                   {"a", ask(3, before, entry(8, 3), entry(9, 3)), accepted, maxEarlyAge + 1, false},
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
			m := &earlyAppend{to: "a", req: ask(3, before, entry(8, 3), entry(9, 3)), done: done, resp: c.resp, answered: time.Now()}
			time.Sleep(c.age)
			require.Equal(t, c.want, m.answers(c.to, c.req, nil), name)
		}
		failed := &earlyAppend{to: "a", req: ask(3, before, entry(8, 3)), done: done, resp: accepted}
		require.False(t, failed.answers("a", failed.req, nil), "one that was never answered")
		require.False(t, (*earlyAppend)(nil).answers("a", failed.req, nil))
		underWay := &earlyAppend{to: "a", req: failed.req, done: make(chan struct{})}
		require.False(t, underWay.answers("a", failed.req, done), "the transport has closed")
	})
}

// messages are what earlies have sent, which is answered at once.
type messages struct {
	*earlies
	sent chan *earlyAppend
}

var (
	accepted = &raft.AppendEntriesResponse{Term: 3, Success: true}
	rejected = &raft.AppendEntriesResponse{Term: 3}
)

// holding is what there is with a member that has told raft that it holds entries
// up to index, the last one of term 3.
func holding(index uint64) *messages {
	m := &messages{sent: make(chan *earlyAppend, 8)}
	m.earlies = newEarlies(func(raft.ServerID, uint64) bool { return true }, func(a *earlyAppend) { close(a.done); m.sent <- a })
	m.answer(accepted, logID{index - 1, 2}, entry(index, 3))
	return m
}

func (m *messages) answer(resp *raft.AppendEntriesResponse, before logID, entries ...*raft.Log) {
	m.settle("1", "a", ask(3, before, entries...), resp)
}

func (m *messages) next() *earlyAppend {
	m.senders.Wait()
	select {
	case a := <-m.sent:
		return a
	default:
		return nil
	}
}

// An early message goes out only while raft's next one to the member is known.
func TestAnEarlyMessageGoesOutWhileRaftsNextOneIsKnown(t *testing.T) {
	t.Parallel()
	eight, nine := entry(8, 3), entry(9, 3)
	for name, f := range map[string]func() (*messages, *raft.Log){
		"a former term's answer":      func() (*messages, *raft.Log) { return holding(7), entry(8, 4) },
		"entries are missing between": func() (*messages, *raft.Log) { return holding(6), eight },
		"entries that the member has": func() (*messages, *raft.Log) { return holding(8), eight },
		"raft is asking":              func() (*messages, *raft.Log) { m := holding(7); m.take("1"); return m, eight },
		"raft was refused": func() (*messages, *raft.Log) {
			m := holding(7)
			m.take("1")
			m.answer(rejected, logID{7, 3})
			return m, eight
		},
		"one is under way": func() (*messages, *raft.Log) {
			m := holding(7)
			m.begin([]*raft.Log{eight}, 5)
			m.next()
			return m, eight
		},
		"raft has not asked for one": func() (*messages, *raft.Log) {
			m := holding(7)
			m.begin([]*raft.Log{eight}, 5)
			m.next()
			return m, nine
		},
		"the transport has closed": func() (*messages, *raft.Log) { m := holding(7); m.close(); return m, eight },
		"the member is out of reach": func() (*messages, *raft.Log) {
			m := holding(7)
			m.takes = func(raft.ServerID, uint64) bool { return false }
			return m, eight
		},
		"raft asked nothing, ever": func() (*messages, *raft.Log) { m := holding(7); clear(m.members); return m, eight },
	} {
		m, next := f()
		require.False(t, m.begin([]*raft.Log{next}, 5), name)
		require.Nil(t, m.next(), name)
	}

	m := holding(7)
	require.True(t, m.begin([]*raft.Log{eight, nine}, 5))
	sent := m.next()
	require.Equal(t, []*raft.Log{eight, nine}, sent.req.Entries)
	require.Equal(t, logID{7, 3}, logID{sent.req.PrevLogEntry, sent.req.PrevLogTerm})
	require.Equal(t, uint64(5), sent.req.LeaderCommitIndex)
	require.Equal(t, sent, m.take("1"))
	require.Nil(t, m.take("1"), "it counts once")
	m.answer(accepted, logID{7, 3}, eight, nine)
	require.True(t, m.begin([]*raft.Log{entry(10, 3)}, 5), "raft knows that the member holds the entries")
	m.next()
	m.take("1")
	m.answer(accepted, logID{10, 3})
	require.True(t, m.begin([]*raft.Log{entry(11, 3)}, 5), "as it does after a message without entries")
}

func (e *ensemble) lastIndex(s *server) uint64 {
	e.Helper()
	last, err := s.store.LastIndex()
	require.NoError(e, err)
	return last
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
		time.Sleep(time.Second)
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
		require.Equal(t, uint64(20), now.EarlyAppends-before.EarlyAppends)
		require.Equal(t, uint64(20), now.EarlyAnswers-before.EarlyAnswers)
		e.checked(all)
		for _, s := range e.servers {
			require.Equal(t, s == leader, s.Stats().EarlyAppends > 0, "what server %d receives it does not send", s.id)
		}
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
			trans.earlies.mu.Lock()
			sent := trans.earlies.members[id].sent
			trans.earlies.mu.Unlock()
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
		e.until("another leads", 10*time.Second, func() bool { return e.leader() != nil })
		e.until("the entry is applied", 10*time.Second, func() bool { return e.leader().has(all[leader.id-1].path(1)) })
		leader.store.refuse.Store(false)
		e.start(leader)
		e.settled()
		e.equal()
		require.True(t, leader.has(all[leader.id-1].path(1)))
	})
}

// A follower that has an entry early and loses its leader may find that a majority
// goes on without it.
func TestAnEarlyEntryThatNobodyElseHasGivesWay(t *testing.T) {
	idle(t, func(e *ensemble, all []*writer) {
		leader, one := e.leader(), e.follower()
		two := e.servers[6-leader.id-one.id]
		before := e.lastIndex(leader)
		e.crash(two)
		release := hold(leader)
		all[leader.id-1].write(10)
		synctest.Wait()
		require.Equal(t, before+1, e.lastIndex(one))
		require.False(t, one.has(all[leader.id-1].path(1)), "it is not committed")
		e.crash(one)
		e.crash(leader)
		release(true)
		e.dead.Wait()
		leader.store.refuse.Store(false)
		e.start(leader)
		e.start(two)
		e.until("two of them go on", 20*time.Second, func() bool { return e.leader() != nil && e.leader().Serving() == nil })
		e.writes(e.leader())
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
		leader, one := e.leader(), e.follower()
		two := e.servers[6-leader.id-one.id]
		before := e.lastIndex(leader)
		e.crash(two)
		release := hold(leader)
		all[leader.id-1].write(10)
		synctest.Wait()
		e.crash(one)
		e.dead.Wait()
		require.Equal(t, before+1, e.lastIndex(one))
		e.start(one)
		time.Sleep(2 * maxEarlyAge)
		release(false)
		e.checked(all[leader.id-1 : leader.id])
		e.start(two)
		e.settled()
		e.equal()
		require.True(t, two.has(all[leader.id-1].path(1)))
	})
}
