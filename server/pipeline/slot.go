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
type slot struct {
	op       protocol.Op
	held     bool // a write not yet given to the log, since a read before it waits for the log
	unkept   bool // a write whose xid the log is not told
	bytes    int64
	keeps    int // what its answer may take, of a write that was given room for it
	limits   int // quotas that it may make, of a write
	seq, xid uint64
	ack      uint64
	ids      *identities
	body     []byte // of a write: a copy, the log's or the lane's own

	request *protocol.Request
	answer  *protocol.Message
	ticket  uint64 // of a read that waits for a no-op: which one
	atLeast uint64 // of a read that waits for a zxid: runs at it, or fails at the ticket
}

func (s *slot) isWrite() bool { return s.seq != 0 }

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
func keep(r *protocol.Request) *protocol.Request {
	k := *r
	k.Body = nil
	k.Read = keepRead(&r.Read)
	k.Watches = slices.Clone(r.Watches)
	for i := range k.Watches {
		k.Watches[i].Path = strings.Clone(k.Watches[i].Path)
	}
	return &k
}

func keepRead(r *protocol.Read) protocol.Read {
	k := *r
	k.Path, k.After = strings.Clone(r.Path), strings.Clone(r.After)
	k.Reads = slices.Clone(r.Reads)
	for i := range k.Reads {
		k.Reads[i] = keepRead(&k.Reads[i])
	}
	return k
}
