package raftlog

import (
	"fmt"

	"github.com/hashicorp/raft"
)

// StoreLog appends one entry.
func (s *Store) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs appends entries that continue the log; an empty log may begin anywhere. They become durable in one
// transaction or, when they do not fit, in several in index order, so that a crash leaves a prefix of them.
func (s *Store) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usableLocked(); err != nil {
		return err
	}
	if err := checkAppend(s.view.Load(), logs); err != nil {
		return err
	}
	if err := s.makeRoom(); err != nil {
		return err
	}
	next := *s.view.Load()
	s.batch.reset()
	for _, l := range logs {
		if err := s.appendOne(l, &next); err != nil {
			return err
		}
	}
	if err := s.commit(&next); err != nil {
		return err
	}
	s.stats.entries.Add(uint64(len(logs)))
	return nil
}

func checkAppend(s *state, logs []*raft.Log) error {
	want := s.last + 1
	if s.empty() {
		want = max(logs[0].Index, 1)
	}
	for _, l := range logs {
		if l.Index != want {
			return fmt.Errorf("%w: log ends at %d, got index %d where %d follows", ErrNotContiguous, s.last, l.Index, want)
		}
		if n := recordLen(l); n > MaxRecordBytes {
			return fmt.Errorf("%w: entry %d has %d bytes, at most %d", ErrTooLarge, l.Index, n, MaxRecordBytes)
		}
		want++
	}
	return nil
}

// appendOne adds l to the batch, committing what is there first when l does not fit beside it.
func (s *Store) appendOne(l *raft.Log, next *state) error {
	size := recordLen(l)
	chunks := (size + s.chunk - 1) / s.chunk
	bytes := size + chunks*entryKeyLen
	limit := s.txnMax - stateLen - 2*txnEntryOverheadBytes
	if s.batch.fits(chunks, bytes, limit) {
		s.addRecord(l, next)
		return nil
	}
	if len(s.batch.entries) > 0 {
		if err := s.commit(next); err != nil {
			return err
		}
		if err := s.makeRoom(); err != nil {
			return err
		}
		*next = *s.view.Load()
	}
	if s.batch.fits(chunks, bytes, limit) {
		s.addRecord(l, next)
		return nil
	}
	return s.appendOversize(l, next, limit)
}

func (s *Store) addRecord(l *raft.Log, next *state) {
	s.newest().note(l.Index)
	s.batch.addRecord(l, next, s.chunk)
}

// appendOversize writes the chunks of a record that no single transaction holds, the last ones first and without
// state, and leaves the first in the batch. Until the state vouches for the record its chunks are as good as absent.
// All of them lie in one generation, however much larger that grows.
func (s *Store) appendOversize(l *raft.Log, next *state, limit int) error {
	var whole batch
	s.newest().note(l.Index)
	whole.addRecord(l, next, s.chunk)
	for c := len(whole.entries) - 1; c >= 1; c-- {
		e := &whole.entries[c]
		if !s.batch.fits(1, len(e.Key)+len(e.Value), limit) {
			if err := s.commitRaw(); err != nil {
				return err
			}
		}
		s.batch.add(e.Key, e.Value)
	}
	if err := s.commitRaw(); err != nil {
		return err
	}
	s.batch.add(whole.entries[0].Key, whole.entries[0].Value)
	return nil
}
