package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"

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
	direct  bool        // past the page cache, by whole pages
	laid    int64       // where what has blocks ends, as far as zeros were written ahead
	pieces  []walPiece  // of what was written, as indexPieces finds them
}

// detachWriteAhead takes over the file that a Badger begins with. Its header is synced with the first transaction.
func detachWriteAhead(db *badger.DB) writeAhead {
	memTable := memTableOf(db)
	file, end := writeAheadFile(memTable), writeAheadEnd(memTable)
	w := writeAhead{file: file, written: end, pieces: indexPieces(file.Data[:end])}
	begun := bytes.Clone(file.Data[pagesUpTo(end):end])
	if !mapMemory(file.Data) {
		return writeAhead{}
	}
	copy(file.Data[pagesUpTo(end):], begun)
	w.direct = len(file.Data)%pageBytes == 0 && setDirect(file.Fd, true)
	return w
}

// sync makes durable what Badger has taken of a transaction. If it has begun another memtable for that, the transaction is in
// the file of that one as a whole, through its mapping, and synced.
func (w *writeAhead) sync(db *badger.DB) error {
	memTable := memTableOf(db)
	if w.file == nil || w.file != writeAheadFile(memTable) {
		return nil
	}
	end := writeAheadEnd(memTable)
	if err := w.write(end); err != nil {
		return err
	}
	if !mutant.On(mutant.NoSync) {
		if err := syncData(w.file.Fd); err != nil {
			return fmt.Errorf("sync %s: %w", w.file.Fd.Name(), err)
		}
	}
	w.pieces = appendPieces(w.pieces, w.file.Data[:end], w.written)
	w.written = end
	if kept := systemPagesUpTo(end); kept-w.dropped >= keptAheadBytes {
		dropPages(w.file.Data[:kept])
		w.dropped = kept
	}
	return nil
}

// write hands the file what Badger has taken up to end. Past the page cache it goes by whole pages: the first may have been
// there in part, and behind the last byte there are zeros, in the memory as in the file. A small transaction takes more of
// them along, so that the next ones find their blocks.
func (w *writeAhead) write(end int64) error {
	if w.direct {
		from, to := pagesUpTo(w.written), wholePages(end)
		laid := to
		if to > w.laid && end-w.written < layAheadBytes {
			laid = min(to+layDirectBytes, int64(len(w.file.Data)))
		}
		_, err := w.file.Fd.WriteAt(w.file.Data[from:laid], from)
		if laid > to && FullDisk(err) {
			laid = to // which may still fit
			_, err = w.file.Fd.WriteAt(w.file.Data[from:to], from)
		}
		if err == nil {
			w.laid = max(w.laid, laid)
		}
		if !errors.Is(err, syscall.EINVAL) {
			return err
		}
		// The file system wants larger pages, or has taken the flag and cannot do it.
		w.direct = setDirect(w.file.Fd, false)
	}
	_, err := w.file.Fd.WriteAt(w.file.Data[w.written:end], w.written)
	return err
}

func pagesUpTo(end int64) int64 { return end &^ (pageBytes - 1) }

// systemPagesUpTo is of the pages that memory has, which may be larger.
func systemPagesUpTo(end int64) int64 { return end &^ (int64(max(os.Getpagesize(), pageBytes)) - 1) }
