package raftlog

import (
	"errors"
	"fmt"
	"math"

	"github.com/dgraph-io/badger/v4"
	"github.com/hashicorp/raft"
)

// DeleteRange drops a prefix, a suffix or all of the log. All of it is gone durably when the call returns; generations
// that hold nothing else are deleted in the background.
func (s *Store) DeleteRange(from, to uint64) error {
	b, err := s.findBorder(from, to)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usableLocked(); err != nil {
		return err
	}
	if err := s.makeRoom(); err != nil {
		return err
	}
	v := s.view.Load()
	if b.index != borderIndex(v, from, to) || b.cuts != s.cuts.Load() {
		if b, err = s.findBorder(from, to); err != nil {
			return err
		}
	}
	switch {
	case v.empty() || from > to || to < v.first || from > v.last:
		return nil
	case from <= v.first && to >= v.last:
		return s.dropAll(*v)
	case from <= v.first:
		return s.dropPrefix(*v, &b.head)
	case to >= v.last:
		return s.dropSuffix(*v, &b.head)
	}
	return fmt.Errorf("%w: log %d to %d, asked for %d to %d", ErrHole, v.first, v.last, from, to)
}

// border is the entry that a truncation leaves at the end where it cuts. It is read before the write lock is taken, since
// readers wait for a generation that settles, and appends need not.
type border struct {
	index uint64 // 0 if there is none
	cuts  uint64
	head  recordHeader
}

func (s *Store) findBorder(from, to uint64) (b border, err error) {
	b.cuts = s.cuts.Load()
	if b.index = borderIndex(s.view.Load(), from, to); b.index == 0 {
		return b, nil
	}
	err = s.read(b.index, func(h *recordHeader, _ []byte) { b.head = *h })
	if errors.Is(err, raft.ErrLogNotFound) {
		return border{}, nil // the log has changed since
	}
	return b, err
}

func borderIndex(v *state, from, to uint64) uint64 {
	switch {
	case from <= v.first && to >= v.first && to < v.last:
		return to + 1
	case to >= v.last && from > v.first && from <= v.last:
		return from - 1
	}
	return 0
}

func (s *Store) dropPrefix(next state, kept *recordHeader) error {
	next.first, next.startPos = kept.index, kept.position
	next.compacted = max(next.compacted, next.first-1)
	gone := s.unvouched(&next)
	s.batch.reset()
	if err := s.commit(&next); err != nil {
		return err
	}
	s.retire(gone)
	if s.firstVersion() {
		s.wake()
	}
	return nil
}

func (s *Store) dropSuffix(next state, kept *recordHeader) error {
	next.last, next.lastTerm, next.lastSum = kept.index, kept.term, kept.sum
	next.endPos = kept.position + kept.length()
	return s.lowerTail(&next, kept.index+1)
}

// dropAll serves a conflict over the whole log as well as raft's clearing after an installed snapshot. Nothing tells
// them apart, so compacted stays below the first entry; Snapshots.Usable covers the second case.
func (s *Store) dropAll(next state) error {
	from := next.first
	next.compacted = max(next.compacted, next.first-1)
	next.first, next.last, next.lastTerm, next.lastSum = 0, 0, 0, 0
	next.startPos = next.endPos
	return s.lowerTail(&next, from)
}

// lowerTail commits next with the deletion of all keys at and above from. Keys that do not fit into that transaction
// follow in others: the state no longer vouches for them, and open removes what a crash left. Those of older generations
// stay: whatever takes their index comes into the newest one or a later one, which is asked first.
func (s *Store) lowerTail(next *state, from uint64) error {
	// The tail is about to go back: at that moment the guard on disk must not be stale.
	if err := s.guard.sync(); err != nil {
		return s.fail(fmt.Errorf("raftlog: sync tail guard: %w", err))
	}
	s.stats.guardSyncs.Add(1)
	// From here on nobody reads what is about to go: Badger shows its deletion before that is durable.
	lowered := *next
	s.view.Store(&lowered)
	s.cuts.Add(1)
	s.forget(from)
	gone := s.unvouched(next)
	keys := s.entryKeys(from, math.MaxUint64, math.MaxInt)
	s.batch.reset()
	keys = s.addDeletes(keys)
	if err := s.commit(next); err != nil {
		return err
	}
	s.retire(gone)
	for len(keys) > 0 {
		keys = s.addDeletes(keys)
		if err := s.commitRaw(); err != nil {
			return err
		}
	}
	return nil
}

// addDeletes fills the batch from keys and returns the rest.
func (s *Store) addDeletes(keys [][]byte) [][]byte {
	for len(keys) > 0 && s.batch.fits(2, entryKeyLen+stateLen, s.txnMax) {
		s.batch.add(keys[0], nil)
		keys = keys[1:]
	}
	return keys
}

// entryKeys lists the first keys of entries from..to in the newest generation. Used only to delete: a key it misses is garbage
// that nothing vouches for.
func (s *Store) entryKeys(from, to uint64, limit int) [][]byte {
	txn := s.newest().db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{tagEntry}})
	defer it.Close()
	var keys [][]byte
	for it.Seek(entryKey(from, 0)); it.Valid() && len(keys) < limit; it.Next() {
		index, _, ok := parseEntryKey(it.Item().Key())
		if !ok {
			continue
		}
		if index > to {
			break
		}
		// Badger uses the key's memory again.
		keys = append(keys, it.Item().KeyCopy(nil))
	}
	return keys
}
