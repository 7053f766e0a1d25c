package raftlog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/raft"
)

// The newest file names the newest snapshot that ever became visible, so that one removed as a whole is missed:
// "ID CRC". It may lag behind by a crash, never lead.
func (s *Snapshots) writeNewestLocked() error {
	names, err := s.names()
	if err != nil || len(names) == 0 {
		return err
	}
	return writeFileDurably(s.opt.Dir, newestFile, encodeNewest(names[0].id))
}

func encodeNewest(id string) []byte {
	return fmt.Appendf(nil, "%s %08x\n", id, crc32.Checksum([]byte(id), castagnoli))
}

// readNewest reports ok = false if there is no note or it is unreadable; the snapshots that are there then speak for
// themselves.
func (s *Snapshots) readNewest() (n snapshotName, ok bool, err error) {
	b, err := os.ReadFile(filepath.Join(s.opt.Dir, newestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return n, false, nil
	}
	if err != nil {
		return n, false, fmt.Errorf("raftlog: read note of the newest snapshot: %w", err)
	}
	id, _, _ := strings.Cut(string(b), " ")
	if n, ok = parseSnapshotName(id); !ok || string(encodeNewest(id)) != string(b) {
		return snapshotName{}, false, nil
	}
	return n, true, nil
}

// Usable must be asked before raft starts, with the open store: raft would fall back to an older snapshot by itself,
// and go on without the entries between it and the log. It returns the snapshot that raft will load, nil if none is
// needed. Newer damaged ones are renamed out of raft's sight when the log reaches from the older one past them;
// otherwise it refuses with ErrSnapshotGap or ErrCorrupt.
func (s *Snapshots) Usable(store *Store) (*raft.SnapshotMeta, error) {
	v := store.view.Load()
	compacted := v.compacted
	if !v.empty() {
		// A log that was emptied behind an installed snapshot goes on after it: the first entry tells, compacted does not.
		compacted = max(compacted, v.first-1)
	}
	return s.usable(compacted, v.last)
}

func (s *Snapshots) usable(compacted, last uint64) (*raft.SnapshotMeta, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	newest, noted, err := s.readNewest()
	if err != nil {
		return nil, err
	}
	var damage error
	var damaged []snapshotName
	var needed uint64 // the log must reach this index for an older snapshot to do
	if noted && (len(names) == 0 || names[0].compare(newest) < 0) {
		damage = corruptSnapshot(filepath.Join(s.opt.Dir, newest.id), "the newest snapshot is missing")
		needed = newest.index
	}
	for _, n := range names {
		m, err := s.check(n)
		if err != nil {
			if errors.Is(err, ErrNewerFormat) {
				return nil, err
			}
			damage = errors.Join(damage, err)
			damaged = append(damaged, n)
			needed = max(needed, n.index)
			continue
		}
		if m.Index < compacted || (damage != nil && last < needed) {
			return nil, s.gap(fmt.Sprintf("snapshot %s ends at %d", m.ID, m.Index), compacted, last, damage)
		}
		return &m.SnapshotMeta, s.setAside(damaged, damage)
	}
	if compacted > 0 || damage != nil {
		return nil, s.gap("there is no intact snapshot", compacted, last, damage)
	}
	return nil, nil
}

// LoadAhead has load read the newest snapshot, if there is one, and returns its id; "" if it is not whole, by its checksum or
// to load. A whole read of it takes as long as the opening of the log, so it goes beside that, and
// the next Usable need not read this one again. What is wrong with it Usable finds, or whoever loads it after that.
func (s *Snapshots) LoadAhead(load func(io.Reader) error) (id string) {
	names, err := s.names()
	if err != nil || len(names) == 0 {
		return ""
	}
	dir := filepath.Join(s.opt.Dir, names[0].id)
	m, err := readSnapshotMeta(dir)
	if err != nil {
		return ""
	}
	if s.verify(dir, m, load, nil) != nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead = *m
	return m.ID
}

// check proves the checksum only: the inner format was verified when the snapshot was made, and restoring reads it, and
// computes the checksum anew.
func (s *Snapshots) check(n snapshotName) (*snapshotMeta, error) {
	dir := filepath.Join(s.opt.Dir, n.id)
	m, err := readSnapshotMeta(dir)
	if err != nil {
		return nil, err
	}
	if !s.checkedAhead(m) {
		if err := s.verify(dir, m, nil, nil); err != nil {
			return nil, err
		}
	}
	s.markVerified(n.id)
	return m, nil
}

// checkedAhead tells, once, whether this very snapshot was found to be whole by LoadAhead.
func (s *Snapshots) checkedAhead(m *snapshotMeta) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ahead := s.ahead
	s.ahead = snapshotMeta{}
	return ahead.ID == m.ID && ahead.StateSum == m.StateSum && ahead.Size == m.Size
}

func (s *Snapshots) gap(what string, compacted, last uint64, damage error) error {
	err := fmt.Errorf("%w: %s: %s, the log begins after %d and ends at %d; %s", ErrSnapshotGap, s.opt.Dir, what, compacted, last, repairSnapshot)
	if damage != nil {
		return errors.Join(damage, err)
	}
	return err
}

func (s *Snapshots) setAside(damaged []snapshotName, damage error) error {
	if damage == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.Logger.Warn("falling back to an older snapshot; the log bridges", "error", damage)
	for _, n := range damaged {
		from := filepath.Join(s.opt.Dir, n.id)
		if err := os.Rename(from, from+snapshotDamagedSuffix); err != nil {
			return fmt.Errorf("raftlog: set damaged snapshot aside: %w", err)
		}
	}
	if err := s.writeNewestLocked(); err != nil {
		return fmt.Errorf("raftlog: note the newest snapshot: %w", err)
	}
	return nil
}
