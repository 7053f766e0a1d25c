package replicate

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/internal/mutant"
)

// gate stands between raft and its store and knows how long a write has been
// under way: nothing else shows that a disk hangs, since raft's own check of
// its lease waits behind that very write.
//
// The cut of the log after a snapshot does not count: it keeps nobody waiting.
type gate struct {
	Store
	withheld atomic.Uint64     // messages not sent because a write hung
	term     atomic.Uint64     // the newest that raft has stored
	storing  func([]*raft.Log) // told of entries before they are stored; nil: nobody is
	newest   logID             // entry that raft has taken last, and not at an earlier start, and the term in which; of raft's own goroutine
	rising   sync.RWMutex      // held while a term is stored, and for reading, never over a write, by those who need the one there is

	mu    sync.Mutex // guards what follows
	since map[uint64]time.Time
	next  uint64
}

func newGate(s Store) *gate {
	g := &gate{Store: s, since: map[uint64]time.Time{}}
	if term, err := s.GetUint64(currentTermKey); err == nil { // else raft meets the error too
		g.term.Store(term)
	}
	return g
}

func (g *gate) IsMonotonic() bool {
	monotonic, ok := g.Store.(raft.MonotonicLogStore)
	return ok && monotonic.IsMonotonic()
}

func (g *gate) StoreLog(l *raft.Log) error { return g.StoreLogs([]*raft.Log{l}) }

func (g *gate) StoreLogs(l []*raft.Log) error {
	defer g.enter()()
	if g.storing != nil && len(l) > 0 {
		g.storing(l)
	}
	err := g.Store.StoreLogs(l)
	if err == nil && len(l) > 0 {
		g.newest = logID{l[len(l)-1].Index, g.term.Load()}
	}
	return err
}

func (g *gate) Set(key, value []byte) error {
	defer g.enter()()
	return g.Store.Set(key, value)
}

// SetUint64 stores no term again that is stored already: raft does it whenever a candidate hears of the leader of its own
// term, and who answers a heartbeat is to wait neither for the disk nor, holding rising, keep raft waiting for it.
func (g *gate) SetUint64(key []byte, value uint64) error {
	falling := mutant.On(mutant.FallingTerm)
	isTerm := bytes.Equal(key, currentTermKey)
	if isTerm && value == g.term.Load() && !falling {
		return nil
	}
	defer g.enter()()
	if !isTerm {
		return g.Store.SetUint64(key, value)
	}
	if !falling {
		g.rising.Lock()
		defer g.rising.Unlock()
	}
	err := g.Store.SetUint64(key, value)
	if err == nil {
		g.term.Store(value)
	}
	return err
}

// within runs f if term is the one that raft has stored, and keeps raft from storing another meanwhile. It tells whether
// it ran f; it does not wait for a term that is being stored.
func (g *gate) within(term uint64, f func()) bool {
	if !g.rising.TryRLock() {
		return false
	}
	defer g.rising.RUnlock()
	if term != g.term.Load() {
		return false
	}
	f()
	return true
}

// enter notes a write and returns what notes its end.
func (g *gate) enter() func() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next++
	write := g.next
	g.since[write] = time.Now()
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.since, write)
	}
}

// age is for how long the oldest write has been under way; 0 without one.
func (g *gate) age() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	var oldest time.Duration
	for _, began := range g.since {
		oldest = max(oldest, time.Since(began))
	}
	return oldest
}

// writes tells whether a write is under way.
func (g *gate) writes() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.since) > 0
}

// hangs tells whether the disk is taken for hanging.
func (g *gate) hangs() bool { return g.age() > hangAfter }
