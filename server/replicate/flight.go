package replicate

import (
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// lead starts a stretch of proposing. What was queued or proposed before is
// forgotten: a Resend by the machine follows and brings what is unapplied.
func (p *proposer) lead() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.restLocked()
	p.term = &term{flights: make(chan flight, maxBatchesInFlight)}
	t := p.term
	p.watchers.Go(func() { p.watch(t) })
}

// rest stops proposing until the next lead.
func (p *proposer) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.restLocked()
}

func (p *proposer) restLocked() {
	p.slab.drop()
	p.open, p.openLen, p.openFrom, p.waiting, p.queued = nil, 0, nil, nil, 0
	p.lossy = false
	p.seq.Reset()
	if p.term != nil {
		close(p.term.flights)
		p.term = nil
	}
	p.settleLocked()
}

// forget drops a session that ended from the sequencer.
func (p *proposer) forget(session uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq.Forget(session)
}

// proposing tells whether what is appended now has a way to raft.
func (p *proposer) proposing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.term != nil
}

// watch waits for the batches of one term in order. A future that never ends
// holds up only this goroutine: giveUp starts another term.
func (p *proposer) watch(t *term) {
	for f := range t.flights {
		err := f.future.Error()
		if p.gathers() {
			runtime.Gosched()
		}
		p.landed(t, f, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.abandoned {
		p.gaveUp--
	}
}

// gathers tells whether a batch waits for the one under way, and is small. Who is
// ready to run then goes first: some have more for it. And what is ready behind a
// goroutine whose thread the disk stops is only freed by the scheduler's monitor, which
// that keeps awake. A lone write, behind which nothing waits, is not held up.
func (p *proposer) gathers() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queued > 0 && p.queued < minSecondBatchBytes
}

func (p *proposer) landed(t *term, f flight, err error) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	t.left = t.left[1:]
	switch {
	case err == nil:
		p.took.Observe(now.Sub(f.left).Seconds())
		p.waited.Observe(now.Sub(f.opened).Seconds())
	case refused(err):
		p.stats.Refused++
	default:
		p.stats.Unknown++
	}
	switch {
	case t != p.term:
	case err != nil:
		p.restLocked()
		p.doubt()
	default:
		p.goOnLocked()
		p.noticeLocked(t, f, now)
	}
}

// awaiting are the followers of the one batch under way. What is queued would bring
// them word of its commit, but leaves once this server has applied it, unless it is
// enough to go beside it.
func (p *proposer) awaiting() []*inlet {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.term == nil || len(p.term.left) != 1 || p.queued >= minSecondBatchBytes {
		return nil
	}
	return p.term.left[0].from
}

// noticeLocked has the followers told of a commit that their clients wait or
// watch for, once the last batch has landed: until then the next one brings the
// word. Who only listens is told a moment later while quick writes follow each other
// closely, since most often the next one is under way by then. But a follower stores
// that one before it looks at the word in it: where that takes long, it is told at once.
func (p *proposer) noticeLocked(t *term, f flight, now time.Time) {
	for _, from := range f.from {
		t.unnoticed = including(t.unnoticed, from)
	}
	closely := f.opened.Sub(t.landed) < closeBehind && now.Sub(f.left) < noticeLater && now.Sub(t.paused) >= promptFor
	t.landed, t.newest = now, f.future.Index()
	if len(t.left) > 0 {
		return
	}
	if p.listeners != nil {
		others := p.listeners()
		if closely && len(others) > 0 {
			p.noticeLaterLocked(t, noticeLater)
			others = slices.DeleteFunc(others, func(i *inlet) bool { return !i.outrun() })
		}
		for _, other := range others {
			t.unnoticed = including(t.unnoticed, other)
		}
	}
	for _, to := range t.unnoticed {
		to.notice(t.newest)
	}
	t.unnoticed = nil
}

// noticeLaterLocked has listeners told in a moment.
func (p *proposer) noticeLaterLocked(t *term, moment time.Duration) {
	if !t.late {
		t.late = true
		time.AfterFunc(moment, func() { p.noticeLate(t) })
	}
}

// noticeLate tells listeners of the newest commit unless a batch is under way: that one
// brings the word, and when it has landed this is asked again. If no batch followed, one
// may have waited for the word, so for a while it is not kept back.
func (p *proposer) noticeLate(t *term) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.late = false
	if p.term != t || len(t.left) > 0 {
		return
	}
	now := time.Now()
	if rest := noticeLater - now.Sub(t.landed); rest > 0 {
		p.noticeLaterLocked(t, rest)
		return
	}
	t.paused = now
	for _, to := range p.listeners() {
		to.notice(t.newest)
	}
}

// goOnLocked fills the place that a batch has left.
func (p *proposer) goOnLocked() {
	p.pumpLocked()
	p.settleLocked()
	if p.lossy && p.queued <= maxQueueBytes/2 {
		p.lossy = false
		p.doubt()
	}
}

// refused tells whether raft certainly did not take an entry. After any other
// error it may be on a disk and be committed later. Both are sent again; the
// admission at apply drops a copy that ran.
func refused(err error) bool {
	return errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrEnqueueTimeout) ||
		errors.Is(err, raft.ErrLeadershipTransferInProgress)
}

// giveUp abandons a term whose oldest batch is overdue: its future may never
// end. It tells for how long that batch has been under way.
func (p *proposer) giveUp(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	age := p.oldestLocked(now)
	if age < batchDeadline || p.gaveUp >= maxAbandoned {
		return age
	}
	p.stats.Abandoned += uint64(len(p.term.left))
	p.term.abandoned = true
	p.gaveUp++
	p.restLocked()
	p.doubt()
	return age
}

func (p *proposer) oldestLocked(now time.Time) time.Duration {
	if p.term == nil || len(p.term.left) == 0 {
		return 0
	}
	return now.Sub(p.term.left[0].at)
}

// drained returns a channel that is closed once nothing is queued or under
// way.
func (p *proposer) drained() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.idle == nil {
		p.idle = make(chan struct{})
	}
	idle := p.idle
	p.settleLocked()
	return idle
}

// awaitRoom returns once the queue is at most half full: false if stop came
// before.
func (p *proposer) awaitRoom(stop <-chan struct{}) bool {
	p.mu.Lock()
	if p.queued <= maxQueueBytes/2 {
		p.mu.Unlock()
		return true
	}
	if p.room == nil {
		p.room = make(chan struct{})
	}
	room := p.room
	p.mu.Unlock()
	select {
	case <-room:
		return true
	case <-stop:
		return false
	}
}

func (p *proposer) settleLocked() {
	if p.room != nil && p.queued <= maxQueueBytes/2 {
		close(p.room)
		p.room = nil
	}
	if p.idle != nil && p.queued == 0 && (p.term == nil || len(p.term.left) == 0) {
		close(p.idle)
		p.idle = nil
	}
}

// Stats returns counts and depths.
func (p *proposer) Stats() ProposerStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Proposing = p.term != nil
	s.QueuedBytes, s.MaxQueuedBytes = p.queued, maxQueueBytes
	if p.term != nil {
		s.InFlight = len(p.term.left)
	}
	s.OldestFlight = p.oldestLocked(time.Now())
	s.SequencerSize = p.seq.Len()
	s.BatchTxns, s.BatchTook, s.Waited = p.sizes.Snapshot(), p.took.Snapshot(), p.waited.Snapshot()
	return s
}
