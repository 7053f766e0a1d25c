package raftlog

import "os"

// layAhead is told, under the store's write lock, how much the next transaction takes, and writes zeros where it and the
// ones behind it go, unless they are there. Badger's file has no blocks where nothing was written: then the first sync of
// each page waits until one is found for it, and the file system has noted that too; and where Badger has its mapping the
// page costs a fault in which a block is reserved. A large transaction that is written with one call gains nothing by them.
// Zeros are what a page without a block reads as, so nobody can tell the difference.
//
// Past the page cache they go with the transaction, by writeAhead.write.
//
// Only what lies behind Badger's end is written to, which Badger moves under that lock alone.
func (g *generation) layAhead(bytes int64) error {
	if !g.single {
		return nil // which file Badger writes to, and where, is not known for sure
	}
	if g.ahead.direct || g.ahead.file != nil && bytes >= layAheadBytes {
		return nil
	}
	memTable := memTableOf(g.db)
	at, file := writeAheadEnd(memTable), writeAheadFile(memTable)
	end := at + bytes
	if end <= g.ahead.laid {
		return nil
	}
	if bytes < layAheadBytes {
		end += layAheadBytes
	}
	from := max(g.ahead.laid, wholePages(at))
	g.ahead.laid = min(wholePages(end), int64(len(file.Data)))
	return writeZeros(file.Fd, from, g.ahead.laid, min(max(bytes/2, pageBytes), int64(len(zeros))))
}

func wholePages(bytes int64) int64 { return (bytes + pageBytes - 1) &^ (pageBytes - 1) }

// writeZeros writes whole pages, a piece at a time. The kernel keeps what one call writes together, and a sync then writes
// all of it for a byte that was changed: so pieces are to be no larger than what is changed at a time.
func writeZeros(file *os.File, from, to, piece int64) error {
	piece = pagesUpTo(piece)
	for ; from < to; from += piece {
		if _, err := file.WriteAt(zeros[:min(piece, to-from)], from); err != nil {
			return err
		}
	}
	return nil
}

var zeros [128 << 10]byte
