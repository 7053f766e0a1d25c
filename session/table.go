package session

import (
	"crypto/subtle"
	"fmt"
	"iter"

	"github.com/lycaon-io/lycaon/znode/cow"
)

// Table holds the live sessions and the causes of those that ended.
//
// A record is changed in place until the table is frozen, and copied before
// its first change after that: the frozen handle keeps the old one.
type Table struct {
	live       map[uint64]*Record       // for look-ups
	ordered    cow.Map[uint64, *Record] // for order and for Freeze: always the records of live
	byPassword map[[32]byte]uint64
	ended      endedLog
	generation uint64
	sum        uint64  // digest of the live records
	kept       int     // memory of their outcomes
	last       *Record // the one a write touched last: a write looks it up several times
}

// NewTable returns an empty table.
func NewTable() *Table {
	return &Table{
		live:       make(map[uint64]*Record),
		byPassword: make(map[[32]byte]uint64),
		ended:      endedLog{place: make(map[uint64]int)},
		generation: 1,
	}
}

// Open adds a session in generation 1. The id and the hash must be new: ask
// Get and ByPassword first.
func (t *Table) Open(id uint64, hash [32]byte, timeoutMs, maxEphemerals int64) *Record {
	if other, taken := t.byPassword[hash]; taken {
		panic(fmt.Sprintf("session: open of %d with the password of session %d", id, other))
	}
	if t.live[id] != nil {
		panic(fmt.Sprintf("session: session %d is open already", id))
	}
	r := &Record{
		ID: id, Generation: 1, PasswordHash: hash,
		TimeoutMs: timeoutMs, MaxEphemerals: maxEphemerals,
		NextSeq: 1, born: t.generation,
	}
	t.insert(r)
	return r
}

func (t *Table) insert(r *Record) {
	t.live[r.ID] = r
	t.ordered.Set(t.generation, r.ID, r)
	t.byPassword[r.PasswordHash] = r.ID
	t.sum += r.Digest()
	t.kept += r.Keeps(0)
}

// Get returns a live session. The record is good until the next change.
func (t *Table) Get(id uint64) (*Record, bool) {
	r := t.live[id]
	return r, r != nil
}

// ByPassword returns the session that was opened with this password hash.
func (t *Table) ByPassword(hash [32]byte) (uint64, bool) {
	id, ok := t.byPassword[hash]
	return id, ok
}

// AttachVerdict is what became of an attach.
type AttachVerdict uint8

const (
	Attached AttachVerdict = 1 + iota // a new generation: the older connection is fenced
	Repeat                            // this very attempt was applied before
	Stale                             // a later attempt was applied before
	Unknown                           // no such session, or not its password
)

// Attach hands a session to a new connection: the next generation, its writes
// counted from 1. Attempts count from 1 and rise with each try of the client.
// Only Attached changes anything; Unknown comes without a record.
func (t *Table) Attach(id uint64, hash [32]byte, attempt uint64, timeoutMs int64, ack uint64) (*Record, AttachVerdict) {
	r := t.live[id]
	if r == nil || subtle.ConstantTimeCompare(hash[:], r.PasswordHash[:]) != 1 {
		return nil, Unknown
	}
	if attempt < r.Attempt || attempt == 0 {
		return r, Stale
	}
	if attempt == r.Attempt {
		return r, Repeat
	}
	r = t.own(r)
	t.sum -= r.attachTerm()
	r.Generation++
	r.Attempt = attempt
	r.TimeoutMs = timeoutMs
	t.sum += r.attachTerm()
	t.setNextSeq(r, 1)
	t.acknowledge(r, ack)
	return r, Attached
}

// Close ends a session and remembers why. It returns false if there is none.
func (t *Table) Close(id, zxid uint64, cause string) bool {
	r := t.live[id]
	if r == nil {
		return false
	}
	t.sum -= r.Digest()
	t.kept -= r.Keeps(0)
	delete(t.live, id)
	delete(t.byPassword, r.PasswordHash)
	t.ordered.Delete(t.generation, id)
	t.last = nil
	t.ended.add(Ended{ID: id, Zxid: zxid, Cause: cause})
	return true
}

// Ended returns how a session ended, as long as it is remembered.
func (t *Table) Ended(id uint64) (Ended, bool) { return t.ended.get(id) }

// Len returns the number of live sessions.
func (t *Table) Len() int { return len(t.live) }

// Kept returns the memory of the outcomes of all live sessions.
func (t *Table) Kept() int { return t.kept }

// Digest returns the digest of everything in the table, kept up to date by
// each change. Frozen.Digest recomputes it.
func (t *Table) Digest() uint64 { return t.sum + t.ended.sum }

// All yields the live sessions by rising id. The table must not change
// meanwhile.
func (t *Table) All() iter.Seq[*Record] { return records(t.ordered) }

// After yields the live sessions with ids above one, by rising id, likewise.
func (t *Table) After(id uint64) iter.Seq[*Record] {
	return func(yield func(*Record) bool) {
		for _, r := range t.ordered.After(id) {
			if !yield(r) {
				return
			}
		}
	}
}

// AllEnded yields the remembered ended sessions, oldest first.
func (t *Table) AllEnded() iter.Seq[Ended] { return t.ended.all() }

func records(m cow.Map[uint64, *Record]) iter.Seq[*Record] {
	return func(yield func(*Record) bool) {
		for _, r := range m.All() {
			if !yield(r) {
				return
			}
		}
	}
}

// own returns the copy of r that may be changed, and makes it the live one.
func (t *Table) own(r *Record) *Record {
	if r.born != t.generation {
		r = r.clone(t.generation)
		t.live[r.ID] = r
		t.ordered.Set(t.generation, r.ID, r)
		t.last = r
	}
	return r
}
