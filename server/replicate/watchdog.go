package replicate

import (
	"context"
	"errors"
	"time"

	"github.com/lycaon-io/lycaon/server/peer"
)

var (
	errInstalls = errors.New("replicate: snapshot after snapshot came from the leader and no entry behind them")
	errStarved  = errors.New("replicate: the leader's entries do not arrive, though its heartbeats do")
)

// watchdog notices what raft does not get out of by itself.
type watchdog struct {
	entries, restores uint64 // applied and installed when there was progress last
	reachable         map[uint64]bool
	told              map[uint64]time.Time // when a follower was told to start anew
}

// watch looks after what no event tells of.
func (l *loop) watch() {
	inst := l.instance()
	if inst == nil {
		return
	}
	l.look() // raft drops hints that come too fast
	l.shed(inst)
	l.recheck()
	if lowered := l.stand.lowered; !lowered.IsZero() && time.Since(lowered) > standFor {
		l.restTimeouts()
	}
	if l.leadTerm.Load() != 0 {
		l.watchFollowers(inst)
		return
	}
	l.watchInstalls()
}

// recheck ends the streams of those who were members until now.
func (l *loop) recheck() {
	if now := l.fsm.committed.Load(); now != nil && now.index != l.members && l.cfg.Peers != nil {
		l.members = now.index
		l.cfg.Peers.Recheck()
	}
}

// watchInstalls breaks a circle: a follower with entries that nobody else has,
// behind the snapshot it is sent, takes the snapshot and refuses what follows,
// again and again. A new start of raft drops such entries.
func (l *loop) watchInstalls() {
	w, n := &l.watchdog, &l.fsm.counts
	if entries := n.entries.Load(); entries != w.entries {
		w.entries, w.restores = entries, n.restores.Load()
		return
	}
	if n.restores.Load()-w.restores < maxIdleInstalls {
		return
	}
	_ = l.restart(errInstalls) // logged, and fatal if it failed
	w.entries, w.restores = n.entries.Load(), n.restores.Load()
}

// watchFollowers tells of members that go out of reach and come back, and has
// one start raft anew that answers heartbeats and does not take entries.
func (l *loop) watchFollowers(inst *instance) {
	w := &l.watchdog
	if w.reachable == nil {
		w.reachable, w.told = map[uint64]bool{}, map[uint64]time.Time{}
	}
	last, late := inst.raft.LastIndex(), false
	for _, id := range l.others() {
		behind := l.progress.of(serverID(id), last)
		late = late || behind.silence >= heartbeatLate
		reachable := behind.silence <= unreachableAfter
		if was, known := w.reachable[id]; known && was != reachable || !known && !reachable {
			l.tellReach(id, reachable, behind)
		}
		w.reachable[id] = reachable
		if reachable && behind.known && behind.entries > 0 && behind.stuck > starvedAfter && time.Since(w.told[id]) > restartPause {
			w.told[id] = time.Now()
			l.cfg.Logger.Warn("a server takes no entries though it answers; it is told to start raft anew",
				"server", id, "behind", behind.entries, "for", behind.stuck)
			l.workers.Go(func() { l.tellRestart(id) })
		}
	}
	if late {
		l.progress.stir()
	}
}

func (l *loop) tellReach(id uint64, reachable bool, behind lag) {
	if reachable {
		l.cfg.Logger.Info("a server answers again", "server", id, "behind", behind.entries)
		return
	}
	l.cfg.Logger.Warn("a server does not answer", "server", id, "silence", behind.silence)
}

// restartMethod is called on a member that starves.
const restartMethod = "restart"

func (n *Node) tellRestart(id uint64) {
	ctx, cancel := n.limited(adminTimeout)
	defer cancel()
	to, ok := n.target(id)
	if !ok {
		return
	}
	if err := n.cfg.Peers.Call(ctx, to, restartMethod, struct{}{}, nil); err != nil {
		n.cfg.Logger.Warn("a server could not be told to start anew", "server", id, "error", err)
	}
}

// handleRestart obeys the leader alone, and not while the disk is the reason.
func (n *Node) handleRestart(_ context.Context, from peer.Identity, _ []byte) (any, error) {
	inst := n.instance()
	if id, _ := n.Leader(); inst == nil || from.ID != id || n.leadTerm.Load() != 0 {
		return nil, peer.Refuse(peer.ErrNotReady, "server %d is not the leader of server %d", from.ID, n.cfg.ID)
	}
	if age := inst.gate.age(); age > hangAfter {
		return nil, peer.Refuse(peer.ErrNotReady, "a write to the log has been under way for %s", age)
	}
	return struct{}{}, n.Rebuild(errStarved)
}
