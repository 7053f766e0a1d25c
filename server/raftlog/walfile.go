package raftlog

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/ristretto/v2/z"
)

// walFile reads entries out of the write-ahead file of a sealed generation by their positions, so that nobody needs to
// hold what is in it in memory.
type walFile struct {
	file   *os.File
	pieces []walPiece // those that count, by index and chunk
}

// walPiece is where one value of an entry lies. Badger's write-ahead files are below 4 GiB.
type walPiece struct {
	index   uint64
	at, len uint32
	chunk   uint16
	deleted bool
}

func (p walPiece) compare(q walPiece) int {
	return cmp.Or(cmp.Compare(p.index, q.index), cmp.Compare(p.chunk, q.chunk))
}

// openWALFile indexes the file up to end, or all of it without one. It checks no checksum: those of the entries are
// looked at when they are read.
func openWALFile(path string, end int64) (*walFile, error) {
	pieces, err := indexWAL(path, end)
	if err != nil {
		return nil, err
	}
	return openPieces(path, pieces)
}

// openPieces reads the file by the pieces that appendPieces has found in it.
func openPieces(path string, pieces []walPiece) (*walFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("raftlog: open write-ahead file: %w", err)
	}
	return &walFile{file: file, pieces: lastPieces(pieces)}, nil
}

func indexWAL(path string, end int64) (pieces []walPiece, err error) {
	file, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("raftlog: open write-ahead file: %w", err)
	}
	defer func() { err = errors.Join(err, z.Munmap(file.Data), file.Fd.Close()) }() // its own Close would sync the file
	data := file.Data
	if end > 0 {
		data = data[:min(end, int64(len(data)))]
	}
	if len(data) < walHeaderLen || binary.LittleEndian.Uint64(data) != 0 { // who wrote it: we have nothing encrypted
		return nil, corrupt(path, "its header is damaged")
	}
	return indexPieces(data), nil
}

// indexPieces lists what each write to a key left.
func indexPieces(data []byte) []walPiece { return appendPieces(nil, data, walHeaderLen) }

// appendPieces appends what the writes left that begin at off.
func appendPieces(all []walPiece, data []byte, at int64) []walPiece {
	for off := int(at); off < len(data); {
		e, size, ok := parseWALEntry(data[off:])
		if !ok {
			break
		}
		off += size
		if index, chunk, ok := e.entryKey(); ok {
			at := off - walSumLen - len(e.value)
			all = append(all, walPiece{index, uint32(at), uint32(len(e.value)), chunk, e.meta&walBitDelete != 0})
		}
	}
	return all
}

// lastPieces are those that count.
func lastPieces(all []walPiece) []walPiece {
	slices.SortStableFunc(all, walPiece.compare)
	last := all[:0]
	for i, p := range all {
		if (i+1 == len(all) || p.compare(all[i+1]) != 0) && !p.deleted {
			last = append(last, p)
		}
	}
	return slices.Clip(last)
}

// firstIndex is above all indices if there is no entry.
func (w *walFile) firstIndex() uint64 {
	if len(w.pieces) == 0 {
		return math.MaxUint64
	}
	return w.pieces[0].index
}

// agrees tells whether Badger has the same entries as the file, of the same sizes.
func (w *walFile) agrees(db *badger.DB) bool {
	it := newKeyIterator(db, []byte{tagEntry})
	defer it.end()
	n := 0
	for it.Rewind(); it.Valid(); it.Next() {
		index, chunk, ok := parseEntryKey(it.Item().Key())
		if !ok || n == len(w.pieces) {
			return false
		}
		p := w.pieces[n]
		if p.index != index || p.chunk != chunk || int64(p.len) != it.Item().ValueSize() {
			return false
		}
		n++
	}
	return n == len(w.pieces)
}

// find returns the position of the piece in pieces, or where it would be.
func (w *walFile) find(index uint64, chunk uint16) (int, bool) {
	return slices.BinarySearchFunc(w.pieces, walPiece{index: index, chunk: chunk}, walPiece.compare)
}

// appendPiece appends the n-th piece to dst.
func (w *walFile) appendPiece(dst []byte, n int) ([]byte, error) {
	p := w.pieces[n]
	dst = slices.Grow(dst, int(p.len))
	value := dst[len(dst) : len(dst)+int(p.len)]
	if _, err := w.file.ReadAt(value, int64(p.at)); err != nil {
		return dst, err
	}
	return dst[:len(dst)+len(value)], nil
}

// read is readRecord of a file.
func (w *walFile) read(index uint64, use func(*recordHeader, []byte)) error {
	n, found := w.find(index, 0)
	if !found {
		return badger.ErrKeyNotFound
	}
	record, err := w.appendPiece(nil, n)
	if err != nil {
		return err
	}
	h, err := parseRecordHeader(record)
	if err != nil {
		return err
	}
	record = slices.Grow(record, int(h.length())-min(len(record), int(h.length())))
	for c := uint16(1); c < h.chunks; c++ {
		n, found := w.find(index, c)
		if !found {
			return fmt.Errorf("chunk %d of %d: %w", c, h.chunks, errPieceMissing)
		}
		if record, err = w.appendPiece(record, n); err != nil {
			return fmt.Errorf("chunk %d of %d: %w", c, h.chunks, err)
		}
		if uint64(len(record)) > h.length() {
			return errRecordLength
		}
	}
	if h, err = checkRecord(entryKey(index, 0), record); err != nil {
		return err
	}
	use(&h, record)
	return nil
}

var errPieceMissing = errors.New("it is not in the write-ahead file")

func (w *walFile) close() error { return w.file.Close() }

// cursor begins at an index.
func (w *walFile) cursor(from uint64) *walCursor {
	n, _ := w.find(from, 0)
	return &walCursor{walFile: w, n: n}
}

type walCursor struct {
	*walFile
	n          int
	key, value []byte
}

func (c *walCursor) Valid() bool { return c.n < len(c.pieces) }

func (c *walCursor) Next() { c.n++ }

func (c *walCursor) Key() []byte {
	c.key = appendEntryKey(c.key[:0], c.pieces[c.n].index, c.pieces[c.n].chunk)
	return c.key
}

func (c *walCursor) Value(use func([]byte) error) (err error) {
	if c.value, err = c.appendPiece(c.value[:0], c.n); err != nil {
		return err
	}
	return use(c.value)
}

func (c *walCursor) end() {}
