package replicate

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/internal/histogram"
	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/server/state"
)

// applier is the part of raft that the Proposer uses.
type applier interface {
	Apply(entry []byte, timeout time.Duration) raft.ApplyFuture
}

// proposer turns transactions into raft entries while this server leads. What
// arrives while two batches are under way waits in one growing batch; an
// arrival that finds room goes to raft in its caller's goroutine, since every
// hop shows in the latency of a lone write.
//
// It may drop anything at any time and then says so through doubt: whoever
// holds the transaction (the lane of its connection) sends it again.
type proposer struct {
	raft   applier
	halted atomic.Bool // client writes and new sessions are held back
	doubt  func()      // asks for a Resend; called under mu: neither blocks nor locks
	// listeners are the followers to be told of commits that they did not ask
	// for; called under mu; nil: there are none.
	listeners func() []*inlet

	mu       sync.Mutex // taken under the machine's lock; nothing is taken under it
	term     *term      // nil: not proposing
	seq      *Sequencer
	slab     slab          // what batches are made of
	open     []byte        // the batch that grows; nil when there is none
	openLen  int           // transactions in it
	openFrom []*inlet      // followers with transactions in it
	opened   time.Time     // when its first one came
	waiting  []sealed      // full batches, oldest first
	queued   int           // bytes in open and waiting
	lossy    bool          // the queue was full: ask for a Resend once it has room
	gaveUp   int           // terms abandoned whose batches are still under way
	idle     chan struct{} // closed and dropped when nothing is queued or under way
	room     chan struct{} // closed and dropped when the queue is half empty
	stats    ProposerStats
	took     *histogram.Histogram
	waited   *histogram.Histogram
	sizes    *histogram.Histogram

	watchers sync.WaitGroup
}

// term is one stretch of proposing, from lead to the next doubt.
type term struct {
	flights chan flight // never full: it holds maxBatchesInFlight

	// proposer.mu guards what follows.
	left      []departure // the batches under way, oldest first
	abandoned bool
	unnoticed []*inlet  // followers whose transactions were committed without a notice
	landed    time.Time // when a batch landed last
	newest    uint64    // entry of that
	late      bool      // listeners will be noticed in a moment
	paused    time.Time // when they were last, since no batch followed
}

// departure is when a batch left, and the followers with transactions in it.
type departure struct {
	at   time.Time
	from []*inlet
}

type sealed struct {
	entry  []byte
	txns   int
	from   []*inlet
	opened time.Time
}

type flight struct {
	future       raft.ApplyFuture
	from         []*inlet
	opened, left time.Time
}

// ProposerStats are counts since the start and the depths of now.
type ProposerStats struct {
	Proposing      bool
	Batches        uint64
	Txns           uint64
	Bytes          uint64
	QueuedBytes    int
	MaxQueuedBytes int
	InFlight       int
	OldestFlight   time.Duration
	Doubled        uint64 // writes dropped: proposed before in this term
	Early          uint64 // writes dropped: an earlier one is missing
	Outdated       uint64 // writes dropped: of an older generation
	Forwarded      uint64 // transactions that came from followers, dropped ones included
	Late           uint64 // dropped: of a stream that has ended
	Unled          uint64 // dropped while not proposing
	Halted         uint64 // dropped while writes were halted
	Overflowed     uint64 // dropped at the bound of the queue
	Refused        uint64 // batches that raft did not take
	Unknown        uint64 // batches whose outcome raft could not tell
	Abandoned      uint64 // batches given up at their deadline
	SequencerSize  int
	BatchTxns      histogram.Snapshot // transactions in a batch
	BatchTook      histogram.Snapshot // seconds from raft.Apply to applied
	Waited         histogram.Snapshot // seconds from a batch's first transaction to applied
}

// newProposer returns a proposer that drops everything before its raft is set
// and lead is called.
func newProposer(doubt func()) *proposer {
	return &proposer{
		doubt: doubt, seq: NewSequencer(),
		took: histogram.New(histogram.Seconds), waited: histogram.New(histogram.Seconds), sizes: histogram.New(histogram.Counts),
	}
}

// Append queues a transaction or hands it to raft at once. It never blocks and
// keeps the order of its calls. kept is the body of a write in the entry that it
// became a part of.
func (p *proposer) Append(t *state.Txn) (kept []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.takesLocked(t, nil) {
		kept = p.encodeLocked(t, nil, nil)
		p.pumpLocked()
	}
	return kept
}

// AppendFrom queues transactions of a follower, in their order. raw is their
// encoding, which is not looked at again. A follower that must send again is
// told so through its stream.
func (p *proposer) AppendFrom(from *inlet, txns []state.Txn, raw [][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Forwarded += uint64(len(txns))
	if from.closed() {
		p.stats.Late += uint64(len(txns))
		return
	}
	for i := range txns {
		if p.takesLocked(&txns[i], from) {
			p.encodeLocked(&txns[i], raw[i], from)
		}
	}
	p.pumpLocked()
}

// takesLocked tells whether t is to be queued. What is dropped comes again:
// after lead, which has everybody send again, or because it is asked for.
func (p *proposer) takesLocked(t *state.Txn, from *inlet) bool {
	switch {
	case p.term == nil:
		p.stats.Unled++
		return false
	case p.halted.Load() && (t.Kind == state.TxnWrite || t.Kind == state.TxnOpen):
		p.stats.Halted++ // before the sequencer: it is to be taken when it comes again
		return false
	case p.queued >= maxQueueBytes:
		p.stats.Overflowed++
		if from != nil {
			from.doubt()
		} else {
			p.lossy = true
		}
		return false
	}
	return t.Kind != state.TxnWrite || p.admitLocked(t, from)
}

func (p *proposer) admitLocked(t *state.Txn, from *inlet) bool {
	switch p.seq.Admit(t.Session, t.Generation, t.Seq) {
	case Again:
		p.stats.Doubled++
	case Early:
		p.stats.Early++
		if from != nil {
			from.doubt()
		} else {
			p.doubt()
		}
	case Old:
		p.stats.Outdated++
	default:
		return true
	}
	return false
}

// encodeLocked appends t, or the encoding that came with it, to the open
// batch, and opens another one first if t would make it too large. A
// transaction is never split.
func (p *proposer) encodeLocked(t *state.Txn, raw []byte, from *inlet) (kept []byte) {
	if p.open != nil && len(p.open)+max(len(raw), txnRoom(t)) > maxBatchBytes {
		p.waiting = append(p.waiting, p.sealLocked())
	}
	if p.open == nil {
		p.openLocked()
	}
	before := len(p.open)
	p.open, kept = p.slab.appendTxn(p.open, t, raw)
	p.queued += len(p.open) - before
	p.openLen++
	if from != nil {
		p.openFrom = including(p.openFrom, from)
	}
	return kept
}

// including adds a follower to the few of one batch.
func including(all []*inlet, one *inlet) []*inlet {
	if slices.Contains(all, one) {
		return all
	}
	return append(all, one)
}

// openLocked starts a batch.
func (p *proposer) openLocked() {
	p.open = state.AppendBatchHeader(p.slab.begin(), 0)
	p.openLen, p.openFrom, p.opened = 0, nil, time.Now()
	p.queued += state.BatchHeaderLen
}

// sealLocked ends the open batch. Nothing of it but its stamp is written again:
// raft, the store, the machine and the lanes of its writes look at it.
func (p *proposer) sealLocked() sealed {
	full := sealed{p.slab.end(p.open), p.openLen, p.openFrom, p.opened}
	p.open, p.openLen, p.openFrom = nil, 0, nil
	return full
}

// pumpLocked hands batches to raft while there is a place for them. raft's channel
// has more room than that, so Apply does not block.
func (p *proposer) pumpLocked() {
	for p.placeLocked() {
		next, ok := p.takeLocked()
		if !ok {
			return
		}
		now := time.Now()
		state.StampBatch(next.entry, now.UnixMilli())
		p.stats.Batches++
		p.stats.Txns += uint64(next.txns)
		p.stats.Bytes += uint64(len(next.entry))
		p.sizes.Observe(float64(next.txns))
		p.term.left = append(p.term.left, departure{now, next.from})
		p.term.flights <- flight{p.raft.Apply(next.entry, 0), next.from, next.opened, now}
	}
}

// placeLocked tells whether a batch may go to raft now. The place beside one that
// is under way is for a batch that fills it: what is small waits for that one, with
// all that comes meanwhile, since a batch costs every server the same however
// little is in it.
func (p *proposer) placeLocked() bool {
	switch {
	case p.term == nil:
		return false
	case len(p.term.left) == 0 || mutant.On(mutant.Unbounded):
		return true
	}
	return len(p.term.left) < maxBatchesInFlight && p.queued >= minSecondBatchBytes
}

func (p *proposer) takeLocked() (sealed, bool) {
	var next sealed
	switch {
	case len(p.waiting) > 0:
		next = p.waiting[0]
		p.waiting[0] = sealed{}
		p.waiting = p.waiting[1:]
	case p.open != nil:
		next = p.sealLocked()
	default:
		return sealed{}, false
	}
	p.queued -= len(next.entry)
	return next, true
}
