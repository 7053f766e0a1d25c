package raftlog

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/hashicorp/raft"
)

var (
	_ raft.LogStore          = (*Store)(nil)
	_ raft.StableStore       = (*Store)(nil)
	_ raft.MonotonicLogStore = (*Store)(nil)
)

// Options of a Store; the zero value of each but Dir is usable.
type Options struct {
	Dir    string
	Logger *slog.Logger
	// Fatal is called once, on a goroutine of its own, with the error that poisoned the store. The process must exit:
	// nothing may be acknowledged after a failed write, and only a restart tells what is durable.
	Fatal func(error)
	// Observe is called after each durable write, under the store's write lock.
	Observe func(d time.Duration, bytes int)
	// Disk, if given, is asked before Badger opens and while the log grows.
	Disk *DiskGuard

	memTableBytes int64 // tests shrink it to see rotations
}

// Store is raft's log and stable store. The first failed write or damaged record poisons it: every later call returns
// that same error.
type Store struct {
	opt    Options
	dir    string
	lock   *os.File
	db     *badger.DB
	chunk  int
	txnMax int

	view   atomic.Pointer[state] // what is durable; replaced, never changed
	failed atomic.Pointer[error]
	stats  storeStats

	mu     sync.Mutex // one write at a time; guards all below
	guard  *tailGuard
	ts     uint64 // Badger's version of the last commit
	batch  batch
	closed bool
	// beforeCommit lets tests fail the n-th commit.
	beforeCommit func() error

	readers  sync.RWMutex // keeps Badger open under a read
	stableMu sync.RWMutex // guards stable; taken inside mu
	stable   map[string][]byte

	purgeFrom  uint64 // owned by the housekeeper
	work       chan struct{}
	stop       chan struct{}
	housekeep  sync.WaitGroup
	sinceCheck atomic.Int64
}

// Open creates or opens the store in o.Dir and does not return before every record has been checked. It refuses with
// ErrLocked, ErrNewerFormat, ErrBehindGuard, ErrCorrupt or ErrDiskFull.
func Open(o Options) (_ *Store, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.memTableBytes == 0 {
		o.memTableBytes = defaultMemTableBytes
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("raftlog: %w", err)
	}
	s := &Store{
		opt:    o,
		dir:    dir,
		chunk:  chunkBytes(o.memTableBytes),
		txnMax: int(o.memTableBytes * txnPercent / 100),
		stable: make(map[string][]byte),
		work:   make(chan struct{}, 1),
		stop:   make(chan struct{}),
	}
	if err := s.open(); err != nil {
		s.abandon()
		return nil, err
	}
	s.housekeep.Add(1)
	go s.keepHouse()
	return s, nil
}

func (s *Store) open() error {
	// The format comes before everything that could write, so that a newer directory stays untouched.
	if _, _, err := readFormat(s.dir); errors.Is(err, ErrNewerFormat) {
		return err
	}
	if err := makeDir(s.dir); err != nil {
		return err
	}
	var err error
	if s.lock, err = lockDir(s.dir); err != nil {
		return err
	}
	f, found, err := readFormat(s.dir)
	if err != nil {
		return err
	}
	if s.opt.Disk != nil {
		if err := s.opt.Disk.CheckStart(); err != nil {
			return err
		}
	}
	if !found || f.phase == phaseCreating {
		return s.create()
	}
	return s.load(f)
}

// create starts over whatever an interrupted creation left.
func (s *Store) create() error {
	f := format{phase: phaseCreating, id: newStoreID()}
	if err := writeFormat(s.dir, f); err != nil {
		return err
	}
	for _, name := range []string{engineDir, guardFile} {
		if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
			return fmt.Errorf("raftlog: start creation over: %w", err)
		}
	}
	if err := s.openDB(s.opt.memTableBytes); err != nil {
		return err
	}
	first := state{id: f.id, stableSum: sumStable(nil)}
	s.view.Store(&first)
	next := first
	s.batch.reset()
	if err := s.commit(&next); err != nil {
		return err
	}
	if err := s.openGuard(); err != nil {
		return err
	}
	f.phase = phaseReady
	return writeFormat(s.dir, f)
}

func (s *Store) load(f format) error {
	slot, err := readGuard(s.dir)
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, engineDir)
	if slot.id != f.id {
		return behind(filepath.Join(s.dir, guardFile), "the tail guard belongs to another store (%x, not %x)", slot.id, f.id)
	}
	seen, err := runPreflight(path)
	if err != nil {
		return err
	}
	if !seen.found {
		return corrupt(path, "no write-ahead file and no table holds the store's state record%s", seen.hint())
	}
	if err := checkGuard(s.dir, slot, &seen.newest, seen.hint()); err != nil {
		return err
	}
	if err := removeScrap(path); err != nil {
		return fmt.Errorf("raftlog: remove scrap: %w", err)
	}
	if err := s.openDB(seen.memTableBytes(s.opt.memTableBytes)); err != nil {
		return err
	}
	if err := s.readBack(slot); err != nil {
		return err
	}
	return s.openGuard()
}

func (s *Store) openDB(memTableBytes int64) error {
	path := filepath.Join(s.dir, engineDir)
	if err := makeDir(path); err != nil {
		return err
	}
	db, err := openEngine(path, memTableBytes, &engineLog{to: s.opt.Logger, onSync: func(err error) { s.fail(err) }})
	if err != nil {
		return err
	}
	s.db = db
	s.ts = db.MaxVersion()
	return nil
}

// openGuard also brings the guard up to what was found, which may be one transaction ahead of it.
func (s *Store) openGuard() (err error) {
	if s.guard, err = openGuard(s.dir, s.view.Load()); err != nil {
		return err
	}
	if err := restrictFiles(filepath.Join(s.dir, engineDir)); err != nil {
		return fmt.Errorf("raftlog: restrict files: %w", err)
	}
	adviseRandom(filepath.Join(s.dir, engineDir))
	return syncDir(s.dir)
}

// abandon releases what a failed open had taken.
func (s *Store) abandon() {
	if s.db != nil && !s.closeFailedDB() {
		return // the lock stays with who still writes
	}
	if s.guard != nil {
		_ = s.guard.file.Close()
	}
	if s.lock != nil {
		_ = s.lock.Close()
	}
}

// IsMonotonic tells raft that the log has no gaps and wants none: after a snapshot was installed raft must delete the
// old entries instead of leaving a gap.
func (s *Store) IsMonotonic() bool { return true }

// Err returns the error that poisoned the store, or nil.
func (s *Store) Err() error {
	if p := s.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// fail poisons the store with the first error and returns that first one.
func (s *Store) fail(err error) error {
	if s.failed.CompareAndSwap(nil, &err) {
		s.opt.Logger.Error("raft log store failed; this server must stop", "dir", s.dir, "error", err)
		if s.opt.Fatal != nil {
			go s.opt.Fatal(err)
		}
	}
	return s.Err()
}

func (s *Store) usableLocked() error {
	if err := s.Err(); err != nil {
		return err
	}
	if s.closed {
		return ErrClosed
	}
	return nil
}

// Close flushes and releases the directory. A poisoned store is closed as far as that ends within seconds; the
// process should exit in any case.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	close(s.stop)
	s.housekeep.Wait()
	if err := s.Err(); err != nil {
		return s.closePoisoned(err)
	}
	s.readers.Lock()
	defer s.readers.Unlock()
	err := errors.Join(s.db.Close(), s.guard.sync(), s.guard.file.Close(), restrictFiles(filepath.Join(s.dir, engineDir)))
	// The lock goes last, so that nobody opens a store that still writes.
	if err := errors.Join(err, s.lock.Close()); err != nil {
		return fmt.Errorf("raftlog: close: %w", err)
	}
	return nil
}

func (s *Store) closePoisoned(cause error) error {
	if s.closeFailedDB() {
		_ = s.guard.file.Close()
		_ = s.lock.Close()
	}
	return cause
}

// closeFailedDB reports whether Badger ended: it tries for ever to flush to a disk that fails.
func (s *Store) closeFailedDB() bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.db.Close()
	}()
	limit := time.NewTimer(poisonedCloseWait)
	defer limit.Stop()
	select {
	case <-done:
		return true
	case <-limit.C:
		return false
	}
}
