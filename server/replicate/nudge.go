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

// matched is told how far a follower's log has come. A commit needs the
// fastest ones alone, so that the one whose client waits may not hold the entry
// yet when it is applied here: then the notice waits for it.
func (s *streams) matched(id raft.ServerID, match uint64) {
	r := s.reign()
	r.mu.Lock()
	i := r.inlets[parseServerID(id)]
	r.mu.Unlock()
	if i != nil && i.nudged.Load() < i.noticed.Load() && i.noticed.Load() <= match {
		hint(i.notices)
	}
}

// nudges sends the notices. One is under way at a time, and the newest entry
// stands for all before it.
func (i *inlet) nudges() {
	for {
		select {
		case <-i.ctx.Done():
			return
		case <-i.notices:
			i.nudge()
		}
	}
}

// nudge sends the empty AppendEntries that a leader might have sent anyway: the
// entry before it is the newest one applied here, which is therefore committed,
// and its term is that of this reign, so it was ours to replicate. A follower
// that has another entry there refuses; one that knows a newer term ignores it.
func (i *inlet) nudge() {
	n := i.s.n
	newest, match := n.fsm.newest.Load(), n.progress.match(serverID(i.member))
	switch {
	case newest == nil || newest.term != i.reign.term || i.reign.over():
		return // another leader's to tell
	case newest.index < i.noticed.Load() || match < newest.index:
		return // there will be another hint, or an entry that brings the word
	case newest.index <= i.nudged.Load():
		return // both hints came
	}
	i.nudged.Store(newest.index)
	i.s.counts.nudges.Add(1)
	err := n.appendTo(i.member, &raft.AppendEntriesRequest{
		Term: newest.term, PrevLogEntry: newest.index, PrevLogTerm: newest.term, LeaderCommitIndex: newest.index,
	})
	if err != nil {
		n.cfg.Logger.Debug("commit notice failed", "server", i.member, "error", err)
	}
}
