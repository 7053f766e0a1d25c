package session

import "slices"

// Bounds of one record and of the table.
const (
	MaxOutcomes     = 1024      // outcomes a session keeps until they are acknowledged
	MaxOutcomeBytes = 256 << 10 // and the bytes of their bodies
	MaxEnded        = 10_000    // ended sessions whose cause is remembered
	MaxCauseBytes   = 256       // a longer cause is cut
)

// KeptBytes is what an outcome takes in memory beside its body, at most: the array
// that it stands in may be twice as long as what is in it.
const KeptBytes = 96

// Outcome is the answer of one write that its client has not acknowledged.
// Body is the encoded reply body; nobody changes it.
type Outcome struct {
	Xid, Zxid uint64
	Code      int32
	Body      []byte
}

func (o *Outcome) memory() int { return KeptBytes + len(o.Body) }

// Record is one live session. Who gets one reads it and changes nothing.
//
// Outcomes rise by Xid, none is below Ack and none above HighXid, and
// OutcomeBytes is the sum of their bodies.
type Record struct {
	ID, Generation, Attempt  uint64
	PasswordHash             [32]byte
	TimeoutMs, MaxEphemerals int64
	NextSeq, HighXid, Ack    uint64 // next write of this generation; highest xid run; lowest xid whose outcome may be asked for
	Outcomes                 []Outcome
	OutcomeBytes             int

	born   uint64    // generation of the table that may change this copy in place
	room   []Outcome // the whole array whose tail Outcomes is
	shared bool      // a frozen copy reads the array below len(Outcomes): only append to it
}

// clone returns the copy that generation born may change. It shares the array
// of outcomes: what a frozen record reads of it is never written again, and
// appends land behind it.
func (r *Record) clone(born uint64) *Record {
	c := *r
	c.born = born
	c.shared = true
	return &c
}

// Keeps is the memory of the outcomes that are left once those with an xid below ack
// are acknowledged.
func (r *Record) Keeps(ack uint64) int {
	n := 0
	for i := len(r.Outcomes) - 1; i >= 0 && r.Outcomes[i].Xid >= ack; i-- {
		n += r.Outcomes[i].memory()
	}
	return n
}

// prune drops the first n outcomes.
func (r *Record) prune(n int) {
	for i := range r.Outcomes[:n] {
		r.OutcomeBytes -= len(r.Outcomes[i].Body)
	}
	if !r.shared {
		clear(r.Outcomes[:n])
	}
	r.Outcomes = r.Outcomes[n:]
}

// push appends o. The array moves only when its end is reached, and at least
// half of it was used up since it last did: constant time on average, and no
// allocation while the client acknowledges as it goes.
func (r *Record) push(o Outcome) {
	if len(r.Outcomes) == cap(r.Outcomes) {
		r.makeRoom()
	}
	r.Outcomes = append(r.Outcomes, o)
	r.OutcomeBytes += len(o.Body)
}

func (r *Record) makeRoom() {
	const least = 4
	live := len(r.Outcomes)
	if r.shared || 2*live > len(r.room) || len(r.room) == 0 {
		r.room = make([]Outcome, max(least, 2*live))
		r.shared = false
	}
	copy(r.room, r.Outcomes)
	clear(r.room[live:]) // of what slid down
	r.Outcomes = r.room[:live]
}

// find returns the outcome of xid.
func (r *Record) find(xid uint64) *Outcome {
	i, ok := slices.BinarySearchFunc(r.Outcomes, xid, func(o Outcome, xid uint64) int {
		switch {
		case o.Xid < xid:
			return -1
		case o.Xid > xid:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return &r.Outcomes[i]
}
