package raftlog

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/lycaon-io/lycaon/server/internal/mutant"
)

// The log lies in generations: Badger directories of which the newest is written to. The next one is begun before
// Badger would write a table of it, and one that the log no longer needs is deleted whole. So what is appended goes to
// disk once, into a write-ahead file; Badger would copy it into a table, and again in a compaction, to find it deleted
// there soon after.
//
// A generation begins with a transaction that holds the state and all stable values, so that the newest one vouches for
// everything. An entry that exists in several, since a conflict took it back, counts as the newest of them has it.
type generation struct {
	number uint64
	path   string

	// Of the newest, under the store's write lock.
	ts      uint64     // Badger's version of the last commit
	highest uint64     // index of its last entry that may still be vouched for
	ahead   writeAhead // of its file

	single bool      // made by this process, and never so full that Badger may have begun a second file and a table
	sealed time.Time // when the next one was begun; zero if before this start, and of the newest

	spareAt int64         // the next one is made when it holds so many per cent of a memtable
	used    atomic.Int64  // at most what its memtable holds
	lowest  atomic.Uint64 // no entry of it has a lower index
	settled atomic.Bool   // its entries are not in memory

	ending sync.Mutex   // held by who opens or closes what it is read from; taken before mu
	mu     sync.RWMutex // held by readers of db and file; a change of them takes it whole
	db     *badger.DB   // nil after the end, and if it is read from file
	memory arena        // of db's memtable, if it is not of the heap: db first lets go of it
	lost   error        // why neither could be opened again
	file   *walFile     // of a sealed one that Badger holds no more
	replay int64        // size of the memtables that take its write-ahead files
	rests  bool         // Badger replayed its write-ahead files and may write nothing
}

const generationPrefix = "log"

// generationPath is "log" for the first one of earlier versions, which knew of no other.
func generationPath(dir string, number uint64) string {
	if number == 0 {
		return filepath.Join(dir, generationPrefix)
	}
	return filepath.Join(dir, generationPrefix+"."+strconv.FormatUint(number, 10))
}

// generationNumbers lists what there is in dir, in order.
func generationNumbers(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("raftlog: list generations: %w", err)
	}
	var numbers []uint64
	for _, e := range entries {
		if e.Name() == generationPrefix {
			numbers = append(numbers, 0)
		}
		text, ok := strings.CutPrefix(e.Name(), generationPrefix+".")
		if n, err := strconv.ParseUint(text, 10, 64); ok && err == nil && n > 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// openGeneration opens the one in the directory of o: with openBegun, or with openEmpty if nothing lies there.
func openGeneration(number uint64, o badger.Options, open func(badger.Options) (*badger.DB, arena, error)) (*generation, error) {
	path := o.Dir
	if err := makeDir(path); err != nil {
		return nil, err
	}
	db, memory, err := open(o)
	if err != nil {
		return nil, err
	}
	g := &generation{number: number, path: path, db: db, memory: memory, rests: o.ReadOnly, spareAt: sparePoint()}
	g.ts = db.MaxVersion()
	g.lowest.Store(g.firstIndex())
	if err := restrictFiles(path); err != nil {
		return nil, errors.Join(fmt.Errorf("raftlog: restrict files: %w", err), g.close())
	}
	if o.ReadOnly {
		return g, nil // Badger has read what it will, and writes nothing
	}
	detachValueLog(db)
	if g.ahead = detachWriteAhead(db); g.ahead.file == nil {
		adviseRandom(path)
	}
	return g, nil
}

// openSealed reads a generation of an earlier start from its one write-ahead file, without Badger.
func openSealed(p *preflight) (*generation, error) {
	file, err := openWALFile(p.wals[0].path, p.wals[0].validEnd)
	if err != nil {
		return nil, err
	}
	g := &generation{number: p.number, path: p.dir, file: file}
	g.lowest.Store(file.firstIndex())
	g.settled.Store(true)
	if err := restrictFiles(p.dir); err != nil {
		return nil, errors.Join(fmt.Errorf("raftlog: restrict files: %w", err), g.close())
	}
	return g, nil
}

func sparePoint() (percent int64) {
	return earliestSparePercent + rand.Int64N(latestSparePercent-earliestSparePercent+1)
}

// firstIndex is above all indices if there is no entry.
func (g *generation) firstIndex() uint64 {
	it := newKeyIterator(g.db, []byte{tagEntry})
	defer it.end()
	if it.Rewind(); !it.Valid() {
		return math.MaxUint64
	}
	index, _, _ := parseEntryKey(it.Item().Key())
	return index
}

// read returns badger.ErrKeyNotFound if the generation does not have the entry, or is no more. One that is lost is neither:
// an older one may have what a conflict took back.
func (g *generation) read(index uint64, use func(*recordHeader, []byte)) error {
	if index < g.lowest.Load() {
		return badger.ErrKeyNotFound
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.file != nil {
		return g.file.read(index, use)
	}
	if g.lost != nil && !mutant.On(mutant.LostIsPassed) {
		return g.lost
	}
	if g.db == nil {
		return badger.ErrKeyNotFound
	}
	txn := g.db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	return readRecord(txn, index, use)
}

// note is told of each entry before it is written.
func (g *generation) note(index uint64) {
	g.lowest.Store(min(g.lowest.Load(), index))
	g.highest = index
}

func (g *generation) close() error { return g.letGo((*badger.DB).Close) }

// leave closes the generation as a killed server leaves it: without a table of what is in memory.
func (g *generation) leave() error { return g.letGo(closeUnwritten) }

func (g *generation) letGo(closeDB func(*badger.DB) error) error {
	g.ending.Lock()
	defer g.ending.Unlock()
	db, file := g.take()
	switch {
	case db != nil:
		return g.freeAfter(closeDB(db))
	case file != nil:
		return file.close()
	}
	return nil
}

// freeAfter is told how the end of db went, and gives its memory back unless Badger may still use it. Whoever ends db has
// waited for its readers.
func (g *generation) freeAfter(err error) error {
	if err != nil {
		return err
	}
	memory := g.memory
	g.memory = nil
	return memory.free()
}

// take leaves nothing to read from to others. Either result may be nil.
func (g *generation) take() (db *badger.DB, file *walFile) {
	g.mu.Lock()
	defer g.mu.Unlock()
	db, file = g.db, g.file
	g.db, g.file = nil, nil
	return db, file
}

// discard deletes a generation that no state vouches for, without writing a table of it first, with rest, if given, before
// each piece of a file.
func (g *generation) discard(rest func() error) error {
	g.ending.Lock()
	defer g.ending.Unlock()
	db, file := g.take()
	var err error
	switch {
	case db != nil:
		err = g.freeAfter(closeUnwritten(db))
	case file != nil:
		err = file.close()
	default:
		return nil
	}
	return errors.Join(err, removeInPieces(rest, g.path))
}

// settle takes the entries of a sealed generation out of memory.
func (g *generation) settle(logger *engineLog) error {
	g.ending.Lock()
	defer g.ending.Unlock()
	if g.db == nil {
		return nil
	}
	done, err := g.release()
	if !done && lacksResources(err) {
		return fmt.Errorf("%w: %w", errPutOff, err)
	}
	if done || err != nil {
		return err
	}
	g.mu.Lock() // readers wait
	defer g.mu.Unlock()
	if g.rests {
		// Badger writes the table once it may.
		if err := g.reopen(engineOptions(g.path, g.replay, logger)); err != nil {
			return err
		}
	}
	if err := g.reopen(engineOptions(g.path, settledMemTableBytes, logger)); err != nil {
		return err
	}
	g.settled.Store(true)
	return restrictFiles(g.path)
}

// errPutOff tells that a generation is as it was, and may settle later.
var errPutOff = errors.New("raftlog: not now")

// release has entries read from the write-ahead file and Badger let go of it, if that file alone holds all of them.
func (g *generation) release() (done bool, err error) {
	paths, err := filesWith(g.path, ".mem")
	if err != nil || len(paths) != 1 {
		return false, err
	}
	file, err := g.openOwn(paths[0])
	if err != nil {
		return false, err
	}
	if !file.agrees(g.db) && !mutant.On(mutant.AnyFile) {
		return false, file.close()
	}
	g.mu.Lock()
	db := g.db
	g.db, g.file = nil, file
	g.mu.Unlock()
	g.settled.Store(true)
	g.ahead = writeAhead{}
	return true, g.freeAfter(closeUnwritten(db))
}

// openOwn need not read a file that was written here, but if Badger has begun another one.
func (g *generation) openOwn(path string) (*walFile, error) {
	if g.ahead.file == nil || g.ahead.file.Fd.Name() != path {
		return openWALFile(path, 0)
	}
	return openPieces(path, slices.Clone(g.ahead.pieces))
}

func (g *generation) reopen(o badger.Options) error {
	if err := g.freeAfter(g.db.Close()); err != nil {
		return err
	}
	g.db = nil
	db, err := openEngine(o)
	if err != nil {
		g.lost = err
		return err
	}
	g.db, g.rests = db, false
	return nil
}

// filesWith lists the files of dir with a suffix, in order.
func filesWith(dir, suffix string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("raftlog: list files: %w", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

func removeDirs(paths ...string) error {
	for _, path := range paths {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("raftlog: remove a generation that is no longer needed: %w", err)
		}
	}
	return nil
}
