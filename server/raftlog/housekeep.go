package raftlog

import (
	"fmt"
	"time"

	"github.com/lycaon-io/lycaon/server/internal/beat"
)

// keepHouse makes the next generation ahead, syncs the guard now and then, and looks after files and
// free space.
func (s *Store) keepHouse() {
	tick := time.NewTimer(beat.Next(guardSyncInterval))
	defer tick.Stop()
	s.wake()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			tick.Reset(beat.Next(guardSyncInterval))
			s.syncGuard()
		case <-s.work:
			if s.sinceCheck.Load() >= housekeepBytes {
				s.sinceCheck.Store(0)
				s.lookAfterFiles()
			}
			s.makeSpare()
			s.purgeSome()
		}
	}
}

// keepDeleting is apart from that, since it takes its time.
func (s *Store) keepDeleting() {
	for {
		select {
		case <-s.stop:
			return
		case <-s.obsolete:
			s.discardRetired()
		}
	}
}

// keepSettling is apart from that, since the disk may be slow to take a table.
func (s *Store) keepSettling() {
	tick := time.NewTimer(beat.Next(settleInterval))
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.dead:
			return
		case <-tick.C:
			tick.Reset(beat.Next(settleInterval))
		case <-s.crowded:
		}
		for g := s.mustSettle(); g != nil && !s.closed.Load() && s.settle(g); {
			g = s.mustSettle()
		}
	}
}

func (s *Store) wake() { signal(s.work) }

// signal puts a word into a channel of one place, if there is none yet.
func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
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
	path := s.newest().path
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
