package front

import (
	"sync"

	"github.com/lycaon-io/lycaon/protocol"
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
	pen    bool      // somebody writes, until the queue is empty or his turn is over
	busy   bool      // the reader will look at the queue before it waits for anything
	called bool      // a scribe is about to look
	opened bool      // the handshake is over: what is queued may go out
	ending bool      // nothing more goes in
	bye    bool      // not even a goodbye
	free   sync.Cond // the pen was laid down
}

func (o *outbox) init(max int, call func()) {
	o.max, o.call = max, call
	o.free.L = &o.mu
}

// open is the reader's, which looks at the queue before it waits for anything.
func (o *outbox) open() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opened, o.busy = true, true
}

// push queues a copy of m. It returns false if that is more than a connection
// may be behind; then the queue is given up.
func (o *outbox) push(m *protocol.Message) (ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ending {
		return true
	}
	o.bytes += m.Size()
	if o.bytes > o.max && len(o.queue) > 0 {
		o.ending = true
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
