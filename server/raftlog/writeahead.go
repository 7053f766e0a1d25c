package raftlog

import (
	"fmt"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/ristretto/v2/z"

	"github.com/lycaon-io/lycaon/server/internal/mutant"
)

// writeAhead puts into the write-ahead file of a generation what Badger means for it. Badger writes through a mapping, where
// each page that it comes to is a fault, and each sync takes the pages away again. So it is given memory in place of the
// mapping, and what a transaction has left there goes into the file with one call. Badger's own sync finds nothing to do.
//
// All of it is the store's write lock's, of the newest generation: nobody else writes there, or closes Badger, meanwhile.
type writeAhead struct {
	file    *z.MmapFile // of the memtable that Badger was opened with; nil: it writes through its mapping
	written int64       // bytes of it
	dropped int64       // of them, those that the memory was rid of
}

// detachWriteAhead takes over the file that a Badger begins with. Its header stays in the page cache, and is synced with the
// first transaction.
func detachWriteAhead(db *badger.DB) writeAhead {
	memTable := memTableOf(db)
	file := writeAheadFile(memTable)
	if !mapMemory(file.Data) {
		return writeAhead{}
	}
	return writeAhead{file: file, written: writeAheadEnd(memTable)}
}

// sync makes durable what Badger has taken of a transaction. If it has begun another memtable for that, the transaction is in
// the file of that one as a whole, through its mapping, and synced.
func (w *writeAhead) sync(db *badger.DB) error {
	memTable := memTableOf(db)
	if w.file == nil || w.file != writeAheadFile(memTable) {
		return nil
	}
	end := writeAheadEnd(memTable)
	if _, err := w.file.Fd.WriteAt(w.file.Data[w.written:end], w.written); err != nil {
		return err
	}
	if !mutant.On(mutant.NoSync) {
		if err := syncData(w.file.Fd); err != nil {
			return fmt.Errorf("sync %s: %w", w.file.Fd.Name(), err)
		}
	}
	w.written = end
	if w.written-w.dropped >= keptAheadBytes {
		w.dropped = w.written
		dropPages(w.file.Data)
	}
	return nil
}
