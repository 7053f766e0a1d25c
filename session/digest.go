package session

import (
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// The digest of a table is the sum, modulo 2^64, of one term for each field
// that changes, for each record's fixed part, for each outcome and for each
// ended session. A change subtracts one term and adds another, so that the
// digest costs nothing per session and does not depend on the order of
// changes.

type field uint64

const (
	fieldFixed field = 1 + iota
	fieldAttach
	fieldNextSeq
	fieldHighXid
	fieldAck
	fieldOutcome
	fieldEnded
)

// Odd constants without structure (wyhash's).
const (
	salt1 = 0xa0761d6478bd642f
	salt2 = 0xe7037ed1a0b428db
	salt3 = 0x8ebc6af09c88c6e3
)

// term is the weight in the digest of value in field f of session id.
func term(id uint64, f field, value uint64) uint64 {
	hi, lo := bits.Mul64(id^uint64(f)*salt3^salt1, value^salt2)
	hi, lo = bits.Mul64(lo^salt1, hi^salt2)
	return hi ^ lo
}

// Digest is what the record adds to the digest of its table.
func (r *Record) Digest() uint64 {
	sum := r.fixedTerm() + r.attachTerm() +
		term(r.ID, fieldNextSeq, r.NextSeq) + term(r.ID, fieldHighXid, r.HighXid) + term(r.ID, fieldAck, r.Ack)
	for i := range r.Outcomes {
		sum += r.Outcomes[i].term(r.ID)
	}
	return sum
}

// fixedTerm covers what is set when the session opens.
func (r *Record) fixedTerm() uint64 {
	return term(r.ID, fieldFixed, xxhash.Sum64(r.PasswordHash[:])^term(r.ID, fieldFixed, uint64(r.MaxEphemerals)))
}

// attachTerm covers what an attach sets.
func (r *Record) attachTerm() uint64 {
	return term(r.ID, fieldAttach, term(r.Generation, fieldAttach, r.Attempt)^term(r.ID, fieldAttach, uint64(r.TimeoutMs)))
}

func (o *Outcome) term(id uint64) uint64 {
	h := term(id, fieldOutcome, o.Xid)
	h = term(h, fieldOutcome, o.Zxid)
	h = term(h, fieldOutcome, uint64(o.Code))
	return term(h, fieldOutcome, xxhash.Sum64(o.Body))
}

// Digest is what an ended session adds to the digest of its table.
func (e *Ended) Digest() uint64 {
	return term(e.ID, fieldEnded, xxhash.Sum64String(e.Cause)^term(e.ID, fieldEnded, e.Zxid))
}
