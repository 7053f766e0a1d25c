package pipeline

import (
	"slices"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// identities is what a connection had proved when a request arrived, encoded
// once for all its writes. It is never changed.
type identities struct {
	actor   znode.Actor
	encoded []byte
}

func newIdentities(session uint64, ids []znode.Identity) *identities {
	ids = slices.Clone(ids)
	return &identities{
		actor:   znode.NewActor(session, ids),
		encoded: protocol.AppendIdentities(nil, ids),
	}
}

// slot is a request that waits in its lane: a write until it is applied (seq
// set), an answer made elsewhere until those before it are out (answer alone set),
// or else a read or watch request. A write with an answer is a no-op in the place
// of one that was refused.
//
// A read that asks of a path alone, as nearly all do, is in its slot whole: it needs no
// memory beside it, and nobody has to tell when that is free again.
type slot struct {
	op       protocol.Op
	held     bool // a write not yet given to the log, since a read before it waits for the log
	unkept   bool // a write whose xid the log is not told
	watch    bool // a short read that leaves a watch
	bytes    int64
	keeps    int // what its answer may take, of a write that was given room for it
	limits   int // quotas that it may make, of a write
	seq, xid uint64
	ack      uint64
	ids      *identities
	body     []byte // of a write: a copy, the log's or the lane's own

	path    string            // of a short read
	request *protocol.Request // of a read or watch request that is not short
	answer  *protocol.Message
	ticket  uint64 // of a read that waits for a no-op: which one
	atLeast uint64 // of a read that waits for a zxid: runs at it, or fails at the ticket
}

func (s *slot) isWrite() bool { return s.seq != 0 }

// isRead tells whether it is a read or watch request.
func (s *slot) isRead() bool { return s.seq == 0 && s.answer == nil }

// loggedXid is the xid that the log knows a write by.
func (s *slot) loggedXid() uint64 {
	if s.unkept {
		return 0
	}
	return s.xid
}

// waits tells whether the slot wants more than the writes before it.
func (s *slot) waits() bool { return s.ticket != 0 }

// queue is a ring of slots in request order. Its users hold the lane's lock.
type queue struct {
	ring        []slot // a power of two long
	first, held int    // index of the oldest; how many there are
}

func (q *queue) len() int { return q.held }

func (q *queue) at(i int) *slot { return &q.ring[(q.first+i)&(len(q.ring)-1)] }

// push makes room for one more and returns it zeroed; it is valid until the
// next push.
func (q *queue) push() *slot {
	if q.held == len(q.ring) {
		q.grow()
	}
	q.held++
	return q.at(q.held - 1)
}

func (q *queue) grow() {
	ring := make([]slot, max(4, 2*len(q.ring)))
	for i := range q.held {
		ring[i] = *q.at(i)
	}
	q.ring, q.first = ring, 0
}

// pop removes the oldest.
func (q *queue) pop() {
	*q.at(0) = slot{}
	q.first = (q.first + 1) & (len(q.ring) - 1)
	q.held--
	if q.held == 0 && len(q.ring) > queueKeptSlots {
		*q = queue{}
	}
}

// cost is what a request takes from its lane's credit.
func cost(r *protocol.Request) int64 {
	n := slotCost + len(r.Body) + len(r.Read.Path) + len(r.Read.After)
	for i := range r.Read.Reads {
		n += slotCost + len(r.Read.Reads[i].Path)
	}
	for i := range r.Watches {
		n += 64 + len(r.Watches[i].Path)
	}
	return int64(n)
}

// keep copies a read or watch request out of the frame it came in.
func (s *slot) keep(r *protocol.Request) {
	s.op, s.xid = r.Op, r.Xid
	if !isShort(r) {
		s.request = cloneRead(r)
		return
	}
	s.path, s.watch = r.Read.Path, r.Read.Watch
	if !r.Owned {
		s.path = strings.Clone(s.path)
	}
}

// isShort tells whether a request says no more than op, path and watch.
func isShort(r *protocol.Request) bool {
	q := &r.Read
	return q.Op == r.Op && q.After == "" && q.Limit == 0 && !q.Whole && q.Session == 0 && len(q.Reads) == 0 &&
		len(r.Watches) == 0 && !r.Compare
}

// asked is what was kept, in short if it is that.
func (s *slot) asked(short *protocol.Request) *protocol.Request {
	if s.request != nil {
		return s.request
	}
	*short = protocol.Request{Op: s.op, Xid: s.xid, Read: protocol.Read{Op: s.op, Path: s.path, Watch: s.watch}}
	return short
}

func cloneRead(r *protocol.Request) *protocol.Request {
	k := *r
	k.Body = nil
	k.Read = cloneOne(&r.Read)
	k.Watches = slices.Clone(r.Watches)
	for i := range k.Watches {
		k.Watches[i].Path = strings.Clone(k.Watches[i].Path)
	}
	return &k
}

func cloneOne(r *protocol.Read) protocol.Read {
	k := *r
	k.Path, k.After = strings.Clone(r.Path), strings.Clone(r.After)
	k.Reads = slices.Clone(r.Reads)
	for i := range k.Reads {
		k.Reads[i] = cloneOne(&k.Reads[i])
	}
	return k
}
