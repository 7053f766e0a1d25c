package replicate

import (
	"github.com/hashicorp/raft"
)

// logID is where an entry stands: the term in which it was proposed is part of
// what it is.
type logID struct{ index, term uint64 }

// notice is told under the proposer's lock that a batch has been applied here,
// that nothing else is queued or under way, and which followers' clients wait
// for it. hashicorp/raft would tell them of the commit with the next entry or
// after up to twice its commit timeout.
func (i *inlet) notice(index uint64) {
	i.noticed.Store(index)
	hint(i.notices)
}

// nudge tells the follower of commits. One message is under way at a time, and
// the newest entry stands for all before it.
func (i *inlet) nudge() {
	for {
		select {
		case <-i.ctx.Done():
			return
		case <-i.notices:
			i.s.nudge(i)
		}
	}
}

// nudge sends the empty AppendEntries that a leader might have sent anyway: the
// entry before it is the newest one applied here, which is therefore committed,
// and its term is that of this reign, so it was ours to replicate. A follower
// that has another entry there refuses; one that knows a newer term ignores it.
func (s *streams) nudge(i *inlet) {
	newest := s.n.fsm.newest.Load()
	if newest == nil || newest.index < i.noticed.Load() || newest.term != i.reign.term || i.reign.over() {
		return
	}
	s.counts.nudges.Add(1)
	err := s.n.appendTo(i.member, &raft.AppendEntriesRequest{
		Term: newest.term, PrevLogEntry: newest.index, PrevLogTerm: newest.term, LeaderCommitIndex: newest.index,
	})
	if err != nil {
		s.n.cfg.Logger.Debug("commit notice failed", "server", i.member, "error", err)
	}
}
