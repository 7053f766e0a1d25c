package pipeline

import (
	"container/heap"
	"slices"
	"sync"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/server/state"
)

// want is what a read asks for beyond the writes before it.
type want uint8

const (
	nothing want = iota
	aNoop        // that a no-op sent after it came has been applied
	aZxid        // that a zxid has been applied
)

func wantsOf(r *protocol.Request) want {
	switch {
	case mutant.On(mutant.NoBarrier):
		return nothing
	case r.Op == protocol.OpSync || r.Consistency == protocol.Linearizable:
		return aNoop
	case r.Consistency == protocol.AtLeast:
		return aZxid
	}
	return nothing
}

// waits knows which lanes to look at when a no-op or a zxid has been applied.
// One no-op is in flight at a time; a read that comes after it was sent waits
// for the next, since only a no-op that is sent later than the read came is
// sure to be ordered after everything that was acknowledged before.
//
// A read that waits for a zxid joins a no-op too: a zxid that anybody has
// seen is in the log before a no-op sent now, so that the no-op ends the
// waiting for one that does not exist.
//
// Joining happens under Core.mu held for reading, all else under Core.mu held
// for writing, except underWay, which takes mu alone: what it looks at changes
// under mu always.
type waits struct {
	mu       sync.Mutex
	inFlight bool
	last     uint64  // ticket of the no-op in flight, or of the last one
	done     uint64  // newest ticket applied
	present  []*Lane // wait for the one in flight
	next     []*Lane // wait for the one after it
	spare    []*Lane // empty, to be the next after this one
	zxids    zxidHeap
}

// join returns the ticket that lane l waits for and, if its no-op has to be
// sent now, the same ticket again.
func (w *waits) join(l *Lane, atLeast uint64) (ticket, send uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !w.inFlight:
		w.inFlight = true
		w.last++
		w.present = joined(w.present, l)
		ticket, send = w.last, w.last
	case mutant.On(mutant.SharedNoop):
		w.present = joined(w.present, l)
		ticket = w.last
	default:
		w.next = joined(w.next, l)
		ticket = w.last + 1
	}
	if atLeast != 0 {
		heap.Push(&w.zxids, zxidWait{atLeast, ticket, l})
	}
	return ticket, send
}

// joined appends l, unless it was the last to come: one that has many reads for one
// no-op is looked at once, since it has nothing more to say the second time.
func joined(lanes []*Lane, l *Lane) []*Lane {
	if n := len(lanes); n > 0 && lanes[n-1] == l {
		return lanes
	}
	return append(lanes, l)
}

// applied takes note of a no-op of ours. It returns the lanes that waited for
// it, which the caller gives back by reuse, and the ticket of the next one if somebody
// waits for that.
func (w *waits) applied(ticket uint64) (lanes []*Lane, send uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.inFlight || ticket != w.last {
		return nil, 0 // a second copy
	}
	w.done = ticket
	w.forgetZxids()
	lanes, w.present, w.next, w.spare = w.present, w.next, w.spare, nil
	if w.inFlight = len(w.present) > 0; w.inFlight {
		w.last++
		send = w.last
	}
	return lanes, send
}

// reuse is told that nobody looks at lanes any more, which applied returned.
func (w *waits) reuse(lanes []*Lane) {
	clear(lanes)
	if cap(lanes) > 0 && cap(lanes) <= keptWaiters {
		w.spare = lanes[:0]
	}
}

// reached takes out one lane that waits for a zxid up to this one, nil if
// there is none.
func (w *waits) reached(zxid uint64) *Lane {
	if len(w.zxids) == 0 || w.zxids[0].zxid > zxid {
		return nil
	}
	return heap.Pop(&w.zxids).(zxidWait).lane
}

// forgetZxids drops the waits for a zxid that the no-op just applied has
// ended, so that asking for one of the far future leaves nothing behind.
func (w *waits) forgetZxids() {
	w.zxids = slices.DeleteFunc(w.zxids, func(z zxidWait) bool { return z.ticket <= w.done })
	heap.Init(&w.zxids)
}

// over tells whether a slot's waiting has ended: its no-op was applied, or its
// zxid is there.
func (w *waits) over(s *slot, zxid uint64) bool {
	return s.ticket <= w.done || s.atLeast != 0 && s.atLeast <= zxid
}

// drop forgets everybody; the no-op in flight is nobody's.
func (w *waits) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inFlight, w.present, w.next, w.spare, w.zxids = false, nil, nil, nil, nil
}

// forgetClosed lets go of lanes that were closed. The no-op in flight may be
// nobody's then; it is still the one in flight.
func (w *waits) forgetClosed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	isClosed := func(l *Lane) bool { return l.closed }
	w.present, w.next = slices.DeleteFunc(w.present, isClosed), slices.DeleteFunc(w.next, isClosed)
	w.zxids = slices.DeleteFunc(w.zxids, func(z zxidWait) bool { return z.lane.closed })
	heap.Init(&w.zxids)
}

// underWay is the ticket of the no-op in flight, 0 if there is none.
func (w *waits) underWay() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.inFlight {
		return 0
	}
	return w.last
}

func (c *Core) sendNoop(ticket uint64) {
	if ticket != 0 && !c.verified(ticket) {
		c.counts.noops.Add(1)
		c.log.Append(&state.Txn{Kind: state.TxnNoop, Origin: c.cfg.Origin, Ticket: ticket})
	}
}

// zxidWait is a lane that waits for a zxid, until its ticket at most.
type zxidWait struct {
	zxid, ticket uint64
	lane         *Lane
}

type zxidHeap []zxidWait

func (h zxidHeap) Len() int           { return len(h) }
func (h zxidHeap) Less(i, j int) bool { return h[i].zxid < h[j].zxid }
func (h zxidHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *zxidHeap) Push(x any)        { *h = append(*h, x.(zxidWait)) }
func (h *zxidHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = zxidWait{}
	*h = (*h)[:last]
	return x
}
