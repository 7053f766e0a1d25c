package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// readBack loads the state and proves that everything it vouches for is there: each record first..last in a row, of
// right checksum, chained to the one before and at the right position, and the stable values.
func (s *Store) readBack(slot guardSlot) error {
	newest := s.newest()
	v, err := loadState(newest.db, s.dir)
	if err != nil {
		return err
	}
	s.view.Store(&v)
	if err := checkGuard(s.dir, slot, &v, ""); err != nil {
		return err
	}
	if s.stable, err = loadStable(newest.db, s.dir); err != nil {
		return err
	}
	if sumStable(s.stable) != v.stableSum {
		return corrupt(s.dir, "the stable values, term and vote among them, are not those last written")
	}
	if err := checkLog(s.generations(), s.dir, &v, nil); err != nil {
		return err
	}
	s.purged = loadPurged(newest.db)
	return s.removeAbove(v.last)
}

// removeAbove deletes keys that an interrupted write left above the tail.
func (s *Store) removeAbove(last uint64) error {
	keys := s.entryKeys(last+1, math.MaxUint64, math.MaxInt)
	s.batch.reset()
	for len(keys) > 0 {
		keys = s.addDeletes(keys)
		if err := s.commitRaw(); err != nil {
			return err
		}
	}
	return nil
}

func loadState(db *badger.DB, dir string) (state, error) {
	txn := db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	b, err := getCopy(txn, []byte{tagState}, nil)
	if err != nil {
		return state{}, corrupt(dir, "the state record cannot be read: %v", err)
	}
	v, err := decodeState(b)
	if err != nil {
		return state{}, corrupt(dir, "%v", err)
	}
	return v, nil
}

func loadStable(db *badger.DB, dir string) (map[string][]byte, error) {
	txn := db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{tagStable}})
	defer it.Close()
	stable := make(map[string][]byte)
	for it.Rewind(); it.Valid(); it.Next() {
		key := string(it.Item().Key()[1:])
		err := it.Item().Value(func(v []byte) (err error) {
			stable[key], err = decodeStable([]byte(key), v)
			return err
		})
		if err != nil {
			return nil, corrupt(dir, "stable key %q: %v", key, err)
		}
	}
	return stable, nil
}

// checkLog walks the log once and notes up to where each generation is vouched for. visit, if given, sees each record.
func checkLog(gens []*generation, dir string, v *state, visit func(*recordHeader, []byte) error) error {
	if v.empty() {
		return nil
	}
	walk := logWalk{want: *v, visit: visit}
	defer walk.close()
	for _, g := range slices.Backward(gens) {
		walk.open(g)
	}
	for index := v.first; index <= v.last; index++ {
		if err := walk.next(index); err != nil {
			return corrupt(dir, "entry %d of %d to %d: %w", index, v.first, v.last, err)
		}
	}
	if walk.position != v.endPos || walk.sum != v.lastSum || walk.term != v.lastTerm {
		return corrupt(dir, "entry %d is not the one last written there", v.last)
	}
	return nil
}

type logWalk struct {
	of       []walkedGeneration // newest first
	it       cursor             // of the generation that has the entry
	want     state
	visit    func(*recordHeader, []byte) error
	joined   []byte
	position uint64 // after the records seen
	sum      uint32
	term     uint64
}

type walkedGeneration struct {
	*generation
	cursor
}

// cursor goes over the pieces of entries by index and chunk.
type cursor interface {
	Valid() bool
	Next()
	Key() []byte
	Value(use func([]byte) error) error // which must not keep it
	end()
}

func (w *logWalk) open(g *generation) {
	if g.file != nil {
		w.of = append(w.of, walkedGeneration{g, g.file.cursor(w.want.first)})
		return
	}
	it := newKeyIterator(g.db, []byte{tagEntry})
	it.Seek(entryKey(w.want.first, 0))
	w.of = append(w.of, walkedGeneration{g, it})
}

func (w *logWalk) close() {
	for _, g := range w.of {
		g.end()
	}
}

// find turns to the newest generation that has the entry.
func (w *logWalk) find(key []byte, index uint64) error {
	for _, g := range w.of {
		for g.Valid() && bytes.Compare(g.Key(), key) < 0 {
			g.Next() // of an entry that a newer one replaces
		}
		if g.Valid() && bytes.Equal(g.Key(), key) {
			g.highest = index
			w.it = g.cursor
			return nil
		}
	}
	return errEntryMissing
}

var (
	errEntryMissing = errors.New("it is missing")
	errEntryChain   = errors.New("it does not follow the entry before it")
)

func (w *logWalk) next(index uint64) error {
	key := entryKey(index, 0)
	if err := w.find(key, index); err != nil {
		return err
	}
	h, err := w.record(key, index)
	if err != nil {
		return err
	}
	if index == w.want.first {
		w.position = w.want.startPos
	} else if h.prev != w.sum {
		return errEntryChain
	}
	if h.position != w.position {
		return fmt.Errorf("%w: position %d instead of %d", errEntryChain, h.position, w.position)
	}
	w.position += h.length()
	w.sum, w.term = h.sum, h.term
	return nil
}

func (w *logWalk) record(key []byte, index uint64) (h recordHeader, err error) {
	var chunks uint16
	err = w.it.Value(func(v []byte) error {
		if h, err = parseRecordHeader(v); err != nil {
			return err
		}
		if chunks = h.chunks; chunks > 1 {
			w.joined = append(w.joined[:0], v...)
			return nil
		}
		return w.check(key, v, &h)
	})
	if err != nil {
		return h, err
	}
	w.it.Next()
	if chunks == 1 {
		w.skipStaleChunks(index)
		return h, nil
	}
	for c := uint16(1); c < chunks; c++ {
		if !w.it.Valid() || !bytes.Equal(w.it.Key(), entryKey(index, c)) {
			return h, fmt.Errorf("chunk %d of %d is missing", c, chunks)
		}
		err := w.it.Value(func(v []byte) error {
			w.joined = append(w.joined, v...)
			return nil
		})
		if err != nil {
			return h, err
		}
		w.it.Next()
	}
	w.skipStaleChunks(index)
	return h, w.check(key, w.joined, &h)
}

// skipStaleChunks passes pieces of a longer record that once had this index.
func (w *logWalk) skipStaleChunks(index uint64) {
	for ; w.it.Valid(); w.it.Next() {
		if i, _, ok := parseEntryKey(w.it.Key()); !ok || i != index {
			return
		}
	}
}

func (w *logWalk) check(key, record []byte, h *recordHeader) (err error) {
	if *h, err = checkRecord(key, record); err != nil || w.visit == nil {
		return err
	}
	return w.visit(h, record)
}
