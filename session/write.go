package session

import "fmt"

// Admission says whether a write may run now.
type Admission uint8

const (
	Accept    Admission = 1 + iota // the next one: NextSeq moved on
	Duplicate                      // an earlier copy was accepted
	Gap                            // an earlier write is missing
	Fenced                         // of a connection that lost the session
	NoSession
)

// Admit takes the next write of a generation, and no other.
func (t *Table) Admit(id, generation, seq uint64) Admission {
	r := t.lookup(id)
	switch {
	case r == nil:
		return NoSession
	case generation != r.Generation:
		return Fenced
	case seq < r.NextSeq:
		return Duplicate
	case seq > r.NextSeq:
		return Gap
	}
	t.setNextSeq(t.own(r), seq+1)
	return Accept
}

// Acknowledge forgets the outcomes with an xid below ack. An ack that is not
// above the last one changes nothing.
func (t *Table) Acknowledge(id, ack uint64) {
	if r := t.lookup(id); r != nil && ack > r.Ack {
		t.acknowledge(t.own(r), ack)
	}
}

// Knowledge says what is known of a write by its xid.
type Knowledge uint8

const (
	New       Knowledge = 1 + iota // never run, nor has one with a higher xid
	Kept                           // has run; this is its outcome
	Lost                           // acknowledged: if it ran, its outcome is gone
	Overtaken                      // never run, and one with a higher xid has
)

// Known looks up a write of any generation by its xid. The outcome is good
// until the next change. Of no session everything is New.
func (t *Table) Known(id, xid uint64) (*Outcome, Knowledge) {
	r := t.peek(id)
	if r == nil || xid > r.HighXid {
		return nil, New
	}
	if o := r.find(xid); o != nil {
		return o, Kept
	}
	if xid < r.Ack {
		return nil, Lost
	}
	return nil, Overtaken // what runs has an outcome until it is acknowledged
}

// Full tells whether one more outcome with a body of bodyBytes would exceed
// MaxOutcomes or MaxOutcomeBytes.
func (t *Table) Full(id uint64, bodyBytes int) bool {
	r := t.peek(id)
	return r != nil && (len(r.Outcomes) >= MaxOutcomes || r.OutcomeBytes+bodyBytes > MaxOutcomeBytes)
}

// Keep remembers the outcome of a write that was New, and copies its body. One
// that the client has acknowledged ahead of time is only counted as run.
func (t *Table) Keep(id uint64, o Outcome) {
	r := t.lookup(id)
	if r == nil {
		return
	}
	r = t.own(r)
	t.raiseHighXid(r, o.Xid)
	if o.Xid < r.Ack {
		return
	}
	o.Body = append([]byte(nil), o.Body...)
	r.push(o)
	t.kept += o.memory()
	t.sum += o.term(id)
}

// lookup finds a live record for a change and remembers it, for the other
// calls of the same write.
func (t *Table) lookup(id uint64) *Record {
	if t.last == nil || t.last.ID != id {
		r := t.live[id]
		if r == nil {
			return nil
		}
		t.last = r
	}
	return t.last
}

// peek is lookup for readers, who may be many: it remembers nothing.
func (t *Table) peek(id uint64) *Record {
	if t.last != nil && t.last.ID == id {
		return t.last
	}
	return t.live[id]
}

func (t *Table) setNextSeq(r *Record, seq uint64) {
	t.sum += term(r.ID, fieldNextSeq, seq) - term(r.ID, fieldNextSeq, r.NextSeq)
	r.NextSeq = seq
}

func (t *Table) raiseHighXid(r *Record, xid uint64) {
	if xid <= r.HighXid {
		panic(fmt.Sprintf("session: xid %d of session %d is not above %d, the highest run", xid, r.ID, r.HighXid))
	}
	t.sum += term(r.ID, fieldHighXid, xid) - term(r.ID, fieldHighXid, r.HighXid)
	r.HighXid = xid
}

func (t *Table) acknowledge(r *Record, ack uint64) {
	if ack <= r.Ack {
		return
	}
	t.sum += term(r.ID, fieldAck, ack) - term(r.ID, fieldAck, r.Ack)
	r.Ack = ack
	n := 0
	for n < len(r.Outcomes) && r.Outcomes[n].Xid < ack {
		t.sum -= r.Outcomes[n].term(r.ID)
		t.kept -= r.Outcomes[n].memory()
		n++
	}
	r.prune(n)
}
