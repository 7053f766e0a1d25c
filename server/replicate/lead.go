package replicate

import (
	"time"

	"github.com/lycaon-io/lycaon/server/state"
)

// loop is what the node's one goroutine for leading knows. Everything here is
// its own.
type loop struct {
	*Node
	pause      time.Duration // before the next Resend
	lastResend time.Time
	resend     *time.Timer // armed while a Resend is owed
	owed       bool
	lastReap   time.Time
}

func (n *Node) run() {
	l := &loop{Node: n, pause: minResendPause, resend: time.NewTimer(never)}
	defer l.resend.Stop()
	touch := time.NewTicker(touchInterval(n.cfg.MinSessionTimeout))
	defer touch.Stop()
	tick := time.NewTicker(n.cfg.Tick)
	defer tick.Stop()
	for {
		select {
		case <-n.stop:
			l.stepDown()
			return
		case leading := <-n.raft.LeaderCh():
			l.turn(leading)
		case <-n.fsm.newTerm:
			l.caughtUp()
		case <-n.doubts:
			l.owe()
		case <-l.resend.C:
			l.sendAgain()
		case <-touch.C:
			n.duties.listen()
		case <-tick.C:
			l.tick()
		}
	}
}

// touchInterval is how often signs of life are collected: late enough to be
// cheap, early enough that a deadline is not missed by it.
func touchInterval(minTimeout time.Duration) time.Duration {
	return max(10*time.Millisecond, min(time.Second, minTimeout/6))
}

// turn follows raft's leadership. A loss that was followed by a win at once is
// seen as a second win, perhaps of a term whose entries are applied already.
func (l *loop) turn(leading bool) {
	l.stepDown()
	if !leading {
		l.cfg.Logger.Warn("leadership lost")
		return
	}
	l.counts.leaderships.Add(1)
	l.leadTerm.Store(l.raft.CurrentTerm())
	l.pause = minResendPause
	l.sendAgain()
	l.caughtUp()
}

func (l *loop) stepDown() {
	l.leadTerm.Store(0)
	l.duties.pause()
	l.prop.rest()
	l.resend.Stop()
	l.owed = false
}

// owe arranges for a Resend. Doubts that come soon after each other wait
// longer and longer, since something is broken that resending does not mend.
func (l *loop) owe() {
	if l.owed || l.leadTerm.Load() == 0 {
		return
	}
	l.owed = true
	if time.Since(l.lastResend) > 2*maxResendPause {
		l.pause = minResendPause
	}
	l.resend.Reset(l.pause)
	l.pause = min(2*l.pause, maxResendPause)
}

// sendAgain begins to propose if it must and has the lanes send what is
// unapplied. A no-op of our own goes first: once it is applied, so is
// everything that was logged before this term.
func (l *loop) sendAgain() {
	if l.leadTerm.Load() == 0 {
		return
	}
	l.owed = false
	l.lastResend = time.Now()
	l.counts.resends.Add(1)
	if !l.prop.proposing() {
		l.prop.lead()
	}
	if l.fsm.counts.term.Load() < l.leadTerm.Load() {
		l.Append(&state.Txn{Kind: state.TxnNoop})
	}
	l.machine.Resend()
}

// caughtUp takes up the duties once an entry of this term is applied.
func (l *loop) caughtUp() {
	if lead := l.leadTerm.Load(); lead == 0 || l.fsm.counts.term.Load() < lead {
		return
	}
	l.duties.begin()
	select {
	case <-l.ready:
	default:
		close(l.ready)
	}
}

// tick does the duties, in bounded portions, and watches over the batches
// under way.
func (l *loop) tick() {
	if age := l.prop.giveUp(time.Now()); age > batchDeadline {
		l.counts.overdue.Add(1)
		l.cfg.Logger.Warn("a write to the log is overdue", "age", age)
	}
	l.duties.listen()
	l.duties.expire()
	if now := time.Now(); now.Sub(l.lastReap) >= l.cfg.ReapInterval {
		l.lastReap = now
		l.duties.reap()
	}
}
