package replicate

import (
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// stand is an election that is prepared because the leader's process seems to
// have died: its connections were reset, which a network that fails does not
// do. Its followers then lower their timeouts to the leader's lease. Nobody is
// disturbed if it lives: a follower that has heard from it within the lease
// does not stand.
//
// A server refuses its pre-vote while it still has a leader itself, so the
// last one to stand wins, and the others must have stood before: each waits a
// little longer than the one before it.
type stand struct {
	timer   *time.Timer
	leader  uint64    // the one that is gone; 0: nothing is prepared
	lowered time.Time // when the timeouts were lowered; zero: they are not
}

// leaderGone is told when all streams to the leader broke at once.
func (n *Node) leaderGone(id uint64) {
	select {
	case n.gone <- id:
	default: // one is enough
	}
}

func (l *loop) prepareStand(id uint64) {
	inst := l.instance()
	if inst == nil || id == 0 || l.leader.Load().id != id || l.leadTerm.Load() != 0 {
		return
	}
	rank, ok := l.rank(id)
	if !ok {
		return
	}
	l.stand.leader = id
	silent := leaderLease + time.Duration(rank)*standStagger + time.Millisecond
	l.stand.timer.Reset(max(0, silent-time.Since(inst.raft.LastContact())))
}

// rank is this server's place among the voters but for one; an observer has
// none.
func (n *Node) rank(without uint64) (rank int, ok bool) {
	var voters []uint64
	for _, s := range n.configuration().Servers {
		if id := parseServerID(s.ID); s.Suffrage == raft.Voter && id != without {
			voters = append(voters, id)
		}
	}
	slices.Sort(voters)
	rank = slices.Index(voters, n.cfg.ID)
	return rank, rank >= 0
}

// standEarly has raft look at its timer by lowering it below the silence of
// the leader.
func (l *loop) standEarly() {
	inst := l.instance()
	if inst == nil || l.stand.leader == 0 || l.leadTerm.Load() != 0 {
		return
	}
	if current := l.leader.Load().id; current != 0 && current != l.stand.leader || time.Since(inst.raft.LastContact()) < leaderLease {
		l.stand.leader = 0 // it lives, or another one leads
		return
	}
	l.counts.earlyStands.Add(1)
	l.cfg.Logger.Info("the leader's connections broke; standing early", "leader", l.stand.leader)
	l.stand.leader, l.stand.lowered = 0, time.Now()
	l.reload(func(c *raft.ReloadableConfig) { c.HeartbeatTimeout, c.ElectionTimeout = leaderLease, leaderLease })
}

// restTimeouts puts the timeouts back once there is a leader.
func (l *loop) restTimeouts() {
	l.stand.leader = 0
	if l.stand.lowered.IsZero() {
		return
	}
	l.stand.lowered = time.Time{}
	l.reload(func(c *raft.ReloadableConfig) {
		c.HeartbeatTimeout, c.ElectionTimeout = heartbeatTimeout, electionTimeout
	})
}
