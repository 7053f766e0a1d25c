package raftlog

import (
	"errors"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/internal/mutant"
)

// FirstIndex is 0 for an empty log.
func (s *Store) FirstIndex() (uint64, error) { return s.view.Load().first, s.Err() }

// LastIndex is 0 for an empty log.
func (s *Store) LastIndex() (uint64, error) { return s.view.Load().last, s.Err() }

// CompactedTo is the highest index ever removed from the head of the log: a snapshot must reach it.
func (s *Store) CompactedTo() uint64 { return s.view.Load().compacted }

// GetLog returns raft.ErrLogNotFound only outside first..last; damage or absence inside is ErrCorrupt and poisons.
func (s *Store) GetLog(index uint64, out *raft.Log) error {
	return s.read(index, func(h *recordHeader, record []byte) { fillLog(h, record, out) })
}

// BytesSince tells how many bytes of log follow index, which is what a snapshot at index would allow to drop later.
func (s *Store) BytesSince(index uint64) (uint64, error) {
	v := s.view.Load()
	switch {
	case v.empty() || index >= v.last:
		return 0, s.Err()
	case index < v.first:
		return v.endPos - v.startPos, s.Err()
	}
	var position uint64
	err := s.read(index+1, func(h *recordHeader, _ []byte) { position = h.position })
	return v.endPos - position, err
}

// read hands the checked record of index to use, which must not keep it.
func (s *Store) read(index uint64, use func(*recordHeader, []byte)) error {
	for {
		cuts := s.cuts.Load()
		err := s.readOnce(index, use)
		// While a tail is cut, Badger shows the deletion of an entry before it is durable, and an older generation may
		// still have what once had its index.
		if s.cuts.Load() == cuts {
			return s.judge(index, err)
		}
	}
}

func (s *Store) readOnce(index uint64, use func(*recordHeader, []byte)) error {
	if !s.view.Load().contains(index) {
		return raft.ErrLogNotFound
	}
	return readNewest(s.generations(), index, use)
}

// judge tells absence from damage.
func (s *Store) judge(index uint64, err error) error {
	switch {
	case s.Err() != nil:
		return s.Err()
	case s.closed.Load():
		return ErrClosed
	case err == nil || errors.Is(err, raft.ErrLogNotFound):
		return err
	}
	// The head may have moved past index since it was checked, and its generation be gone.
	if !s.view.Load().contains(index) || mutant.On(mutant.DamageIsNotFound) {
		return raft.ErrLogNotFound
	}
	return s.fail(corrupt(s.dir, "entry %d: %w", index, err))
}

// readNewest reads an entry as the newest generation that has it does.
func readNewest(gens []*generation, index uint64, use func(*recordHeader, []byte)) error {
	for _, g := range slices.Backward(gens) {
		if err := g.read(index, use); !errors.Is(err, badger.ErrKeyNotFound) {
			return err
		}
	}
	return errEntryMissing
}

func readRecord(txn *badger.Txn, index uint64, use func(*recordHeader, []byte)) error {
	key := entryKey(index, 0)
	item, err := txn.Get(key)
	if err != nil {
		return err
	}
	return item.Value(func(v []byte) error {
		h, err := parseRecordHeader(v)
		if err != nil {
			return err
		}
		if h.chunks > 1 {
			if v, err = joinChunks(txn, index, &h, v); err != nil {
				return err
			}
		}
		if h, err = checkRecord(key, v); err != nil {
			return err
		}
		use(&h, v)
		return nil
	})
}

func joinChunks(txn *badger.Txn, index uint64, h *recordHeader, head []byte) ([]byte, error) {
	record := append(make([]byte, 0, h.length()), head...)
	for c := uint16(1); c < h.chunks; c++ {
		var err error
		if record, err = getCopy(txn, entryKey(index, c), record); err != nil {
			return nil, fmt.Errorf("chunk %d of %d: %v", c, h.chunks, err)
		}
		if uint64(len(record)) > h.length() {
			return nil, errRecordLength
		}
	}
	return record, nil
}

// getCopy appends the value of key to dst.
func getCopy(txn *badger.Txn, key, dst []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if err != nil {
		return nil, err
	}
	err = item.Value(func(v []byte) error {
		dst = append(dst, v...)
		return nil
	})
	return dst, err
}
