package replicate

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// stand is an election that is prepared because the leader's process seems to
// have died: its connections were reset, which a network that fails does not
// do. Its followers then lower their timeouts to the leader's lease. Nobody is
// disturbed if it lives: a follower that has heard from it within the lease
// does not stand.
//
// A server refuses its pre-vote while it still has a leader itself, and to
// those who have less of the log. So the last one to stand wins if it has the
// most: the followers tell each other what they have and when they heard the
// leader last, and stand in that order, a little apart.
type stand struct {
	timer   *time.Timer
	leader  uint64    // the one that is gone; 0: nothing is prepared
	began   time.Time // when it was found to be gone
	rank    int       // how many stand before this server
	lowered time.Time // when the timeouts were lowered; zero: they are not
}

// place is when a server stands, and how many do before it.
type place struct {
	at   time.Time
	rank int
}

// leaderGone is told when all streams to the leader broke at once.
func (n *Node) leaderGone(id uint64) {
	select {
	case n.gone <- id:
	default: // one is enough
	}
}

// prepareStand finds out, without holding up the loop, when this server is to
// stand.
func (l *loop) prepareStand(id uint64) {
	inst := l.instance()
	if inst == nil || id == 0 || l.leader.Load().id != id || l.leadTerm.Load() != 0 {
		return
	}
	c := l.configuration()
	if s, _, ok := find(c, l.cfg.ID); !ok || s.Suffrage != raft.Voter {
		return
	}
	l.stand.leader, l.stand.began = id, time.Now()
	l.workers.Go(func() {
		if !l.silentFor(inst, leaderLease-standingsWait) {
			return
		}
		select {
		case l.places <- l.placeBehind(inst, c, id):
		case <-l.stop:
		}
	})
}

// silentFor waits until the leader has said nothing for so long, and tells
// whether it does. Its last entries, which may decide who has more of the log,
// are still being read and stored when its connections break.
func (n *Node) silentFor(inst *instance, silence time.Duration) bool {
	for late := time.Now().Add(standFor); time.Now().Before(late); {
		left := time.Until(inst.raft.LastContact().Add(silence))
		if left <= 0 {
			return true
		}
		select {
		case <-time.After(left):
		case <-n.stop:
			return false
		}
	}
	return false
}

// placeBehind is this server's place among the followers of the leader that is
// gone: when the last of them heard of it, and how many have less of the log than
// this server. Unlike whoever starts (askStandings), it waits for all of them.
func (n *Node) placeBehind(inst *instance, c raft.Configuration, gone uint64) place {
	ctx, cancel := n.limited(standingsWait)
	defer cancel()
	heard, rank := inst.raft.LastContact(), 0
	own := inst.raft.LastIndex()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, id := range voters(c, gone) {
		to, ok := n.target(id)
		if id == n.cfg.ID || !ok {
			continue
		}
		wg.Go(func() {
			var s standing
			if err := n.cfg.Peers.Call(ctx, to, standingMethod, inquiry{}, &s); err != nil {
				return // it will not stand in the way either
			}
			mu.Lock()
			defer mu.Unlock()
			if s.LastIndex < own || s.LastIndex == own && id < n.cfg.ID {
				rank++
			}
			if at := time.Now().Add(-time.Duration(s.SilenceMs) * time.Millisecond); at.After(heard) {
				heard = at
			}
		})
	}
	wg.Wait()
	return place{heard.Add(leaderLease + time.Millisecond + time.Duration(rank)*standStagger), rank}
}

// standEarly has raft look at its timer by lowering it below the silence of
// the leader.
func (l *loop) standEarly() {
	inst := l.instance()
	if inst == nil || l.stand.leader == 0 || l.leadTerm.Load() != 0 {
		return
	}
	if current := l.leader.Load().id; current != 0 && current != l.stand.leader {
		l.stand.leader = 0
		return
	}
	if young := leaderLease - time.Since(inst.raft.LastContact()); young > 0 {
		l.waitOn(young)
		return
	}
	l.counts.earlyStands.Add(1)
	l.cfg.Logger.Info("the leader's connections broke; standing early", "leader", l.stand.leader)
	l.stand.leader, l.stand.lowered = 0, time.Now()
	l.reload(func(c *raft.ReloadableConfig) { c.HeartbeatTimeout, c.ElectionTimeout = leaderLease, leaderLease })
}

// waitOn looks again when the last word of the leader is as old as the lease: it
// may have lain in the socket when the leader died. One that lives goes on
// talking, and is left in peace after a while.
func (l *loop) waitOn(young time.Duration) {
	if time.Since(l.stand.began) > standFor {
		l.stand.leader = 0
		return
	}
	l.stand.timer.Reset(young + time.Millisecond + time.Duration(l.stand.rank)*standStagger)
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
