package raftlog

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"github.com/dgraph-io/ristretto/v2/z"
)

// Preflight reads Badger's files before Badger does. Badger cuts a damaged write-ahead file, deletes tables that a
// damaged MANIFEST no longer names, and crashes the process on some damaged tables (from its own goroutines, where
// nothing of ours can recover). A refusal of ours comes first, names the file, and has touched nothing.
type preflight struct {
	dir    string
	number uint64 // of the generation
	newest state  // by sequence, over tables and write-ahead files
	found  bool
	wals   []walScan
	tables int
}

func runPreflight(dir string) (*preflight, error) {
	p := &preflight{dir: dir}
	if err := p.checkTables(); err != nil {
		return nil, err
	}
	return p, p.scanWALs()
}

func (p *preflight) checkTables() error {
	listed, err := p.manifestTables()
	if err != nil {
		return err
	}
	p.tables = len(listed)
	for _, id := range listed {
		if err := p.checkTable(table.NewFilename(id, p.dir)); err != nil {
			return err
		}
	}
	return nil
}

func (p *preflight) scanWALs() error {
	names, err := filesWith(p.dir, ".mem")
	if err != nil {
		return err
	}
	for _, path := range names {
		scan, err := scanWAL(path)
		if err != nil {
			return err
		}
		p.wals = append(p.wals, scan)
		if scan.found {
			p.see(scan.newest)
		}
	}
	return nil
}

// memTableBytes is want, or what the largest memtables were made with if a write-ahead file may hold more than a
// memtable of want does: Badger ends the process that replays such a file. A memtable takes a quarter more than its size.
func (p *preflight) memTableBytes(want int64) int64 {
	for _, w := range p.wals {
		if w.arena > want+want/4 {
			return largestMemTableBytes
		}
	}
	return want
}

// cutWALs ends write-ahead files behind their last whole transaction. Badger would do so too, if it may write, but not
// durably; and what is torn off the newest generation must not come back once that is sealed.
func (p *preflight) cutWALs() error {
	for _, w := range p.wals {
		if err := w.cut(); err != nil {
			return fmt.Errorf("raftlog: cut a write-ahead file: %w", err)
		}
	}
	return nil
}

func (w *walScan) cut() error {
	if w.arena == 0 {
		return os.RemoveAll(w.path)
	}
	file, err := os.OpenFile(w.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Truncate(w.validEnd), file.Sync(), file.Close())
}

// replays tells whether Badger will find something in a write-ahead file.
func (p *preflight) replays() bool {
	return slices.ContainsFunc(p.wals, func(w walScan) bool { return w.arena > 0 })
}

// isOneFile tells that a write-ahead file holds all of the generation.
func (p *preflight) isOneFile() bool { return p.tables == 0 && len(p.wals) == 1 && p.replays() }

func (p *preflight) see(s state) {
	if !p.found || s.seq > p.newest.seq {
		p.newest, p.found = s, true
	}
}

func (p *preflight) manifestTables() (ids []uint64, err error) {
	path := filepath.Join(p.dir, badger.ManifestFilename)
	defer func() {
		if r := recover(); r != nil {
			err = corrupt(path, "reading it panicked: %v", r)
		}
	}()
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, corrupt(path, "the file is missing")
	}
	if err != nil {
		return nil, fmt.Errorf("raftlog: open manifest: %w", err)
	}
	defer file.Close()
	manifest, _, err := badger.ReplayManifestFile(file, 0, badger.Options{})
	if err != nil {
		return nil, corrupt(path, "%v", err)
	}
	for id := range manifest.Tables {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

// checkTable opens one table as Badger will, with every block's checksum, and looks up its state record.
func (p *preflight) checkTable(path string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = corrupt(path, "the table is unreadable (%s)", firstLine(r))
		}
	}()
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return corrupt(path, "the MANIFEST names it, but it is missing")
	}
	if err != nil {
		return fmt.Errorf("raftlog: stat table: %w", err)
	}
	if info.Size() == 0 {
		return corrupt(path, "the table is empty")
	}
	file, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("raftlog: open table: %w", err)
	}
	defer closeMapping(file)
	t, err := table.OpenTable(file, table.Options{ChkMode: options.NoVerification})
	if err != nil {
		return corrupt(path, "%v", err)
	}
	if err := t.VerifyChecksum(); err != nil {
		return corrupt(path, "%v", err)
	}
	it := t.NewIterator(0)
	defer it.Close()
	it.Seek(y.KeyWithTs([]byte{tagState}, math.MaxUint64))
	if it.Valid() && string(y.ParseKey(it.Key())) == string(rune(tagState)) {
		s, err := decodeState(it.Value().Value)
		if err != nil {
			return corrupt(path, "%v", err)
		}
		p.see(s)
	}
	return nil
}

// closeMapping may come second, after OpenTable's own; the failing msync then keeps it from unmapping again. Nothing
// was written, so no error of it matters.
func closeMapping(file *z.MmapFile) { _ = file.Close(-1) }

func firstLine(v any) string {
	for line := range strings.Lines(fmt.Sprint(v)) {
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return "panic"
}

// hint tells where each write-ahead file ends, for the text of a refusal.
func (p *preflight) hint() string {
	var b strings.Builder
	for _, w := range p.wals {
		fmt.Fprintf(&b, "; %s holds whole transactions up to byte %d", w.path, w.validEnd)
	}
	return b.String()
}
