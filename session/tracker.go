package session

import (
	"iter"
	"time"
)

// Lease is what a Tracker must know of a session.
type Lease struct {
	ID, Generation uint64
	Timeout        time.Duration
}

// Due is a session that was not heard of for its timeout. Its close must be
// fenced by Generation: a session that moved on meanwhile lives.
type Due struct {
	ID, Generation uint64
}

// Tracker keeps the deadlines of a leader's sessions. Its times are readings
// of one monotonic clock, counted from any origin.
//
// A touch writes only the time; the heap is put right when an entry comes to
// its top with a deadline that has moved. The answers depend on nothing but
// the calls.
type Tracker struct {
	leases map[uint64]*lease
	heap   []*lease
	// stalled is the sum of the leader's own pauses. All times inside are
	// counted without them, so that one addition moves every deadline.
	stalled time.Duration
}

type lease struct {
	Lease
	heard time.Duration
	key   time.Duration // place in the heap; never later than the deadline
	at    int           // index in the heap
}

func (l *lease) deadline() time.Duration { return l.heard + l.Timeout }

// NewTracker returns a tracker of no sessions.
func NewTracker() *Tracker { return &Tracker{leases: make(map[uint64]*lease)} }

// Reset forgets everything and gives each session its full timeout from now on
// and grace on top: what a new leader does, with the outage as grace.
func (t *Tracker) Reset(now time.Duration, sessions iter.Seq[Lease], grace time.Duration) {
	*t = *NewTracker()
	for s := range sessions {
		t.Add(s.ID, s.Generation, s.Timeout, now+grace)
	}
}

// Add starts or renews a session that was opened or attached at now.
func (t *Tracker) Add(id, generation uint64, timeout, now time.Duration) {
	l := t.leases[id]
	if l == nil {
		l = &lease{at: len(t.heap), heard: now - t.stalled}
		t.leases[id] = l
		t.heap = append(t.heap, l)
	}
	l.Lease = Lease{ID: id, Generation: generation, Timeout: max(timeout, 1)} // 0 would be due for ever
	l.heard = max(l.heard, now-t.stalled)
	l.key = l.deadline()
	t.fix(l)
}

// Touch notes that a session was heard of. Unknown sessions are ignored, and so
// is a time before the last one.
func (t *Tracker) Touch(id uint64, now time.Duration) {
	if l := t.leases[id]; l != nil {
		l.heard = max(l.heard, now-t.stalled)
	}
}

// Remove forgets a session that ended.
func (t *Tracker) Remove(id uint64) {
	l := t.leases[id]
	if l == nil {
		return
	}
	delete(t.leases, id)
	final := len(t.heap) - 1
	moved := t.heap[final]
	t.heap[final] = nil
	t.heap = t.heap[:final]
	if moved != l {
		t.heap[l.at], moved.at = moved, l.at
		t.fix(moved)
	}
}

// Stalled moves every deadline by gap: the caller did not run for that long,
// and what it did not hear meanwhile counts against nobody.
func (t *Tracker) Stalled(gap time.Duration) { t.stalled += max(gap, 0) }

// Due returns at most limit sessions whose deadline is reached, the longest
// overdue first, equal ones by id. They stay tracked, and are due again after
// another timeout unless they are touched, added or removed before: a close
// that got lost is made up for.
func (t *Tracker) Due(now time.Duration, limit int) []Due {
	var due []Due
	now -= t.stalled
	for len(t.heap) > 0 && len(due) < limit && t.heap[0].key <= now {
		l := t.heap[0]
		if l.key == l.deadline() {
			due = append(due, Due{ID: l.ID, Generation: l.Generation})
			l.heard = now
		}
		l.key = l.deadline()
		t.down(0)
	}
	return due
}

// Len returns the number of sessions tracked.
func (t *Tracker) Len() int { return len(t.leases) }

func (t *Tracker) less(i, j int) bool {
	a, b := t.heap[i], t.heap[j]
	return a.key < b.key || a.key == b.key && a.ID < b.ID
}

func (t *Tracker) swap(i, j int) {
	t.heap[i], t.heap[j] = t.heap[j], t.heap[i]
	t.heap[i].at, t.heap[j].at = i, j
}

func (t *Tracker) fix(l *lease) {
	t.up(l.at)
	t.down(l.at)
}

func (t *Tracker) up(i int) {
	for i > 0 && t.less(i, (i-1)/2) {
		t.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (t *Tracker) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(t.heap); child++ {
			if t.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		t.swap(i, least)
		i = least
	}
}
