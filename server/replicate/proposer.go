package replicate

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/internal/histogram"
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
	raft  applier
	doubt func() // asks for a Resend; called under mu: neither blocks nor locks

	mu       sync.Mutex // taken under the machine's lock; nothing is taken under it
	term     *term      // nil: not proposing
	seq      *Sequencer
	open     []byte        // the batch that grows; nil when there is none
	openLen  int           // transactions in it
	opened   time.Time     // when its first one came
	waiting  []sealed      // full batches, oldest first
	queued   int           // bytes in open and waiting
	capacity int           // of the next batch, from the last one's size
	lossy    bool          // the queue was full: ask for a Resend once it has room
	gaveUp   int           // terms abandoned whose batches are still under way
	idle     chan struct{} // closed and dropped when nothing is queued or under way
	stats    ProposerStats
	took     *histogram.Histogram
	waited   *histogram.Histogram
	sizes    *histogram.Histogram

	watchers sync.WaitGroup
}

// term is one stretch of proposing, from lead to the next doubt.
type term struct {
	flights   chan flight // never full: it holds maxBatchesInFlight
	left      []time.Time // when each batch under way left, oldest first; guarded by proposer.mu
	abandoned bool
}

type sealed struct {
	entry  []byte
	txns   int
	opened time.Time
}

type flight struct {
	future       raft.ApplyFuture
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
	Unled          uint64 // dropped while not proposing
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

// Append queues a transaction or hands it to raft at once. It never blocks,
// keeps the order of its calls, and copies what it keeps.
func (p *proposer) Append(t *state.Txn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.term == nil:
		p.stats.Unled++
		return
	case p.queued >= maxQueueBytes:
		p.stats.Overflowed++
		p.lossy = true
		return
	case t.Kind == state.TxnWrite && !p.admitLocked(t):
		return
	}
	p.encodeLocked(t)
	p.pumpLocked()
}

func (p *proposer) admitLocked(t *state.Txn) bool {
	switch p.seq.Admit(t.Session, t.Generation, t.Seq) {
	case Again:
		p.stats.Doubled++
	case Early:
		p.stats.Early++
		p.doubt()
	case Old:
		p.stats.Outdated++
	default:
		return true
	}
	return false
}

// encodeLocked appends t to the open batch, and opens another one first if t
// would make it too large. A transaction is never split.
func (p *proposer) encodeLocked(t *state.Txn) {
	if p.open == nil {
		p.openLocked()
	}
	before := len(p.open)
	p.open = state.AppendTxn(p.open, t)
	p.openLen++
	p.queued += len(p.open) - before
	if len(p.open) <= maxBatchBytes || p.openLen == 1 {
		return
	}
	full := sealed{p.open[:before:before], p.openLen - 1, p.opened}
	rest := p.open[before:]
	p.waiting = append(p.waiting, full)
	p.openLocked()
	p.open = append(p.open, rest...)
	p.openLen = 1
}

// openLocked starts a batch with the room that the last one took, since load
// seldom changes from one batch to the next. Batches are not recycled: raft,
// the store and the machine may still look at a finished one.
func (p *proposer) openLocked() {
	p.open = state.AppendBatchHeader(make([]byte, 0, max(512, p.capacity)), 0)
	p.openLen, p.opened = 0, time.Now()
	p.queued += state.BatchHeaderLen
}

// pumpLocked hands batches to raft while fewer than two are under way. raft's
// channel has more room than that, so Apply does not block.
func (p *proposer) pumpLocked() {
	for p.term != nil && len(p.term.left) < maxBatchesInFlight {
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
		p.term.left = append(p.term.left, now)
		p.term.flights <- flight{p.raft.Apply(next.entry, 0), next.opened, now}
	}
}

func (p *proposer) takeLocked() (sealed, bool) {
	var next sealed
	switch {
	case len(p.waiting) > 0:
		next = p.waiting[0]
		p.waiting[0] = sealed{}
		p.waiting = p.waiting[1:]
	case p.open != nil:
		next = sealed{p.open, p.openLen, p.opened}
		p.open, p.openLen = nil, 0
	default:
		return sealed{}, false
	}
	p.queued -= len(next.entry)
	p.capacity = min(len(next.entry)+len(next.entry)/8, maxBatchBytes+maxBatchBytes/8)
	return next, true
}
