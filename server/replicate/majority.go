package replicate

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// silenceOfMajority is for how long a leader has not known that it is one: the
// age of the newest heartbeats that a majority of the voters has answered,
// counted from when they were sent. Until then nobody else was elected; who is
// after that gives sessions a heartbeat timeout more (outage).
//
// raft looks after this too, but its check waits behind a write to a disk that
// hangs, and after a pause of the process it is one goroutine among many.
func (n *Node) silenceOfMajority() time.Duration {
	all := voters(n.configuration(), 0)
	if len(all) == 0 {
		return 0
	}
	now := time.Now()
	heard := make([]time.Time, len(all))
	for i, id := range all {
		if heard[i] = now; id != n.cfg.ID {
			heard[i] = n.progress.confirmed(serverID(id))
		}
	}
	slices.SortFunc(heard, func(a, b time.Time) int { return b.Compare(a) })
	silence := now.Sub(heard[len(all)/2])
	if n.progress.deposed() {
		return max(silence, heartbeatTimeout+1) // it is about to step down
	}
	return silence
}

// assurance keeps for a moment what a look at the majority has found: each pong asks.
//
// What it keeps stays true whatever becomes of the configuration meanwhile: the
// majorities of two that follow each other share a server, and a third one
// begins with a majority of the second that took an entry of this leader's since.
type assurance struct{ until atomic.Int64 } // in nanoseconds; a leader after this one counts the time of sessions from later on

// silence is 0 while this leader can be sure of itself, and otherwise what
// look finds.
func (a *assurance) silence(now time.Duration, look func() time.Duration) time.Duration {
	if int64(now) < a.until.Load() {
		return 0
	}
	silence := look()
	if silence > heartbeatTimeout {
		return silence
	}
	a.until.Store(int64(now + min(heartbeatTimeout-silence, assuredFor)))
	return 0
}

// vouches tells whether this leader may speak for sessions: whoever else leads
// counts their time from later on.
func (n *Node) vouches() bool { return n.silenceOfMajority() <= heartbeatTimeout }

// barrier returns once everything that is committed now has been applied here,
// by the leader that this server has been all the time.
func (n *Node) barrier(ctx context.Context) error {
	inst := n.instance()
	if inst == nil {
		return ErrClosed
	}
	if inst.gate.hangs() {
		return errWithheld // it would wait in raft, and take the place of writes
	}
	select {
	case err := <-inst.ask(func() error { return inst.raft.Barrier(tellTime).Error() }):
		return err
	case <-ctx.Done(): // raft may never answer
		return context.Cause(ctx)
	}
}

// confirmed is when the newest heartbeat was sent that a server has answered,
// or the votes were asked for by which this server leads.
func (p *progress) confirmed(id raft.ServerID) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.memberLocked(id); f.confirmed.After(p.begun) {
		return f.confirmed
	}
	return p.begun
}
