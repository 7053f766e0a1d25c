package session

import (
	"iter"
	"slices"
	"strings"
)

// Ended is what is remembered of a session that is no more.
type Ended struct {
	ID, Zxid uint64 // Zxid of the transaction that ended it
	Cause    string
}

// endedLog holds the newest MaxEnded ended sessions, oldest first. An element
// is written once and never changed, so a copy of the slice is a frozen view.
type endedLog struct {
	log   []Ended
	first int            // place of log[0] since the beginning
	place map[uint64]int // by id, counted since the beginning
	sum   uint64         // of the digest
}

func (l *endedLog) get(id uint64) (Ended, bool) {
	place, ok := l.place[id]
	if !ok {
		return Ended{}, false
	}
	return l.log[place-l.first], true
}

// add remembers e and forgets the oldest above the bound.
func (l *endedLog) add(e Ended) {
	e.Cause = cutCause(e.Cause)
	if len(l.log) == MaxEnded {
		oldest := &l.log[0]
		l.sum -= oldest.Digest()
		delete(l.place, oldest.ID)
		l.log = l.log[1:]
		l.first++
	}
	l.log = append(l.log, e) // never slid down in place: a frozen view may read the array
	l.place[e.ID] = l.first + len(l.log) - 1
	l.sum += e.Digest()
}

func (l *endedLog) all() iter.Seq[Ended] { return slices.Values(l.log) }

// cutCause owns its result: the argument may alias a log entry.
func cutCause(cause string) string {
	if len(cause) > MaxCauseBytes {
		cause = strings.ToValidUTF8(cause[:MaxCauseBytes], "")
	}
	return strings.Clone(cause)
}
