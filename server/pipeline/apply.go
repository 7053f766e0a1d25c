package pipeline

import (
	"fmt"
	"slices"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

// later is what a chunk of transactions leaves to be done once the lock is
// free: nothing of it may wait for somebody who wants the lock.
type later struct {
	wake    []*Lane // pushed to
	send    []*Lane // a held write is at the head
	noop    uint64  // ticket of the next no-op
	answers []func()

	attaches []state.Txn // to be sent again
}

// Apply applies one entry of the log. The lock is taken anew for each chunk of
// transactions, so that readers get in between; an error means that this
// version does not know the entry's form and must not go on.
func (c *Core) Apply(entry []byte) error {
	batch, err := state.DecodeBatch(entry)
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	stampMs := batch.StampMs()
	if mutant.On(mutant.LocalInput) {
		stampMs += int64(c.cfg.Origin)
	}
	for {
		n, err := c.decodeChunk(&batch)
		if n > 0 {
			c.View(func(m *state.Machine) { m.Prefetch(c.txns[:n]) })
			c.applyChunk(c.txns[:n], stampMs)
			c.finish()
		}
		if err != nil {
			return fmt.Errorf("apply: %w", err)
		}
		if n < chunkTxns {
			return nil
		}
	}
}

// decodeChunk fills c.txns, outside the lock.
func (c *Core) decodeChunk(batch *state.Batch) (n int, err error) {
	for n < chunkTxns {
		more, err := batch.Next(&c.txns[n])
		if err != nil || !more {
			return n, err
		}
		n++
	}
	return n, nil
}

func (c *Core) applyChunk(txns []state.Txn, stampMs int64) {
	c.mu.Lock()
	c.applying = true
	for i := range txns {
		c.applyTxn(&txns[i], stampMs)
	}
	c.publish()
	c.applying = false
	c.mu.Unlock()
	c.counts.txns.Add(uint64(len(txns)))
}

// applyTxn applies one transaction and tells everybody here what comes of it,
// in this order: events, its own answer, the reads that waited behind it.
func (c *Core) applyTxn(t *state.Txn, stampMs int64) {
	effects := c.machine.Apply(t, stampMs, &c.out)
	if zxid := c.machine.Zxid(); zxid != c.marks.newest {
		c.marks.add(zxid, c.machine.Digest())
	}
	c.ring.Append(effects)
	if !mutant.On(mutant.ReplyBeforeEvents) {
		c.fire(effects)
	}
	switch t.Kind {
	case state.TxnWrite:
		c.answerWrite(t)
	case state.TxnOpen, state.TxnAttach:
		c.arrive(t)
	case state.TxnNoop:
		if t.Origin == c.cfg.Origin {
			c.passNoop(t.Ticket)
		}
	}
	if c.out.Ended {
		c.endSession(&c.out)
	}
	for l := c.waits.reached(c.machine.Zxid()); l != nil; l = c.waits.reached(c.machine.Zxid()) {
		l.drain()
	}
	if mutant.On(mutant.ReplyBeforeEvents) {
		c.fire(effects)
	}
}

func (c *Core) fire(effects []znode.Effect) {
	if mutant.On(mutant.SwapEvents) {
		slices.Reverse(effects)
	}
	for i := range effects {
		c.watches.Fire(&effects[i])
	}
}

// answerWrite completes the write at the head of its lane, if the lane is
// here. A duplicate was answered when it first came, a gap comes again, and
// what is fenced has nobody left to tell.
func (c *Core) answerWrite(t *state.Txn) {
	if !c.counts.admitted(c.out.Verdict) {
		return
	}
	l := c.lanes[t.Session]
	if l == nil || l.generation != t.Generation {
		return
	}
	s, ok := l.complete(t.Seq, t.Xid)
	if !ok {
		// Somebody else writes under this lane's generation. The client comes
		// again under a new one and learns by xid what became of its writes;
		// SessionMoved would have it give the session up.
		c.counts.broken.Add(1)
		c.end(l, protocol.NotReady, "the order of this connection was broken")
		return
	}
	m := &c.out.Answer
	m.Kind, m.Op, m.Xid = protocol.Reply, t.Op, s.xid
	if m.Code == protocol.QuotaExceeded {
		c.counts.quotaRefused.Add(1)
	}
	switch {
	case mutant.On(mutant.AnswerAtOnce):
	case s.answer != nil:
		l.pushAnswer(s.answer)
	default:
		l.pushed(m)
	}
	if !c.out.Ended {
		l.drain()
	}
}

// complete takes the write off the head of the queue, where it must be: writes
// are applied in the order of their sequence, and no read before it is left.
func (l *Lane) complete(seq, logged uint64) (s slot, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queue.len() == 0 {
		return slot{}, false
	}
	if s := l.queue.at(0); s.seq != seq || s.loggedXid() != logged || s.held {
		return slot{}, false
	}
	return l.pop(), true
}

// drain completes what stands at the head of the queue and waits for nothing
// any more. It ends at a write, and has it sent if it was held; or with the
// lane, if the answers are more than any outbox bears, since all others wait
// meanwhile. The caller holds Core.mu for writing.
func (l *Lane) drain() {
	var short protocol.Request
	for {
		if l.burst > maxBurstBytes && l.depth.Load() > 0 {
			l.core.end(l, protocol.Throttled, "more was asked for at once than a connection may be behind")
			return
		}
		s, ok := l.next()
		if !ok {
			return
		}
		switch {
		case s.answer != nil:
			l.pushAnswer(s.answer)
		case s.atLeast > l.core.machine.Zxid():
			l.pushAnswer(refused(s.asked(&short), protocol.BadArguments, "no such zxid yet"))
		default:
			l.run(s.asked(&short), s.ids)
		}
	}
}

// next pops the slot at the head if it can be completed now.
func (l *Lane) next() (slot, bool) {
	c := l.core
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queue.len() == 0 {
		return slot{}, false
	}
	s := l.queue.at(0)
	if s.isWrite() {
		if s.held {
			c.later.send = append(c.later.send, l)
		}
		return slot{}, false
	}
	if s.waits() && !c.waits.over(s, c.machine.Zxid()) {
		return slot{}, false
	}
	return l.pop(), true
}

// sendHeld gives the log the writes that were held back, up to the next read
// that waits for it.
func (l *Lane) sendHeld() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := 0; i < l.queue.len() && l.held > 0; i++ {
		s := l.queue.at(i)
		if s.waits() {
			return
		}
		if s.isWrite() && s.held {
			s.held = false
			l.held--
			l.send(s)
		}
	}
}

// passNoop lets those go on who waited for a no-op of ours.
func (c *Core) passNoop(ticket uint64) {
	lanes, send := c.waits.applied(ticket)
	for _, l := range lanes {
		l.drain()
	}
	c.waits.reuse(lanes)
	if send != 0 {
		c.later.noop = send
	}
}

// endSession closes the lane of a session that was closed or expired.
func (c *Core) endSession(out *state.Outcome) {
	if c.cfg.Observer != nil {
		c.cfg.Observer.SessionEnded(out.Session)
	}
	if l := c.lanes[out.Session]; l != nil {
		c.end(l, protocol.SessionExpired, out.Cause)
	}
}

// end closes a lane and its connection. The caller holds mu for writing.
func (c *Core) end(l *Lane, code protocol.Code, detail string) {
	if c.drop(l) {
		l.sink.Close(code, detail)
		c.wakeLater(l)
	}
}

// wakeLater has a lane's sink woken once the lock is free. Of the applying
// goroutine alone.
func (c *Core) wakeLater(l *Lane) {
	if !l.touched {
		l.touched = true
		c.later.wake = append(c.later.wake, l)
	}
}

// drop takes a lane out of everything that could still reach it, and tells
// whether it was in. The caller holds mu for writing.
func (c *Core) drop(l *Lane) bool {
	if l.closed {
		return false
	}
	c.watches.RemoveAll(l.watcher())
	delete(c.guests, l)
	if c.lanes[l.session] == l {
		delete(c.lanes, l.session)
	}
	l.shut()
	return true
}

// shut empties the queue and lets the reader know.
func (l *Lane) shut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for l.queue.len() > 0 {
		l.pop()
	}
	l.queue = queue{}
	l.wakeReader()
}

// finish does what the last chunk left to be done, without the lock. It runs
// on the applying goroutine alone.
func (c *Core) finish() {
	later := &c.later
	for _, l := range later.send {
		l.sendHeld()
	}
	c.sendNoop(later.noop)
	for i := range later.attaches {
		c.log.Append(&later.attaches[i])
	}
	for _, answer := range later.answers {
		answer()
	}
	for _, l := range later.wake {
		l.touched, l.burst = false, 0
		l.sink.Wake()
	}
	later.reset()
	c.wakeStarving()
}

// reset keeps the room and drops what is in it.
func (l *later) reset() {
	clear(l.send)
	clear(l.answers)
	clear(l.wake)
	l.send, l.answers, l.wake, l.noop = l.send[:0], l.answers[:0], l.wake[:0], 0
	l.attaches = nil
}
