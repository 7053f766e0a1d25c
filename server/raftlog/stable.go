package raftlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
)

// keyCurrentTerm is raft's name for the term; the guard shows it.
const keyCurrentTerm = "CurrentTerm"

// Set stores a value durably. Values are few and small: raft's term and vote.
func (s *Store) Set(key, value []byte) error {
	if len(key) > maxStableKeyBytes || len(value) > maxStableValueBytes {
		return fmt.Errorf("%w: stable key of %d bytes with value of %d, at most %d and %d",
			ErrTooLarge, len(key), len(value), maxStableKeyBytes, maxStableValueBytes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usableLocked(); err != nil {
		return err
	}
	if err := s.makeRoom(); err != nil {
		return err
	}
	stable := maps.Clone(s.stable)
	stable[string(key)] = bytes.Clone(value)
	if len(stable) > maxStableKeys {
		return fmt.Errorf("%w: more than %d stable keys", ErrTooLarge, maxStableKeys)
	}
	next := *s.view.Load()
	next.stableSum = sumStable(stable)
	if string(key) == keyCurrentTerm && len(value) == 8 {
		next.term = binary.BigEndian.Uint64(value)
	}
	s.batch.reset()
	s.batch.add(stableKey(key), encodeStable(key, value))
	if err := s.commit(&next); err != nil {
		return err
	}
	s.stableMu.Lock()
	s.stable = stable
	s.stableMu.Unlock()
	return nil
}

// Get fails with the text "not found", which raft tests for, if the key was never set.
func (s *Store) Get(key []byte) ([]byte, error) {
	if err := s.Err(); err != nil {
		return nil, err
	}
	s.stableMu.RLock()
	defer s.stableMu.RUnlock()
	value, ok := s.stable[string(key)]
	if !ok {
		return nil, errNotFound
	}
	return bytes.Clone(value), nil
}

// SetUint64 stores a number.
func (s *Store) SetUint64(key []byte, value uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 fails like Get; a value that is no number is damage.
func (s *Store) GetUint64(key []byte) (uint64, error) {
	value, err := s.Get(key)
	if err != nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, s.fail(corrupt(s.dir, "stable key %q holds %d bytes instead of a number", key, len(value)))
	}
	return binary.BigEndian.Uint64(value), nil
}
