package front

import (
	"sync"
	"sync/atomic"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/mutant"
)

// outbox is what a connection is to be told and has not been. Messages enter
// under Core's lock; they are encoded and written under none, by whoever holds
// the pen: one of the Front's scribes, or the connection's reader when it has
// drained its input.
type outbox struct {
	call func() // has a scribe look at it; neither blocks nor takes another lock than its own

	mu     sync.Mutex
	queue  []protocol.Message
	spare  []protocol.Message // the other of two slices that take turns
	bytes  int                // estimated, of queue and of what the pen is at
	max    int
	all    *crowd    // of all connections
	beyond int       // bytes that count there
	pen    bool      // somebody writes, until the queue is empty or his turn is over
	busy   bool      // the reader will look at the queue before it waits for anything
	called bool      // a scribe is about to look
	opened bool      // the handshake is over: what is queued may go out
	ending bool      // nothing more goes in
	bye    bool      // not even a goodbye
	left   bool      // the connection has ended
	free   sync.Cond // the pen was laid down
}

func (o *outbox) init(max int, all *crowd, call func()) {
	o.max, o.all, o.call = max, all, call
	o.free.L = &o.mu
}

// crowd bounds what all connections are behind together. The first bytes of each do
// not count: so nobody shares a counter with others who reads what he is told.
type crowd struct {
	most  int64
	bytes atomic.Int64
}

// countLocked has the crowd know of bytes, and returns false if they are too many there.
// What was given up does not count, though somebody may be writing it still.
func (o *outbox) countLocked() (ok bool) {
	beyond := max(0, o.bytes-ownOutboxBytes)
	if o.left {
		beyond = 0
	}
	more := beyond - o.beyond
	if more == 0 {
		return true
	}
	o.beyond = beyond
	return o.all.bytes.Add(int64(more)) <= o.all.most || more < 0
}

// leave is the end of the connection.
func (o *outbox) leave() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.left = !mutant.On(mutant.GoneStay)
	o.countLocked()
}

// open is the reader's, which looks at the queue before it waits for anything.
func (o *outbox) open() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opened, o.busy = true, true
}

// push queues a copy of m. It returns false if that is more than a connection, or all
// of them, may be behind; then the queue is given up. Who was hardly behind before is
// told anything, though it may be too large by itself, and however far behind others
// are.
func (o *outbox) push(m *protocol.Message) (ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ending {
		return true
	}
	size := m.Size()
	behind := o.bytes > min(ownOutboxBytes, o.max/2)
	o.bytes += size
	full := !o.countLocked() || o.bytes > o.max
	if full && behind {
		o.ending = true
		o.bytes -= size
		for i := range o.queue {
			o.bytes -= o.queue[i].Size()
		}
		o.countLocked()
		clear(o.queue)
		o.queue = o.queue[:0]
		return false
	}
	o.queue = append(o.queue, *m)
	return true
}

// end lets nothing more in behind bye.
func (o *outbox) end(bye *protocol.Message) (first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bye {
		return false
	}
	o.ending = true
	o.bye = true
	o.bytes += bye.Size()
	o.queue = append(o.queue, *bye)
	o.wakeLocked()
	return true
}

// wake has the queue written, unless somebody is about to look at it anyway.
func (o *outbox) wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) > 0 && !o.pen && !o.busy {
		o.wakeLocked()
	}
}

func (o *outbox) wakeLocked() {
	if o.opened && !o.called {
		o.called = true
		o.call()
	}
}

// answered is the scribe's, who takes the pen next.
func (o *outbox) answered() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.called = false
}

// getBusy is for the reader that has input to work on. It returns whether the
// connection is ending, and how many bytes wait.
func (o *outbox) getBusy() (ending bool, bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.busy = true
	return o.ending, o.bytes
}

// beIdle is for the reader before it waits for anything.
func (o *outbox) beIdle() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.busy = false
}

func (o *outbox) depth() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes
}

// takePen returns what is queued, or false if there is nothing or somebody
// else has the pen and will see to it.
func (o *outbox) takePen() ([]protocol.Message, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pen || len(o.queue) == 0 {
		return nil, false
	}
	o.pen = true
	return o.swap(), true
}

// next gives a written batch back and returns what has been queued since. With
// nothing queued the pen is laid down, as it is when the turn is over; then a scribe
// is called in the same breath, since nobody calls one while there is a pen at work.
func (o *outbox) next(done []protocol.Message, over bool) ([]protocol.Message, bool) {
	clear(done)
	if cap(done) > keptMessages {
		done = nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.spare = done[:0]
	switch {
	case len(o.queue) == 0:
		o.bytes = 0
		o.countLocked()
	case over:
		o.wakeLocked()
	default:
		return o.swap(), true
	}
	o.layDown()
	return nil, false
}

func (o *outbox) layDown() {
	o.pen = false
	o.free.Broadcast()
}

func (o *outbox) swap() []protocol.Message {
	batch := o.queue
	o.queue, o.spare = o.spare[:0], nil
	return batch
}

// written takes what went out off the count.
func (o *outbox) written(bytes int) {
	o.mu.Lock()
	o.bytes = max(0, o.bytes-bytes)
	o.countLocked()
	o.mu.Unlock()
}

// awaitPen waits until nobody writes. It returns whether nothing is queued: a pen
// laid down does not mean that.
func (o *outbox) awaitPen() (empty bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.pen {
		o.free.Wait()
	}
	return len(o.queue) == 0
}

// bidden tells whether goodbye has been bidden, if the connection has not gone: nothing comes
// behind what is queued.
func (o *outbox) bidden() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bye
}
