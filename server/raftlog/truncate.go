package raftlog

import (
	"fmt"
	"math"

	"github.com/dgraph-io/badger/v4"
)

// DeleteRange drops a prefix, a suffix or all of the log. A prefix is gone durably when the call returns, while its
// keys are deleted in the background; a suffix and its keys go in one transaction with the new last index.
func (s *Store) DeleteRange(from, to uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usableLocked(); err != nil {
		return err
	}
	v := s.view.Load()
	switch {
	case v.empty() || from > to || to < v.first || from > v.last:
		return nil
	case from <= v.first && to >= v.last:
		return s.dropAll(*v)
	case from <= v.first:
		return s.dropPrefix(*v, to)
	case to >= v.last:
		return s.dropSuffix(*v, from)
	}
	return fmt.Errorf("%w: log %d to %d, asked for %d to %d", ErrHole, v.first, v.last, from, to)
}

func (s *Store) dropPrefix(next state, to uint64) error {
	err := s.read(to+1, func(h *recordHeader, _ []byte) { next.startPos = h.position })
	if err != nil {
		return err
	}
	next.first = to + 1
	next.compacted = max(next.compacted, to)
	s.batch.reset()
	if err := s.commit(&next); err != nil {
		return err
	}
	s.wake()
	return nil
}

func (s *Store) dropSuffix(next state, from uint64) error {
	err := s.read(from-1, func(h *recordHeader, _ []byte) {
		next.last, next.lastTerm, next.lastSum = h.index, h.term, h.sum
		next.endPos = h.position + h.length()
	})
	if err != nil {
		return err
	}
	return s.lowerTail(&next, from)
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
// follow in others: the state no longer vouches for them, and open removes what a crash left.
func (s *Store) lowerTail(next *state, from uint64) error {
	// The tail is about to go back: at that moment the guard on disk must not be stale.
	if err := s.guard.sync(); err != nil {
		return s.fail(fmt.Errorf("raftlog: sync tail guard: %w", err))
	}
	s.stats.guardSyncs.Add(1)
	keys := s.entryKeys(from, math.MaxUint64, math.MaxInt)
	s.batch.reset()
	keys = s.addDeletes(keys)
	if err := s.commit(next); err != nil {
		return err
	}
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

// entryKeys lists the present keys of entries from..to. Used only to delete: a key it misses is garbage that nothing
// vouches for.
func (s *Store) entryKeys(from, to uint64, limit int) [][]byte {
	txn := s.db.NewTransactionAt(math.MaxUint64, false)
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
