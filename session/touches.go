package session

import (
	"slices"
	"sync"
	"sync/atomic"
)

const (
	touchShards = 64  // a power of two
	touchSlots  = 256 // of a shard; a power of two
	leastRoom   = 8   // ids of a shard
)

// Touches is the set of sessions that one server heard from since it last told
// the leader. The zero value is ready.
//
// Touch is called for every frame of every connection. Once a session is in the
// set, further touches write no shared memory: they find its id in its slot.
// Two sessions that share a slot take turns in it and pay for the lock.
type Touches struct {
	shards [touchShards]touchShard
}

type touchShard struct {
	slots [touchSlots]atomic.Uint64 // ids that are in the set; written under mu
	mu    sync.Mutex                // guards ids
	ids   []uint64                  // the set, those that share a slot more than once
	_     [64]byte                  // keeps the next shard's slots off this lock's cache line
}

// Touch adds a session to the set. Id 0 is no session.
func (t *Touches) Touch(id uint64) {
	s := &t.shards[hash(id)>>58]
	slot := s.slot(id)
	if slot.Load() != id {
		s.touch(id, slot)
	}
}

func hash(id uint64) uint64 { return id * 0x9e3779b97f4a7c15 }

func (s *touchShard) slot(id uint64) *atomic.Uint64 { return &s.slots[hash(id)>>50%touchSlots] }

func (s *touchShard) touch(id uint64, slot *atomic.Uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ids) == cap(s.ids) {
		s.makeRoom()
	}
	s.ids = append(s.ids, id)
	slot.Store(id)
}

// makeRoom has each id there once, and room for as many more: sessions that take turns
// in a slot do not grow it beyond that.
func (s *touchShard) makeRoom() {
	slices.Sort(s.ids)
	s.ids = slices.Compact(s.ids)
	s.ids = slices.Grow(s.ids, max(len(s.ids), leastRoom))
}

// Take returns the set by rising id and empties it. A touch that runs meanwhile
// is in this answer or in the next.
func (t *Touches) Take() []uint64 {
	var ids []uint64
	for i := range t.shards {
		ids = t.shards[i].take(ids)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (s *touchShard) take(ids []uint64) []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.ids { // no slot holds an id that is not in the set
		s.slot(id).Store(0)
	}
	ids = append(ids, s.ids...)
	s.ids = s.ids[:0]
	return ids
}
