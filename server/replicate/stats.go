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
	Lag         uint64 // entries of any kind that are committed, as far as this server knows, and not applied

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
	Streams         StreamStats

	LeaderChanges   uint64            // times another leader was followed, or this server began to lead
	Followers       map[uint64]uint64 // while leading: entries each other member is behind
	Unreachable     int               // while leading: members that have not answered for a second
	SnapshotsSent   uint64
	EarlyAnswers    uint64        // messages with entries that members had answered before raft asked
	LogWrite        time.Duration // for how long the oldest write to the log has been under way
	Withheld        uint64        // messages to followers held back because a write hung
	Rebuilds        uint64        // times raft and the machine started anew
	EarlyStands     uint64        // elections begun because the leader's connections broke
	MemberChanges   uint64        // of the membership, done by this server as leader
	TransfersFailed uint64        // handovers of leadership that did not end in time
	Guard           GuardStats
}

// Stats may be called from any goroutine at any time.
func (n *Node) Stats() Stats {
	s := Stats{
		Leading: n.leadTerm.Load() != 0, Leaderships: n.counts.leaderships.Load(),
		Resends: n.counts.resends.Load(), Overdue: n.counts.overdue.Load(),
		SnapshotErrors:  n.counts.snapshotErrors.Load(),
		TrackedSessions: n.duties.tracked(), Expired: n.duties.counts.expired.Load(),
		Reaped: n.duties.counts.reaped.Load(), Stalls: n.duties.counts.stalls.Load(),
		Proposer: n.prop.Stats(), Streams: n.streams.Stats(), State: raft.Shutdown.String(),
		LeaderChanges: n.counts.leaderChanges.Load(), SnapshotsSent: n.progress.sent(),
		EarlyAnswers: n.progress.answeredEarly.Load(),
		Rebuilds:     n.counts.rebuilds.Load(), EarlyStands: n.counts.earlyStands.Load(),
		MemberChanges: n.counts.memberChanges.Load(), TransfersFailed: n.counts.transfersFailed.Load(),
	}
	s.Guard = n.guard.stats()
	if !n.opened.Load() {
		return s
	}
	n.fsm.stats(&s)
	if inst := n.instance(); inst != nil {
		n.raftStats(inst, &s)
	}
	select {
	case <-n.ready:
		s.Ready = true
	default:
	}
	return s
}

func (n *Node) raftStats(inst *instance, s *Stats) {
	r := inst.raft
	s.State, s.Term = r.State().String(), r.CurrentTerm()
	applied := r.AppliedIndex() // before the commit index, which is ahead
	s.LastIndex, s.CommitIndex = r.LastIndex(), r.CommitIndex()
	s.Lag = s.CommitIndex - min(applied, s.CommitIndex)
	s.TrailingLogs = r.ReloadableConfig().TrailingLogs
	s.LogWrite, s.Withheld = inst.gate.age(), inst.gate.withheld.Load()
	if !s.Leading {
		return
	}
	s.Followers = map[uint64]uint64{}
	for _, id := range n.others() {
		l := n.progress.of(serverID(id), s.LastIndex)
		s.Followers[id] = l.entries
		if l.silence > unreachableAfter {
			s.Unreachable++
		}
	}
}

func (f *fsm) stats(s *Stats) {
	n := &f.counts
	s.Applied, s.Entries, s.EntryBytes = n.index.Load(), n.entries.Load(), n.bytes.Load()
	s.Snapshots, s.Snapshotting = n.snapshots.Load(), n.persisting.Load()
	s.SnapshotTook, s.SnapshotBytes = time.Duration(n.persistNanos.Load()), n.persistBytes.Load()
	s.LogBytesSinceSnapshot, s.Restores = n.sinceBytes.Load(), n.restores.Load()
}
