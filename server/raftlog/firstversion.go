package raftlog

import (
	"encoding/binary"
	"math"

	"github.com/dgraph-io/badger/v4"
)

// A store of the first version is one Badger directory, which deletes the keys of a dropped prefix and compacts. It goes
// on so until Modernize: that may be long after the first server of a cluster has a newer program, and a log that gave
// nothing back would fill the disk by then.

// FirstVersion tells that programs that know of one generation alone can still open the store.
func (s *Store) FirstVersion() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.firstVersion()
}

func (s *Store) firstVersion() bool { return s.format.version == formatVersionFirst }

func (s *Store) stateVersion() byte {
	if s.firstVersion() {
		return stateVersionFirst
	}
	return stateVersion
}

// Modernize lets a store of the first version begin generations, which such programs refuse.
func (s *Store) Modernize() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usableLocked(); err != nil {
		return err
	}
	if !s.firstVersion() {
		return nil
	}
	f := s.format
	f.version = formatVersion
	if err := writeFormat(s.dir, f); err != nil {
		return err
	}
	s.format = f
	return s.rotate()
}

// compacting has Badger merge its tables, and so get rid of what was deleted.
func compacting(o badger.Options) badger.Options {
	return o.WithNumCompactors(2).
		WithNumLevelZeroTables(tablesBeforeCompaction).
		WithNumLevelZeroTablesStall(tablesBeforeStall)
}

// purgeSome deletes a few keys below the head, and calls for more of that if there may be any. The write lock covers both
// the listing and the deletion, so that no entry written meanwhile can be hit.
func (s *Store) purgeSome() {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.view.Load().first
	if !s.firstVersion() || s.usableLocked() != nil || s.purged >= first {
		return
	}
	keys := s.entryKeys(s.purged, first-1, purgeKeysPerTxn)
	mark := first
	if len(keys) == purgeKeysPerTxn {
		mark, _, _ = parseEntryKey(keys[len(keys)-1])
		defer s.wake()
	}
	s.purged = mark
	if len(keys) == 0 {
		return
	}
	s.batch.reset()
	for _, key := range keys {
		s.batch.add(key, nil)
	}
	s.batch.add([]byte{tagPurge}, binary.BigEndian.AppendUint64(nil, mark))
	_ = s.commitRaw() // an error has poisoned the store
}

// loadPurged may be too low without harm.
func loadPurged(db *badger.DB) uint64 {
	txn := db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	b, err := getCopy(txn, []byte{tagPurge}, nil)
	if err != nil || len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}
