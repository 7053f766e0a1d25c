package replicate

import (
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/beat"
	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/server/state"
)

// loop is what the node's one goroutine for leading and following knows.
// Everything here is its own.
type loop struct {
	*Node
	pause      time.Duration // before the next Resend
	lastResend time.Time
	resend     *time.Timer // armed while a Resend is owed
	owed       bool
	lastReap   time.Time
	grace      time.Duration // how long nobody led before this server did
	begun      uint64        // the term whose duties have been taken up
	stand      stand
	watchdog   watchdog
	publisher  publisher
	hung       bool   // the connections were closed because the disk hangs
	members    uint64 // index of the membership by which streams were looked at
}

func (n *Node) run() {
	l := &loop{Node: n, pause: minResendPause, resend: time.NewTimer(never)}
	l.stand.timer = time.NewTimer(never)
	defer l.resend.Stop()
	defer l.stand.timer.Stop()
	every := listenInterval(n.cfg.MinSessionTimeout)
	touch := time.NewTimer(beat.Next(every))
	defer touch.Stop()
	tick := time.NewTimer(beat.Next(n.cfg.Tick))
	defer tick.Stop()
	watch := time.NewTimer(beat.Next(watchInterval))
	defer watch.Stop()
	founded := n.founded
	for {
		leads, changed := n.signals()
		select {
		case <-n.stop:
			l.stepDown()
			return
		case <-leads:
			l.look()
		case <-changed:
			l.look()
		case <-n.fsm.newTerm:
			l.caughtUp()
		case <-n.doubts:
			l.owe()
		case <-l.resend.C:
			l.sendAgain()
		case <-touch.C:
			touch.Reset(beat.Next(every))
			n.duties.listen()
		case <-tick.C:
			tick.Reset(beat.Next(n.cfg.Tick))
			l.tick()
		case <-watch.C:
			l.watch()
			watch.Reset(beat.Next(l.watchAgain()))
		case <-n.begun:
			l.offerToStand(true)
		case <-n.arrivals:
			l.offerToStand(false)
		case id := <-n.gone:
			l.prepareStand(id)
		case p := <-n.places:
			l.stand.rank = p.rank
			l.stand.timer.Reset(max(0, time.Until(p.at)))
		case <-l.stand.timer.C:
			l.standEarly()
		case r := <-n.rebuilds:
			r.done <- l.restart(r.cause)
		case <-founded:
			founded = nil
			if err := n.begin(); err != nil {
				n.fail(err)
			}
		}
	}
}

// signals are how the present life of raft tells of changes; none without one.
func (n *Node) signals() (<-chan bool, <-chan raft.Observation) {
	inst := n.instance()
	if inst == nil {
		return nil, nil
	}
	return inst.raft.LeaderCh(), inst.changed
}

// watchAgain is when to watch next: a server that leads nobody but itself has
// only its own disk to look after, and is the one that is to cost least.
func (l *loop) watchAgain() time.Duration {
	if l.leadTerm.Load() != 0 && len(l.others()) == 0 {
		return loneWatchInterval
	}
	return watchInterval
}

// touchInterval is how often a follower tells of signs of life: late enough to be
// cheap, early enough that a deadline is not missed by it, and that a server in
// contact takes sessions until the next acknowledgement.
func touchInterval(minTimeout time.Duration) time.Duration {
	return max(10*time.Millisecond, min(maxServingContact/2, minTimeout/6))
}

// listenInterval is how often a leader takes them for heard. Nobody expires for it, since
// it listens before each look for those who do. A quarter of a second, which it usually
// is, is when a server at rest wakes up anyway.
func listenInterval(minTimeout time.Duration) time.Duration {
	return max(10*time.Millisecond, min(maxServingContact/2, minTimeout/4))
}

// look follows raft's leadership. It reads how things are instead of what has
// changed: raft's hints may be dropped, and its main goroutine may be stuck in
// a write while another tells that a new leader has spoken.
func (l *loop) look() {
	inst := l.instance()
	if inst == nil {
		return
	}
	state, term := inst.standing()
	if state == raft.Leader {
		if l.leadTerm.Load() != term {
			l.lead(term)
		}
		return
	}
	if l.leadTerm.Load() != 0 {
		l.stepDown()
		l.cfg.Logger.Warn("leadership lost")
	}
	_, id := inst.raft.LeaderWithID()
	l.follow(parseServerID(id), term)
}

// follow goes after another leader, or after none.
func (l *loop) follow(id, term uint64) {
	if id == l.cfg.ID {
		id = 0 // a leader that is stepping down
	}
	former := l.leader.Load()
	if former.id == id && (id == 0 || former.term == term) {
		return
	}
	l.leader.Store(&reigning{id, term})
	l.streams.follow(id, term)
	if id == 0 {
		return
	}
	l.counts.leaderChanges.Add(1)
	l.restTimeouts()
	l.cfg.Logger.Info("following", "leader", id, "term", term)
}

// lead begins a reign.
func (l *loop) lead(term uint64) {
	l.grace = l.outage()
	l.stepDown()
	l.counts.leaderships.Add(1)
	l.counts.leaderChanges.Add(1)
	l.restTimeouts()
	l.progress.begin(term)
	l.leader.Store(&reigning{l.cfg.ID, term})
	l.streams.follow(l.cfg.ID, term)
	l.leadTerm.Store(term)
	l.pause = minResendPause
	l.sendAgain()
	l.caughtUp()
}

// outage is for how long nobody could hear the sessions, as far as this server
// knows: since a leader acknowledged its touches, or since its own start.
// raft's last contact does not tell: a vote counts as one too. And for as long
// after this election the leader before, unless it knows of it, may have vouched
// for sessions: see vouches.
func (l *loop) outage() time.Duration {
	outage := min(time.Since(l.started), l.streams.contact(), maxGrace)
	if mutant.On(mutant.BareOutage) {
		return outage
	}
	return max(outage, heartbeatTimeout)
}

func (l *loop) stepDown() {
	if l.leadTerm.Load() != 0 {
		lost := time.Since(l.started)
		if silence := l.silenceOfMajority(); silence > heartbeatTimeout {
			lost -= silence // since then somebody else may have counted the time of sessions
		}
		l.leadTerm.Store(0)
		l.lostLead.Store(int64(max(lost, 1)))
		l.progress.stir()
	}
	l.duties.pause()
	l.prop.rest()
	l.resend.Stop()
	l.owed = false
}

// owe arranges for a Resend. Doubts that come soon after each other wait
// longer and longer, since something is broken that resending does not mend.
func (l *loop) owe() {
	if l.owed || l.leader.Load().id == 0 {
		return
	}
	l.owed = true
	if time.Since(l.lastResend) > 2*maxResendPause {
		l.pause = minResendPause
	}
	l.resend.Reset(l.pause)
	l.pause = min(2*l.pause, maxResendPause)
}

// sendAgain has the lanes send what is unapplied. A leader begins to propose if
// it must; then a no-op of our own goes first: once it is applied, so is
// everything that was logged before this term.
func (l *loop) sendAgain() {
	l.owed = false
	if l.leader.Load().id == 0 {
		return // whoever comes is sent everything
	}
	l.lastResend = time.Now()
	l.counts.resends.Add(1)
	if l.leadTerm.Load() != 0 {
		if !l.prop.proposing() {
			l.prop.lead()
			l.streams.resendAll()
		}
		if l.fsm.counts.term.Load() < l.leadTerm.Load() {
			l.Append(&state.Txn{Kind: state.TxnNoop})
		}
	}
	l.machine.Resend()
}

// caughtUp takes up the duties once an entry of this term is applied.
func (l *loop) caughtUp() {
	lead := l.leadTerm.Load()
	if lead == 0 || l.fsm.counts.term.Load() < lead || l.begun == lead {
		return
	}
	l.begun = lead
	l.publisher = publisher{began: time.Now()}
	l.duties.begin(l.grace)
	l.streams.caughtUp()
	l.nowServing()
	l.announced(l.introduction())
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
	now := time.Now()
	if now.Sub(l.lastReap) >= l.cfg.ReapInterval {
		l.lastReap = now
		l.duties.reap()
	}
	l.duties.warnOfQuotas(now)
	l.publish(now)
}

// shed closes the connections of a server whose disk hangs: their writes would
// wait for it, while other servers could take them. A leader is deposed by its
// silence at the same time.
func (l *loop) shed(inst *instance) {
	age := inst.gate.age()
	if age <= hangAfter || len(l.others()) == 0 {
		l.hung = l.hung && age > 0
		return
	}
	if !l.hung {
		l.hung = true
		l.cfg.Logger.Error("a write to the log hangs; connections are closed", "age", age)
		l.machine.CloseAll(protocol.NotReady, "the disk of this server hangs")
	}
}
