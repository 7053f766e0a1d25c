package raftlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/ristretto/v2/z"

	"github.com/lycaon-io/lycaon/server/internal/mutant"
)

// engineOptions are the safe ones: everything in the tree, nothing in the value log, every commit synced. Managed
// transactions let a read go on while a commit waits for its sync. A generation is deleted whole, so that nothing is
// ever compacted and no write waits for it.
func engineOptions(dir string, memTableBytes int64, logger badger.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithLogger(logger).
		WithSyncWrites(!mutant.On(mutant.NoSync)).
		WithMemTableSize(memTableBytes).
		WithNumMemtables(2).
		WithNumCompactors(0).
		WithValueThreshold(valueThreshold(memTableBytes)).
		WithValueLogFileSize(maxValueThreshold).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithNumVersionsToKeep(1).
		WithChecksumVerificationMode(options.OnTableRead).
		WithBlockSize(blockBytes(memTableBytes)).
		WithBaseTableSize(min(memTableBytes, defaultMemTableBytes)).
		WithNumLevelZeroTablesStall(math.MaxInt32)
}

// valueThreshold must fit into one transaction, which matters only for the small memtables of tests.
func valueThreshold(memTableBytes int64) int64 {
	return min(maxValueThreshold, memTableBytes*txnPercent/100)
}

func chunkBytes(memTableBytes int64) int {
	return int(min(maxChunkBytes, valueThreshold(memTableBytes)/2))
}

// blockBytes is room for two of the largest chunks and what goes with them. A block that a value outgrows is allocated
// anew, twice as large, and the memory of all of them is kept for later tables: with Badger's 4 KiB that came to a
// gigabyte.
func blockBytes(memTableBytes int64) int {
	return 2*chunkBytes(memTableBytes) + blockSlackBytes
}

// openEngine turns whatever goes wrong, a panic too, into a refusal that names the directory.
func openEngine(o badger.Options) (db *badger.DB, err error) {
	dir := o.Dir
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, corrupt(dir, "Badger panicked while opening: %v", p)
		}
	}()
	db, err = badger.OpenManaged(o)
	if err == nil {
		return db, nil
	}
	var pathErr *fs.PathError
	if errors.Is(err, fs.ErrPermission) || errors.As(err, &pathErr) {
		return nil, fmt.Errorf("raftlog: open %s: %w", dir, err)
	}
	if lack := lackOf(err); lack != nil {
		return nil, fmt.Errorf("raftlog: open %s: %w: %v", dir, lack, err)
	}
	return nil, corrupt(dir, "Badger refuses: %v", err)
}

// openBegun opens what lies in the directory of o.
func openBegun(o badger.Options) (*badger.DB, arena, error) {
	db, err := openEngine(o)
	return db, nil, err
}

// lackOf tells what the system could not give, which is no damage. Badger keeps of an error its words alone.
func lackOf(err error) error {
	for _, lack := range slices.Concat(noRoom, noResources) {
		if strings.Contains(err.Error(), lack.Error()) {
			return lack
		}
	}
	return nil
}

// closeUnwritten closes db without a table of what its memtable holds; the write-ahead file stays as it is. Badger has no
// call for that: it would delete the file even if everything was dropped, and cut it first, so that no second link saves
// it. So the memtable is taken out, and what is closed is a Badger without one, as a Badger that may not write is.
// Nobody else may use db any more.
func closeUnwritten(db *badger.DB) error {
	memTable := memTableOf(db)
	if memTable.IsNil() {
		return db.Close()
	}
	wal := writeAheadFile(memTable)
	*(*unsafe.Pointer)(memTable.Addr().UnsafePointer()) = nil
	return errors.Join(db.Close(), z.Munmap(wal.Data), wal.Fd.Close())
}

// memTableOf is the memtable that db writes to, which it changes when it begins another.
func memTableOf(db *badger.DB) reflect.Value { return reflect.ValueOf(db).Elem().FieldByName("mt") }

func writeAheadFile(memTable reflect.Value) *z.MmapFile {
	return mappedFile(memTable.Elem().FieldByName("wal"))
}

// mappedFile is what a logFile of Badger's is over.
func mappedFile(logFile reflect.Value) *z.MmapFile {
	return *field[*z.MmapFile](logFile.Elem(), "MmapFile")
}

// writeAheadEnd is where the next entry goes in the file.
func writeAheadEnd(memTable reflect.Value) int64 {
	return int64(memTable.Elem().FieldByName("wal").Elem().FieldByName("writeAt").Uint())
}

// detachValueLog puts memory in place of the mapped value log, which holds nothing of ours. Badger syncs it with each
// commit all the same, and on ext4 without a journal that is a second flush of the device. It is called before anything is
// committed; nobody unmaps the file before Badger is closed.
func detachValueLog(db *badger.DB) {
	files := reflect.ValueOf(db).Elem().FieldByName("vlog").FieldByName("filesMap").MapRange()
	for files.Next() {
		mapMemory(mappedFile(files.Value()).Data)
	}
}

// field is one of a struct that is not ours.
func field[T any](of reflect.Value, name string) *T {
	f := of.FieldByName(name)
	if want := reflect.TypeFor[T](); f.Type() != want && !(want.Kind() == reflect.UnsafePointer && f.Kind() == reflect.Pointer) {
		panic(fmt.Sprintf("raftlog: Badger's %v.%s is of type %v, not %v", of.Type(), name, f.Type(), want))
	}
	return (*T)(f.Addr().UnsafePointer())
}

// keyIterator goes over the keys of a prefix as they are now.
type keyIterator struct {
	*badger.Iterator
	txn *badger.Txn
}

func newKeyIterator(db *badger.DB, prefix []byte) keyIterator {
	txn := db.NewTransactionAt(math.MaxUint64, false)
	return keyIterator{txn.NewIterator(badger.IteratorOptions{Prefix: prefix}), txn}
}

func (it keyIterator) Key() []byte { return it.Item().Key() }

func (it keyIterator) Value(use func([]byte) error) error { return it.Item().Value(use) }

func (it keyIterator) end() {
	it.Close()
	it.txn.Discard()
}

// removeScrap deletes what Badger keeps beside the tables and holds nothing of ours: no value is large enough for the
// value log. A damaged one would only keep the store from opening, as would a write-ahead file without a byte: a crash
// cut its creation short, or else the guard has told by now what it held.
func removeScrap(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		scrap := strings.HasSuffix(name, ".vlog") || name == "DISCARD" || name == badger.KeyRegistryFileName
		if strings.HasSuffix(name, ".mem") {
			info, err := e.Info()
			if err != nil {
				return err
			}
			scrap = info.Size() == 0
		}
		if scrap {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// silentErrors are those of a value log that does not sync, and of a table that Badger tries for ever to write.
var silentErrors = []string{"curlf sync", "error flushing memtable"}

// engineLog passes Badger's messages on, one level quieter than it thinks of them, and watches for errors that
// Badger logs instead of returning.
type engineLog struct {
	to     *slog.Logger
	onSync func(error)
}

func (l *engineLog) Errorf(format string, args ...any) {
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	l.to.Error("badger", "message", text)
	if l.onSync != nil && slices.ContainsFunc(silentErrors, func(of string) bool { return strings.Contains(text, of) }) {
		l.onSync(fmt.Errorf("raftlog: Badger: %s", text))
	}
}

func (l *engineLog) Warningf(format string, args ...any) {
	l.to.Warn("badger", "message", strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (l *engineLog) Infof(format string, args ...any)  { l.debug(format, args) }
func (l *engineLog) Debugf(format string, args ...any) {}

func (l *engineLog) debug(format string, args []any) {
	if l.to.Enabled(context.Background(), slog.LevelDebug) {
		l.to.Debug("badger", "message", strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}
