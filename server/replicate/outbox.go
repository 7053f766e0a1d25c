package replicate

import (
	"sync"

	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/server/state"
)

// Outbox gathers a follower's transactions as frames, in the order of the
// calls of Append. It keeps nothing back: what its stream has taken is gone
// from here, and what a broken stream has lost is asked for again as a whole
// when the next one opens. Its lock is a leaf.
type Outbox struct {
	max   int           // bytes
	doubt func()        // asks for a Resend; neither blocks nor locks
	more  chan struct{} // a hint: there is something to take

	mu       sync.Mutex // guards what follows
	open     bool
	slab     slab     // what frames are made of
	frames   [][]byte // full ones, oldest first
	growing  []byte   // the newest, its length not filled in; nil: none
	gathered int      // bytes in all of them
	lossy    bool     // something was dropped at the bound: ask for a Resend once there is room
	stats    OutboxStats
}

// OutboxStats are counts since the start and the depths of now.
type OutboxStats struct {
	Open           bool // there is a stream to the leader
	Streams        uint64
	Txns           uint64
	Bytes          uint64 // written, or about to be
	Frames         uint64 // of them
	QueuedBytes    int
	MaxQueuedBytes int
	Unled          uint64 // dropped while there was no stream
	Overflowed     uint64 // dropped at the bound
	Doubts         uint64 // times the leader asked for everything again
}

// NewOutbox returns an Outbox of so many bytes that drops everything until
// Open. It calls doubt when something must be sent again, under its lock.
func NewOutbox(maxBytes int, doubt func()) *Outbox {
	return &Outbox{max: maxBytes, doubt: doubt, more: make(chan struct{}, 1)}
}

// Append adds a transaction. It never blocks. kept is the body of a write in the
// frame that it became a part of, nil if it was dropped.
func (o *Outbox) Append(t *state.Txn) (kept []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case !o.open:
		o.stats.Unled++
		return nil
	case o.gathered >= o.max:
		o.stats.Overflowed++
		o.lossy = true
		return nil
	}
	if o.growing != nil && len(o.growing)+txnRoom(t) > maxTxnsFrame {
		o.sealLocked()
	}
	if o.growing == nil {
		o.growing = state.AppendBatchHeader(beginFrame(o.slab.begin(), frameTxns), 0)
		o.gathered += len(o.growing)
	}
	before := len(o.growing)
	o.growing, kept = o.slab.appendTxn(o.growing, t, nil)
	o.gathered += len(o.growing) - before
	o.stats.Txns++
	hint(o.more)
	return kept
}

func (o *Outbox) sealLocked() {
	endFrame(o.growing, 0)
	o.frames = append(o.frames, o.slab.end(o.growing))
	o.growing = nil
}

// Open begins a stream. What was gathered for the former one is dropped, and
// resend appends everything unapplied: what the former stream has lost, nobody
// knows.
func (o *Outbox) Open(resend func()) {
	o.mu.Lock()
	o.dropLocked()
	o.open = true
	o.stats.Streams++
	o.mu.Unlock()
	if !mutant.On(mutant.NoStreamResend) {
		resend()
	}
}

// Doubted is told that the leader has lost something that came over the
// stream, or may have.
func (o *Outbox) Doubted() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stats.Doubts++
	if !mutant.On(mutant.DeafToDoubt) {
		o.doubt()
	}
}

// Shut ends the stream.
func (o *Outbox) Shut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dropLocked()
	o.open = false
}

func (o *Outbox) dropLocked() {
	o.slab.drop()
	o.frames, o.growing, o.gathered, o.lossy = nil, nil, 0, false
}

// Take returns all that has gathered, in whole frames, which nobody changes.
func (o *Outbox) Take() [][]byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.growing != nil {
		o.sealLocked()
	}
	all := o.frames
	o.frames, o.gathered = nil, 0
	o.stats.Frames += uint64(len(all))
	for _, b := range all {
		o.stats.Bytes += uint64(len(b))
	}
	if o.lossy && !mutant.On(mutant.SilentOverflow) {
		o.doubt()
	}
	o.lossy = false
	return all
}

// Stats may be called from any goroutine.
func (o *Outbox) Stats() OutboxStats {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.stats
	s.Open, s.QueuedBytes, s.MaxQueuedBytes = o.open, o.gathered, o.max
	return s
}
