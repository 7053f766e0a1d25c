package pipeline

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

// ErrLaneClosed says that the lane takes nothing any more: its session ended
// or moved on, its connection was cut off, or it was detached.
var ErrLaneClosed = errors.New("pipeline: lane is closed")

// Lane keeps the order of one connection: requests are completed in the order
// in which they came, a write when it has been applied here, a read right
// after the write before it. A lane without a session is a guest's and takes
// reads alone.
//
// Submit, TrySubmit, Answer, Authorize and Aside are called by one goroutine at a
// time, the connection's reader; Detach by any.
type Lane struct {
	core       *Core
	sink       Sink
	session    uint64 // 0: a guest's
	generation uint64
	timeout    time.Duration // of the session
	watching   bool          // may leave watches
	ids        atomic.Pointer[identities]
	reply      protocol.Message // scratch of the reader under RLock and of apply under Lock
	touched    bool             // to be woken; of the applying goroutine alone
	burst      int              // bytes pushed while the lock is held for applying; of that goroutine too
	ready      chan struct{}    // wakes the reader that waits for credit
	starved    atomic.Bool      // in the list of those who wait for the server's credit
	aside      atomic.Bool      // the reader waits for something else than the lane
	need       atomic.Int64     // bytes it waits for there
	depth      atomic.Int32     // slots in the queue; rises by the reader alone

	mu       sync.Mutex
	closed   bool // changes under Core.mu too, so that either lock is enough to read it
	queue    queue
	bytes    int64
	nextSeq  uint64
	waiting  int    // slots that want more than the writes before them
	held     int    // writes not given to the log
	resumes  int    // OpResume in the queue
	keeping  int    // keeps of the slots in the queue
	acked    uint64 // highest ack of a write in the order
	starving bool
	txn      state.Txn // scratch: what the log is given
}

func newLane(c *Core, s Sink, session, generation uint64, timeoutMs int64, ids []znode.Identity) *Lane {
	l := &Lane{
		core: c, sink: s, session: session, generation: generation, timeout: time.Duration(timeoutMs) * time.Millisecond,
		watching: session != 0, nextSeq: 1,
		ready: make(chan struct{}, 1),
	}
	l.ids.Store(newIdentities(session, ids))
	return l
}

// Submit hands in a request and returns when it is answered or has its place
// in the order; with the lane's or the server's credit used up it waits. The
// request may be reused afterwards.
func (l *Lane) Submit(r *protocol.Request) error {
	for {
		switch l.submit(r) {
		case taken:
			return nil
		case shut:
			return ErrLaneClosed
		}
		l.awaitCredit()
	}
}

// TrySubmit is Submit for those who cannot wait: false means that there is no
// credit now. A closed lane swallows what it is given.
func (l *Lane) TrySubmit(r *protocol.Request) bool { return l.submit(r) != full }

// Answer completes, in its turn, a request that its caller has answered
// itself: one that did not validate, or is none of the pipeline's business.
// A Zxid of 0 is filled in. Waits for credit as Submit does. Such a request is
// a sign of life like any other.
func (l *Lane) Answer(m *protocol.Message) error {
	l.touch()
	for {
		switch l.answer(m) {
		case taken:
			return nil
		case shut:
			return ErrLaneClosed
		}
		l.awaitCredit()
	}
}

// Aside has the reader do what may take a while and is none of the pipeline's business.
// Nothing is heard of the client meanwhile, its pings neither, so its session is touched.
func (l *Lane) Aside(do func() error) error {
	l.aside.Store(true)
	l.core.credit.aside.Add(1)
	defer func() {
		l.core.credit.aside.Add(-1)
		l.aside.Store(false)
	}()
	return do()
}

// Authorize answers m, and adds what the connection has proved about itself for
// the requests after this one, unless that is too much.
func (l *Lane) Authorize(m *protocol.Message, ids []znode.Identity) error {
	known := l.ids.Load()
	all := slices.Clone(known.actor.IDs)
	for _, id := range ids {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	if len(all) == len(known.actor.IDs) {
		return l.Answer(m) // no copy of the same: each request that waits would hold one
	}
	proved := newIdentities(l.session, all)
	if len(all) > maxIdentities || len(proved.encoded) > maxIDBytes {
		l.core.counts.identities.Add(1)
		fail(m, protocol.TooLarge, "too many identities on one connection")
	} else {
		l.ids.Store(proved)
	}
	return l.Answer(m)
}

// Session is the id of the lane's session, 0 of a guest.
func (l *Lane) Session() uint64 { return l.session }

// Depth is how many requests wait in the lane.
func (l *Lane) Depth() int { return int(l.depth.Load()) }

// IDs are what the connection has proved about itself. Nobody may change them.
func (l *Lane) IDs() []znode.Identity { return l.ids.Load().actor.IDs }

// heartbeat answers a ping at once, whatever waits. A connection with watches
// is first told how far their events have come, unless it is about to resume
// some: those may still lack events.
func (l *Lane) heartbeat(xid uint64) {
	c := l.core
	c.mu.RLock()
	if l.closed {
		c.mu.RUnlock()
		return
	}
	if c.watches.CountOf(l.watcher()) > 0 && !l.resuming() {
		l.reply = protocol.Message{Kind: protocol.Event, Event: protocol.EventProgress, Zxid: c.machine.Zxid()}
		l.sink.Push(&l.reply)
	}
	l.reply = protocol.Message{Op: protocol.OpPing, Xid: xid, Zxid: c.machine.Zxid()}
	l.sink.Push(&l.reply)
	c.mu.RUnlock()
	l.sink.Wake()
}

func (l *Lane) resuming() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.resumes > 0
}

// Detach ends the lane because its socket is gone. Writes under way may still
// be applied; nobody is told, and the client asks again by xid.
func (l *Lane) Detach() {
	if l.isClosed() {
		return // nobody is kept waiting for that
	}
	c := l.core
	c.mu.Lock()
	c.drop(l)
	c.mu.Unlock()
	c.wakeStarving()
}

func (l *Lane) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// verdict says what became of a request handed in.
type verdict uint8

const (
	taken verdict = iota // answered, or in its place
	full                 // no credit
	shut                 // the lane is closed
)

func (l *Lane) touch() {
	if l.session != 0 {
		l.core.touches.Touch(l.session)
	}
}

func (l *Lane) submit(r *protocol.Request) verdict {
	l.touch()
	switch {
	case r.Op == protocol.OpPing:
		l.heartbeat(r.Xid)
		return taken
	case r.Op.IsWrite():
		return l.submitWrite(r)
	default:
		return l.submitRead(r)
	}
}

func (l *Lane) submitWrite(r *protocol.Request) verdict {
	if m := l.refuse(r); m != nil {
		return l.answer(m)
	}
	keeps, ok := l.mayKeep(r)
	if !ok {
		return l.core.counts.keepsRefused.count(l.refuseToKeep(r))
	}
	limits, refusal := l.mayLimit(r)
	if refusal != nil {
		return l.core.counts.quotaRefused.count(l.answer(refusal))
	}
	v := l.order(r, keeps, limits, nil)
	if v != taken { // or its slot does when it goes
		l.core.unlimit(limits)
	}
	return v
}

// order gives a write the next sequence. Its answer is what it comes to, unless there
// is one already.
func (l *Lane) order(r *protocol.Request, keeps, limits int, answer *protocol.Message) verdict {
	n := cost(r)
	if answer != nil {
		n += int64(answer.Size())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return shut
	}
	if !l.take(n) {
		return full
	}
	s := l.push(n)
	s.op, s.xid, s.ack, s.seq = r.Op, r.Xid, r.Arg, l.nextSeq
	s.ids, s.body, s.unkept, s.keeps, s.limits, s.answer = l.ids.Load(), r.Body, r.Unkept, keeps, limits, answer
	l.keeping += keeps
	l.acked = max(l.acked, r.Arg)
	l.nextSeq++
	if mutant.On(mutant.AnswerAtOnce) {
		l.sink.Push(&protocol.Message{Op: r.Op, Xid: r.Xid, Zxid: l.core.Zxid()})
	}
	// A read that waits for the log must not see a write that came after it,
	// so writes behind one stay here until it has run.
	if s.held = (l.waiting > 0 || l.held > 0) && !mutant.On(mutant.PassWaiting); s.held {
		l.held++
		s.body = bytes.Clone(s.body)
	} else if !l.send(s) {
		s.body = bytes.Clone(s.body)
	}
	return taken
}

// submitRead runs a read at once if nothing is before it and it asks for
// nothing that is not here yet.
func (l *Lane) submitRead(r *protocol.Request) verdict {
	wants := wantsOf(r)
	if wants == nothing && l.depth.Load() > 0 && !mutant.On(mutant.NoPark) {
		if v, parked := l.park(r); parked {
			return v
		}
	}
	c := l.core
	c.mu.RLock()
	if l.closed {
		c.mu.RUnlock()
		return shut
	}
	if wants == nothing || wants == aZxid && r.Arg <= c.machine.Zxid() && l.depth.Load() == 0 {
		l.run(r, l.ids.Load())
		c.mu.RUnlock()
		l.sink.Wake()
		return taken
	}
	// Nothing is applied while we hold the lock, so what the read waits for
	// cannot come between joining and queueing.
	v, noop := l.parkWaiting(r, wants)
	c.mu.RUnlock()
	c.sendNoop(noop)
	return v
}

// park queues a read behind what is before it. If that has meanwhile been
// completed, nobody would ever come for it: parked is false.
func (l *Lane) park(r *protocol.Request) (v verdict, parked bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return shut, true
	case l.queue.len() == 0:
		return 0, false
	case !l.take(cost(r)):
		return full, true
	}
	l.queueRead(r)
	return taken, true
}

// parkWaiting queues a read that waits for more than the writes before it,
// and returns the no-op to send for it, if any. The caller holds Core.mu.
func (l *Lane) parkWaiting(r *protocol.Request, wants want) (v verdict, noop uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.take(cost(r)) {
		return full, 0
	}
	s := l.queueRead(r)
	if wants == aZxid {
		s.atLeast = r.Arg
	}
	s.ticket, noop = l.core.waits.join(l, s.atLeast)
	l.waiting++
	return taken, noop
}

// queueRead gives a read its slot. The caller holds l.mu and took the credit.
func (l *Lane) queueRead(r *protocol.Request) *slot {
	s := l.push(cost(r))
	s.ids = l.ids.Load()
	s.keep(r)
	if r.Op == protocol.OpResume {
		l.resumes++
	}
	l.core.counts.parked.Add(1)
	return s
}

// answer completes a request with what is known already.
func (l *Lane) answer(m *protocol.Message) verdict {
	c := l.core
	if l.depth.Load() > 0 {
		if v, queued := l.queueAnswer(m); queued {
			return v
		}
	}
	c.mu.RLock()
	if l.closed {
		c.mu.RUnlock()
		return shut
	}
	l.pushAnswer(m)
	c.mu.RUnlock()
	l.sink.Wake()
	return taken
}

// queueAnswer takes the credit of what waits, which may be far more than the
// request was: a result for each operation of a multi.
func (l *Lane) queueAnswer(m *protocol.Message) (v verdict, queued bool) {
	n := slotCost + int64(m.Size())
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return shut, true
	case l.queue.len() == 0:
		return 0, false
	case !l.take(n):
		return full, true
	}
	s := l.push(n)
	kept := *m
	s.op, s.answer = m.Op, &kept
	return taken, true
}

// push appends a slot that costs n bytes. The caller holds l.mu.
func (l *Lane) push(n int64) *slot {
	l.bytes += n
	l.depth.Add(1)
	s := l.queue.push()
	s.bytes = n
	return s
}

// pop takes the oldest slot out and gives its credit back. The caller holds
// l.mu.
func (l *Lane) pop() slot {
	s := *l.queue.at(0)
	l.queue.pop()
	l.bytes -= s.bytes
	l.keeping -= s.keeps
	l.core.unlimit(s.limits)
	l.depth.Add(-1)
	l.core.credit.give(s.bytes)
	switch {
	case s.isWrite() && s.held:
		l.held--
	case s.waits():
		l.waiting--
	}
	if s.isRead() {
		l.core.counts.parked.Add(-1)
		if s.op == protocol.OpResume {
			l.resumes--
		}
	}
	l.fed()
	return s
}

// send gives a write to the log, and tells whether the body in its slot is the
// log's copy now. The caller holds l.mu, which makes the order of the log's calls
// the order of the sequence.
func (l *Lane) send(s *slot) (copied bool) {
	l.txn = state.Txn{
		Kind: state.TxnWrite, Session: l.session, Generation: l.generation,
		Seq: s.seq, Xid: s.loggedXid(), Ack: s.ack, Op: s.op, IDs: s.ids.encoded, Body: s.body,
	}
	kept := l.core.log.Append(&l.txn)
	l.txn.Body = nil // the frame of a connection: it is not held until the next write
	if kept != nil {
		s.body = kept
	}
	return kept != nil
}
