package raftlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

var _ raft.SnapshotStore = (*Snapshots)(nil)

const (
	snapshotTmpSuffix     = ".tmp"
	snapshotDamagedSuffix = ".damaged"
	stateFile             = "state"
	metaFile              = "meta"
	newestFile            = "newest"
)

// SnapshotOptions configure a snapshot directory; the zero value of each but Dir is usable.
type SnapshotOptions struct {
	Dir    string
	Logger *slog.Logger
	// Verify reads a whole snapshot in its inner format before the snapshot becomes visible, from the disk.
	Verify func(io.Reader) error
	// Observe is called with the duration and size of each finished snapshot.
	Observe func(d time.Duration, bytes int64)
	// Disk, if given, is asked before a snapshot is begun.
	Disk *DiskGuard
}

// Snapshots is raft's snapshot store: one directory per snapshot, named <term>-<index>-<milliseconds>, which appears
// under that name only after it was synced, read back and verified. The newest two are kept.
type Snapshots struct {
	opt   SnapshotOptions
	lock  *os.File
	stats snapshotCounters

	mu       sync.Mutex      // guards what follows and the directory's set of visible snapshots
	verified map[string]bool // whose checksum was proven by this process
	readers  map[string]int  // how many have its state open
	ahead    snapshotMeta    // of the one that LoadAhead has found whole, for one call of Usable
	reaped   []string        // renamed and not removed, since the renames may not be durable
	closed   bool
	// syncDir makes the names in a directory durable; tests fail it.
	syncDir func(dir string) error
	// readNoAhead is for a file that is read beside writes of the log; tests look at who is.
	readNoAhead func(*os.File)
}

// SnapshotStats is a snapshot of a snapshot directory's figures.
type SnapshotStats struct {
	Taken, Failed, Removed uint64
	LastIndex              uint64 // of the newest visible one
	LastBytes              int64
	LastDuration           time.Duration
	InProgress             int64
}

type snapshotCounters struct {
	taken, failed, removed atomic.Uint64
	lastIndex              atomic.Uint64
	lastBytes, lastNanos   atomic.Int64
	inProgress             atomic.Int64
}

// OpenSnapshots takes the directory for this process and removes what interrupted snapshots left.
func OpenSnapshots(o SnapshotOptions) (*Snapshots, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := makeDir(o.Dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Snapshots{opt: o, lock: lock, verified: make(map[string]bool), readers: make(map[string]int),
		syncDir: syncDir, readNoAhead: readNoAhead}
	err = s.removeLeftovers()
	if err == nil {
		err = s.noteNewest()
	}
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	return s, nil
}

// Close releases the directory; sinks still open fail.
func (s *Snapshots) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.lock.Close()
}

// Stats never waits.
func (s *Snapshots) Stats() SnapshotStats {
	return SnapshotStats{
		Taken:        s.stats.taken.Load(),
		Failed:       s.stats.failed.Load(),
		Removed:      s.stats.removed.Load(),
		LastIndex:    s.stats.lastIndex.Load(),
		LastBytes:    s.stats.lastBytes.Load(),
		LastDuration: time.Duration(s.stats.lastNanos.Load()),
		InProgress:   s.stats.inProgress.Load(),
	}
}

func (s *Snapshots) removeLeftovers() error {
	entries, err := os.ReadDir(s.opt.Dir)
	if err != nil {
		return fmt.Errorf("raftlog: list snapshots: %w", err)
	}
	left := slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !strings.HasSuffix(e.Name(), snapshotTmpSuffix) })
	if len(left) == 0 {
		return nil
	}
	// One that was renamed shortly before a crash must not come back, emptied, under the name it had.
	if err := s.syncDir(s.opt.Dir); err != nil {
		return fmt.Errorf("raftlog: remove leftovers: %w", err)
	}
	for _, e := range left {
		if err := os.RemoveAll(filepath.Join(s.opt.Dir, e.Name())); err != nil {
			return fmt.Errorf("raftlog: remove leftover: %w", err)
		}
		s.stats.removed.Add(1)
		s.opt.Logger.Info("removed the leftover of an interrupted snapshot", "name", e.Name())
	}
	return nil
}

func (s *Snapshots) noteNewest() error {
	metas, err := s.List()
	if err != nil || len(metas) == 0 {
		return err
	}
	s.stats.lastIndex.Store(metas[0].Index)
	s.stats.lastBytes.Store(metas[0].Size)
	return nil
}

// List returns the visible snapshots whose meta is intact, newest first.
func (s *Snapshots) List() ([]*raft.SnapshotMeta, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	metas := []*raft.SnapshotMeta{}
	for _, n := range names {
		m, err := readSnapshotMeta(filepath.Join(s.opt.Dir, n.id))
		if err != nil {
			s.opt.Logger.Warn("a snapshot's meta is damaged", "id", n.id, "error", err)
			continue
		}
		metas = append(metas, &m.SnapshotMeta)
	}
	return metas, nil
}

// snapshotName is a directory's name taken apart; it tells the index even if the meta is lost.
type snapshotName struct {
	id          string
	term, index uint64
	millis      int64
}

func (n snapshotName) String() string { return fmt.Sprintf("%d-%d-%d", n.term, n.index, n.millis) }

func parseSnapshotName(id string) (n snapshotName, ok bool) {
	n.id = id
	_, err := fmt.Sscanf(id, "%d-%d-%d", &n.term, &n.index, &n.millis)
	return n, err == nil && n.String() == id
}

func (n snapshotName) compare(m snapshotName) int {
	for _, d := range [...]int{cmpUint(n.term, m.term), cmpUint(n.index, m.index), cmpUint(uint64(n.millis), uint64(m.millis))} {
		if d != 0 {
			return d
		}
	}
	return 0
}

func cmpUint(a, b uint64) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

// names lists the visible snapshots, intact or not, newest first.
func (s *Snapshots) names() ([]snapshotName, error) {
	entries, err := os.ReadDir(s.opt.Dir)
	if err != nil {
		return nil, fmt.Errorf("raftlog: list snapshots: %w", err)
	}
	var names []snapshotName
	for _, e := range entries {
		if n, ok := parseSnapshotName(e.Name()); ok && e.IsDir() {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, func(a, b snapshotName) int { return b.compare(a) })
	return names, nil
}

// Open verifies the snapshot's checksum, unless this process already did, and again while it is read: the reader
// fails with ErrCorrupt instead of its last io.EOF if what it gave was not what was written.
func (s *Snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	if _, ok := parseSnapshotName(id); !ok {
		return nil, nil, fmt.Errorf("%w: %q", ErrNoSnapshot, id)
	}
	dir := filepath.Join(s.opt.Dir, id)
	m, err := readSnapshotMeta(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if _, statErr := os.Stat(dir); errors.Is(statErr, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("%w: %q", ErrNoSnapshot, id)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	known := s.beginReading(id)
	r, err := s.openVerified(dir, m, known)
	if err != nil {
		s.endReading(id)
		return nil, nil, err
	}
	r.ending = func() { s.endReading(id) }
	return &m.SnapshotMeta, r, nil
}

func (s *Snapshots) openVerified(dir string, m *snapshotMeta, known bool) (*stateReader, error) {
	if !known {
		if err := s.verify(dir, m, nil, nil); err != nil {
			return nil, err
		}
		s.markVerified(m.ID)
	}
	return openState(dir, m)
}

// beginReading keeps the state of a snapshot whole until endReading, and tells whether it was verified.
func (s *Snapshots) beginReading(id string) (verified bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers[id]++
	return s.verified[id]
}

func (s *Snapshots) endReading(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers[id]--; s.readers[id] == 0 {
		delete(s.readers, id)
	}
}

func (s *Snapshots) markVerified(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verified[id] = true
}

// verify reads the state once, through inner if given, and calls pace, if given, for each piece. An error of pace ends it
// and says nothing about the snapshot. With a pace others want the disk meanwhile, so it is asked for the piece alone; what
// is read as quickly as it comes, at a start, is better read ahead.
func (s *Snapshots) verify(dir string, m *snapshotMeta, inner func(io.Reader) error, pace func() error) error {
	r, err := openState(dir, m)
	if err != nil {
		return err
	}
	defer r.Close()
	if r.pace = pace; pace != nil {
		s.readNoAhead(r.file)
	}
	if err := readThrough(r, dir, inner); r.ended == nil {
		return err
	}
	return r.ended
}

func readThrough(r *stateReader, dir string, inner func(io.Reader) error) error {
	if inner != nil {
		if err := inner(r); err != nil {
			return corruptSnapshot(filepath.Join(dir, stateFile), "inner format: %w", err)
		}
	}
	_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, make([]byte, snapshotBufBytes))
	return err
}

func corruptSnapshot(file, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %w; %s", ErrCorrupt, file, fmt.Errorf(format, args...), repairSnapshot)
}
