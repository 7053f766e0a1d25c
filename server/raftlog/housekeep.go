package raftlog

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"time"
)

// keepHouse is the store's only goroutine: it deletes the keys of a dropped prefix in small transactions, syncs the
// guard now and then, and looks after the files that Badger made at a rotation.
func (s *Store) keepHouse() {
	defer s.housekeep.Done()
	tick := time.NewTicker(guardSyncInterval)
	defer tick.Stop()
	s.wake()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			s.syncGuard()
		case <-s.work:
			if s.sinceCheck.Load() >= housekeepBytes {
				s.sinceCheck.Store(0)
				s.lookAfterFiles()
			}
			if more := s.purgeSome(); more {
				s.wake()
			}
		}
	}
}

func (s *Store) wake() {
	select {
	case s.work <- struct{}{}:
	default:
	}
}

func (s *Store) syncGuard() {
	if !s.stats.guardDirty.Swap(false) || s.Err() != nil {
		return
	}
	if err := s.guard.sync(); err != nil {
		s.fail(fmt.Errorf("raftlog: sync tail guard: %w", err))
		return
	}
	s.stats.guardSyncs.Add(1)
}

func (s *Store) lookAfterFiles() {
	path := filepath.Join(s.dir, engineDir)
	adviseRandom(path)
	if err := restrictFiles(path); err != nil {
		s.opt.Logger.Warn("cannot restrict the mode of log files", "dir", path, "error", err)
	}
	if s.opt.Disk == nil {
		return
	}
	// A full disk is a fatal fault in a mapped file, which no recover sees: stop before it.
	if level, err := s.opt.Disk.Check(); err == nil && level == DiskHard {
		s.fail(fmt.Errorf("%w: %s", ErrDiskFull, s.dir))
	}
}

// purgeSome deletes a few keys below the head and reports whether there may be more. The write lock covers both the
// listing and the deletion, so that no entry written meanwhile can be hit.
func (s *Store) purgeSome() (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.view.Load().first
	if s.usableLocked() != nil || first == 0 || s.purgeFrom >= first {
		return false
	}
	keys := s.entryKeys(s.purgeFrom, first-1, purgeKeysPerTxn)
	more = len(keys) == purgeKeysPerTxn
	mark := first
	if more {
		mark, _, _ = parseEntryKey(keys[len(keys)-1])
	}
	if len(keys) == 0 {
		s.purgeFrom = first
		return false
	}
	s.batch.reset()
	for _, key := range keys {
		s.batch.add(key, nil)
	}
	s.batch.add([]byte{tagPurge}, binary.BigEndian.AppendUint64(nil, mark))
	if s.commitRaw() != nil {
		return false
	}
	s.purgeFrom = mark
	return more
}
