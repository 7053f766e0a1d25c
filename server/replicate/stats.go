package replicate

import (
	"time"

	"github.com/hashicorp/raft"
)

// Stats are the figures of a Node: counts since the start and depths of now.
type Stats struct {
	State       string // Follower, Candidate, Leader, Shutdown
	Leading     bool
	Ready       bool
	Leaderships uint64
	Term        uint64
	LastIndex   uint64
	CommitIndex uint64
	Applied     uint64 // index of the last entry that the machine has applied

	Entries, EntryBytes uint64 // applied
	Resends             uint64 // times the lanes were asked to send again
	Overdue             uint64 // ticks at which a batch was past its deadline

	Snapshots, SnapshotErrors uint64
	Snapshotting              bool
	SnapshotTook              time.Duration // of the last one
	SnapshotBytes             int64
	LogBytesSinceSnapshot     int64
	TrailingLogs              uint64
	Restores                  uint64 // images put in place

	TrackedSessions int
	Expired, Reaped uint64 // proposed
	Stalls          uint64 // times this server stood still
	Proposer        ProposerStats
}

// Stats may be called from any goroutine at any time.
func (n *Node) Stats() Stats {
	s := Stats{
		Leading: n.leadTerm.Load() != 0, Leaderships: n.counts.leaderships.Load(),
		Resends: n.counts.resends.Load(), Overdue: n.counts.overdue.Load(),
		SnapshotErrors:  n.counts.snapshotErrors.Load(),
		TrackedSessions: n.duties.tracked(), Expired: n.duties.counts.expired.Load(),
		Reaped: n.duties.counts.reaped.Load(), Stalls: n.duties.counts.stalls.Load(),
		Proposer: n.prop.Stats(), State: raft.Shutdown.String(),
	}
	if !n.opened.Load() {
		return s
	}
	s.State, s.Term = n.raft.State().String(), n.raft.CurrentTerm()
	s.LastIndex, s.CommitIndex = n.raft.LastIndex(), n.raft.CommitIndex()
	s.TrailingLogs = n.raft.ReloadableConfig().TrailingLogs
	n.fsm.stats(&s)
	select {
	case <-n.ready:
		s.Ready = true
	default:
	}
	return s
}

func (f *fsm) stats(s *Stats) {
	n := &f.counts
	s.Applied, s.Entries, s.EntryBytes = n.index.Load(), n.entries.Load(), n.bytes.Load()
	s.Snapshots, s.Snapshotting = n.snapshots.Load(), n.persisting.Load()
	s.SnapshotTook, s.SnapshotBytes = time.Duration(n.persistNanos.Load()), n.persistBytes.Load()
	s.LogBytesSinceSnapshot, s.Restores = n.sinceBytes.Load(), n.restores.Load()
}
