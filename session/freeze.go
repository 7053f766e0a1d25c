package session

import (
	"errors"
	"fmt"
	"iter"

	"github.com/lycaon-io/lycaon/znode/cow"
)

// ErrInvalid means that records handed to a Loader cannot stem from a Table.
var ErrInvalid = errors.New("invalid session record")

// Frozen is a table as it was at one instant. It never changes and may be read
// without any lock.
type Frozen struct {
	ordered cow.Map[uint64, *Record]
	ended   []Ended
}

// Freeze returns the table as it is now, in constant time.
func (t *Table) Freeze() *Frozen {
	f := &Frozen{ordered: t.ordered, ended: t.ended.log}
	t.generation++
	return f
}

// Len returns the number of live sessions.
func (f *Frozen) Len() int { return f.ordered.Len() }

// All yields the live sessions by rising id.
func (f *Frozen) All() iter.Seq[*Record] { return records(f.ordered) }

// AllEnded yields the remembered ended sessions, oldest first.
func (f *Frozen) AllEnded() iter.Seq[Ended] {
	l := endedLog{log: f.ended}
	return l.all()
}

// Digest computes the digest from what is stored: it must equal the Digest
// that the table had when it was frozen. pace, unless nil, is told after each
// record how many bytes were read; when it returns false the walk ends and the
// result means nothing.
func (f *Frozen) Digest(pace func(bytes int) bool) uint64 {
	var sum uint64
	for r := range f.All() {
		sum += r.Digest()
		if pace != nil && !pace(recordBytes+r.OutcomeBytes) {
			return 0
		}
	}
	for i := range f.ended {
		sum += f.ended[i].Digest()
		if pace != nil && !pace(len(f.ended[i].Cause)) {
			return 0
		}
	}
	return sum
}

// recordBytes is about what a record takes beside its kept answers.
const recordBytes = 256

// Loader builds a table from the records of an image, and refuses what no
// table could have held.
type Loader struct {
	table    *Table
	lastID   uint64
	lastZxid uint64
}

// NewLoader returns a loader of an empty table.
func NewLoader() *Loader { return &Loader{table: NewTable()} }

// Add takes the live sessions by rising id. It copies the outcomes and counts
// OutcomeBytes itself.
func (l *Loader) Add(r Record) error {
	if err := l.check(&r); err != nil {
		return err
	}
	own := r
	own.born, own.shared = l.table.generation, false
	own.OutcomeBytes = 0
	for i := range r.Outcomes {
		own.OutcomeBytes += len(r.Outcomes[i].Body)
	}
	own.room = make([]Outcome, len(r.Outcomes))
	bodies := make([]byte, 0, own.OutcomeBytes)
	for i, o := range r.Outcomes {
		start := len(bodies)
		bodies = append(bodies, o.Body...)
		o.Body = bodies[start:len(bodies):len(bodies)]
		own.room[i] = o
	}
	own.Outcomes = own.room
	l.table.insert(&own)
	l.lastID = r.ID
	return nil
}

func (l *Loader) check(r *Record) error {
	if r.ID <= l.lastID {
		return fmt.Errorf("session %d after %d: %w", r.ID, l.lastID, ErrInvalid)
	}
	if r.Generation == 0 || r.NextSeq == 0 {
		return fmt.Errorf("session %d: generation %d, next write %d: %w", r.ID, r.Generation, r.NextSeq, ErrInvalid)
	}
	if other, taken := l.table.byPassword[r.PasswordHash]; taken {
		return fmt.Errorf("session %d: the password of session %d: %w", r.ID, other, ErrInvalid)
	}
	if _, ended := l.table.Ended(r.ID); ended {
		return fmt.Errorf("session %d: both live and ended: %w", r.ID, ErrInvalid)
	}
	var before uint64
	for i := range r.Outcomes {
		xid := r.Outcomes[i].Xid
		if xid <= before || xid < r.Ack || xid > r.HighXid {
			return fmt.Errorf("session %d: outcome of xid %d after %d, with ack %d and highest xid %d: %w",
				r.ID, xid, before, r.Ack, r.HighXid, ErrInvalid)
		}
		before = xid
	}
	return nil
}

// AddEnded takes the ended sessions, oldest first.
func (l *Loader) AddEnded(e Ended) error {
	_, live := l.table.live[e.ID]
	_, ended := l.table.Ended(e.ID)
	if live || ended {
		return fmt.Errorf("ended session %d: a second record: %w", e.ID, ErrInvalid)
	}
	if e.Zxid < l.lastZxid || len(l.table.ended.log) == MaxEnded || len(e.Cause) > MaxCauseBytes {
		return fmt.Errorf("ended session %d of zxid %d, cause of %d bytes, after zxid %d and %d others: %w",
			e.ID, e.Zxid, len(e.Cause), l.lastZxid, len(l.table.ended.log), ErrInvalid)
	}
	l.table.ended.add(e)
	l.lastZxid = e.Zxid
	return nil
}

// Table returns the finished table; the loader is done.
func (l *Loader) Table() *Table {
	t := l.table
	l.table = nil
	return t
}
