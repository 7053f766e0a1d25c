package raftlog

import (
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/skl"
	"github.com/dgraph-io/ristretto/v2/z"
)

// openEmpty makes a Badger whose memtable lies in memory of its own, which the caller unmaps once Badger is closed and
// nobody reads from it. Badger would allocate it, 21 MiB, from the heap. It has no setting for that, so it is opened with a
// small one, which is put in the large one's place before anything is written.
func openEmpty(o badger.Options) (*badger.DB, arena, error) {
	db, err := openEngine(o.WithMemTableSize(seedMemTableBytes).WithValueThreshold(valueThreshold(seedMemTableBytes)))
	if err != nil {
		return nil, nil, err
	}
	memory, err := enlarge(db, o)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("raftlog: a memtable of %d bytes: %w", o.MemTableSize, err), closeUnwritten(db))
	}
	return db, memory, nil
}

// enlarge gives an empty Badger the memtable that it would have if it were opened with o.
func enlarge(db *badger.DB, o badger.Options) (arena, error) {
	batchBytes := o.MemTableSize * engineTxnPercent / 100
	batchCount := batchBytes / int64(skl.MaxNodeSize)
	memTable := memTableOf(db)
	memory, err := syscall.Mmap(-1, 0, int(o.MemTableSize+batchBytes+batchCount*int64(skl.MaxNodeSize)),
		syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, err
	}
	hugePages(memory[:o.MemTableSize])
	if err := writeAheadFile(memTable).Truncate(2 * o.MemTableSize); err != nil {
		return nil, errors.Join(err, syscall.Munmap(memory))
	}
	list := memTable.Elem().FieldByName("sl").Elem()
	small := field[[]byte](list.FieldByName("arena").Elem(), "buf")
	head := field[unsafe.Pointer](list, "head")
	copy(memory, *small)
	*head = unsafe.Pointer(&memory[uintptr(*head)-uintptr(unsafe.Pointer(&(*small)[0]))])
	*small = memory

	engine := reflect.ValueOf(db).Elem()
	settings := engine.FieldByName("opt")
	*field[int64](settings, "maxBatchSize") = batchBytes
	*field[int64](settings, "maxBatchCount") = batchCount
	*field[int64](settings, "MemTableSize") = o.MemTableSize
	*field[int64](settings, "ValueThreshold") = o.ValueThreshold
	*field[int64](memTable.Elem().FieldByName("opt"), "MemTableSize") = o.MemTableSize
	// Badger goes by the second, which it takes from the lowest bound of the first again and again.
	threshold := engine.FieldByName("threshold").Elem()
	*field[*z.HistogramData](threshold, "vlMetrics") = z.NewHistogramData([]float64{float64(o.ValueThreshold)})
	field[atomic.Int64](threshold, "valueThreshold").Store(o.ValueThreshold)
	return memory, nil
}

// arena is a mapping of memory, or nothing.
type arena []byte

func (a arena) free() error {
	if a == nil {
		return nil
	}
	return syscall.Munmap(a)
}
