package raftlog

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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
	// collect is asked before that many bytes are allocated at once; tests see it.
	collect func(bytes int64)
}

// Store is raft's log and stable store. The first failed write or damaged record poisons it: every later call returns
// that same error.
type Store struct {
	opt    Options
	dir    string
	lock   *os.File
	chunk  int
	txnMax int

	view   atomic.Pointer[state]         // what is durable; replaced, never changed
	gens   atomic.Pointer[[]*generation] // oldest first, the last one is written to; replaced, never changed
	cuts   atomic.Uint64                 // counts the truncations of the tail, each before anything of it is deleted
	failed atomic.Pointer[error]
	dead   chan struct{} // closed with the first failure
	closed atomic.Bool
	stats  storeStats

	mu      sync.Mutex // one write at a time; guards all below
	guard   *tailGuard
	batch   batch
	retired []*generation // no longer vouched for; deleted by keepDeleting
	format  format
	purged  uint64 // in the first version: no key of an entry below is left
	// beforeCommit lets tests fail the n-th commit.
	beforeCommit func() error

	making sync.Mutex                 // guards what follows, but for a look at it, and the making of a generation; taken inside mu
	spare  atomic.Pointer[generation] // the next one, made ahead; nil: there is none
	warned bool                       // that it cannot be made, since one could

	stableMu sync.RWMutex // guards stable; taken inside mu
	stable   map[string][]byte

	work       chan struct{}
	crowded    chan struct{} // a generation was sealed
	eased      chan struct{} // one has settled
	obsolete   chan struct{} // some have retired
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
	if o.collect == nil {
		o.collect = collectBefore
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("raftlog: %w", err)
	}
	s := &Store{
		opt:      o,
		dir:      dir,
		chunk:    chunkBytes(o.memTableBytes),
		txnMax:   int(o.memTableBytes * txnPercent / 100),
		stable:   make(map[string][]byte),
		dead:     make(chan struct{}),
		work:     make(chan struct{}, 1),
		crowded:  make(chan struct{}, 1),
		eased:    make(chan struct{}, 1),
		obsolete: make(chan struct{}, 1),
		stop:     make(chan struct{}),
	}
	if err := s.open(); err != nil {
		s.abandon()
		return nil, err
	}
	s.housekeep.Go(s.keepHouse)
	s.housekeep.Go(s.keepDeleting)
	s.housekeep.Go(s.keepSettling)
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
	f := format{version: formatVersion, phase: phaseCreating, id: newStoreID()}
	if err := writeFormat(s.dir, f); err != nil {
		return err
	}
	if err := s.removeUnfinished(); err != nil {
		return fmt.Errorf("raftlog: start creation over: %w", err)
	}
	g, err := s.beginGeneration(1)
	if err != nil {
		return err
	}
	s.gens.Store(&[]*generation{g})
	first := state{id: f.id, stableSum: sumStable(nil), oldest: g.number}
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
	s.format = f
	return writeFormat(s.dir, f)
}

func (s *Store) removeUnfinished() error {
	numbers, err := generationNumbers(s.dir)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if err := os.RemoveAll(generationPath(s.dir, n)); err != nil {
			return err
		}
	}
	return os.RemoveAll(filepath.Join(s.dir, guardFile))
}

func (s *Store) load(f format) error {
	slot, err := readGuard(s.dir)
	if err != nil {
		return err
	}
	if slot.id != f.id {
		return behind(filepath.Join(s.dir, guardFile), "the tail guard belongs to another store (%x, not %x)", slot.id, f.id)
	}
	s.format = f
	seen, err := surveyGenerations(s.dir)
	if err != nil {
		return err
	}
	if err := checkGuard(s.dir, slot, &seen.newest, seen.hint()); err != nil {
		return err
	}
	if err := s.openGenerations(seen); err != nil {
		return err
	}
	if err := s.readBack(slot); err != nil {
		return err
	}
	if err := removeDirs(seen.scrap...); err != nil {
		return err
	}
	if err := s.openGuard(); err != nil {
		return err
	}
	if newest := s.newest(); len(newest.db.Tables()) >= tablesBeforeRotation {
		newest.used.Store(s.opt.memTableBytes) // many starts have left it a table each: the next write begins another
	}
	return nil
}

func (s *Store) openGenerations(seen *survey) error {
	gens := make([]*generation, len(seen.found))
	errs := make([]error, len(gens))
	var opening sync.WaitGroup
	for i, p := range seen.found {
		opening.Go(func() { gens[i], errs[i] = s.openFound(p, i == len(gens)-1) })
	}
	opening.Wait()
	opened := slices.DeleteFunc(gens, func(g *generation) bool { return g == nil })
	s.gens.Store(&opened)
	return errors.Join(errs...)
}

// openFound opens a generation of an earlier start. Of a sealed one Badger may write no table yet, since the server
// would wait for the disk behind it.
func (s *Store) openFound(p *preflight, newest bool) (*generation, error) {
	if err := removeScrap(p.dir); err != nil {
		return nil, fmt.Errorf("raftlog: remove scrap: %w", err)
	}
	o := engineOptions(p.dir, p.memTableBytes(s.opt.memTableBytes), s.engineLog())
	replay := o.MemTableSize
	settled := !newest && !p.replays()
	switch {
	case settled:
		o = engineOptions(p.dir, settledMemTableBytes, s.engineLog())
	case !newest:
		o.ReadOnly = true
	case s.firstVersion():
		o = compacting(o)
	}
	if err := p.cutWALs(); err != nil {
		return nil, err
	}
	if !newest && p.isOneFile() {
		return openSealed(p)
	}
	g, err := openGeneration(p.number, o, openBegun)
	if err != nil {
		return nil, err
	}
	g.settled.Store(settled)
	g.replay = replay
	return g, nil
}

// openGuard also brings the guard up to what was found, which may be one transaction ahead of it.
func (s *Store) openGuard() (err error) {
	if s.guard, err = openGuard(s.dir, s.view.Load()); err != nil {
		return err
	}
	return syncDir(s.dir)
}

func (s *Store) engineLog() *engineLog {
	return &engineLog{to: s.opt.Logger, onSync: func(err error) { s.fail(err) }}
}

func (s *Store) generations() []*generation {
	if gens := s.gens.Load(); gens != nil {
		return *gens
	}
	return nil
}

func (s *Store) newest() *generation {
	gens := s.generations()
	return gens[len(gens)-1]
}

// abandon releases what a failed open had taken.
func (s *Store) abandon() {
	if closed, _ := s.closeAll(false); !closed {
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
		close(s.dead)
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
	if s.closed.Load() {
		return ErrClosed
	}
	return nil
}

// Close flushes and releases the directory. A poisoned store is closed as far as that ends within seconds; the
// process should exit in any case.
func (s *Store) Close() error {
	s.mu.Lock()
	already := s.closed.Swap(true)
	s.mu.Unlock()
	if already {
		return nil
	}
	close(s.stop)
	closed, err := s.closeAll(s.Err() == nil)
	if cause := s.Err(); cause != nil {
		if closed {
			_ = s.guard.file.Close()
			_ = s.lock.Close()
		}
		return cause
	}
	err = errors.Join(err, s.guard.sync(), s.guard.file.Close())
	// The lock goes last, so that nobody opens a store that still writes.
	if err := errors.Join(err, s.lock.Close()); err != nil {
		return fmt.Errorf("raftlog: close: %w", err)
	}
	return nil
}

func (s *Store) closeGenerations() error {
	s.making.Lock()
	defer s.making.Unlock()
	// Badger writes a table through a mapping: on a full disk the process would end there, by a fault.
	end := (*generation).close
	if FullDisk(s.Err()) {
		end = (*generation).leave
	}
	var errs []error
	if spare := s.spare.Load(); spare != nil {
		errs = append(errs, spare.discard(nil))
	}
	for _, g := range s.retired {
		errs = append(errs, g.discard(nil))
	}
	for _, g := range s.generations() {
		errs = append(errs, end(g), restrictFiles(g.path))
	}
	return errors.Join(errs...)
}

// closeAll ends the housekeeping and Badger, and reports whether they did end: to a disk that fails Badger tries for ever
// to write. A healthy store waits for that.
func (s *Store) closeAll(healthy bool) (closed bool, err error) {
	done := make(chan error, 1)
	go func() {
		s.housekeep.Wait()
		done <- s.closeGenerations()
	}()
	if healthy {
		select {
		case err = <-done:
			return true, err
		case <-s.dead:
		}
	}
	limit := time.NewTimer(poisonedCloseWait)
	defer limit.Stop()
	select {
	case err = <-done:
		return true, err
	case <-limit.C:
		return false, nil
	}
}
