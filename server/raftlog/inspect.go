package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
)

// Report is what Verify found in a closed store.
type Report struct {
	StoreID               string
	FirstIndex, LastIndex uint64
	LastTerm              uint64
	CompactedTo           uint64
	LogBytes              uint64
	Sequence              uint64
	GuardSequence         uint64
	GuardLastIndex        uint64
	Term                  uint64
	VoteTerm              uint64
	Vote                  string
	Stable                map[string][]byte
	// Problems are in the words a start would refuse with; none means that the store opens.
	Problems []error
}

// Verify examines the closed store in dir without changing it; it works on a copy beside dir, which needs the room.
// The error tells that it could not look; what it saw is in the report.
func Verify(dir string) (Report, error) {
	var r Report
	err := inspect(dir, &r, nil)
	return r, err
}

// Dump calls visit with each entry from first to last of the closed store in dir, as far as they are intact.
func Dump(dir string, first, last uint64, visit func(*raft.Log) error) error {
	var r Report
	var stopped error // by visit
	err := inspect(dir, &r, func(h *recordHeader, record []byte) error {
		if h.index < first || h.index > last {
			return nil
		}
		var l raft.Log
		fillLog(h, record, &l)
		stopped = visit(&l)
		return stopped
	})
	if stopped != nil {
		return stopped
	}
	return errors.Join(append(r.Problems, err)...)
}

func inspect(dir string, r *Report, visit func(*recordHeader, []byte) error) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("raftlog: inspect: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	f, found, err := readFormat(dir)
	if errors.Is(err, ErrNewerFormat) {
		return err
	}
	if err != nil {
		r.Problems = append(r.Problems, err)
	} else if !found || f.phase != phaseReady {
		return fmt.Errorf("raftlog: %s holds no finished store", dir)
	}
	r.StoreID = fmt.Sprintf("%x", f.id)
	guard, err := readGuard(dir)
	if err != nil {
		r.Problems = append(r.Problems, err)
	}
	r.GuardSequence, r.GuardLastIndex = guard.seq, guard.last
	return r.inspectCopy(dir, guard, err == nil, visit)
}

func (r *Report) inspectCopy(dir string, guard guardSlot, guarded bool, visit func(*recordHeader, []byte) error) error {
	seen, err := surveyGenerations(dir)
	if err != nil {
		r.Problems = append(r.Problems, err)
		return nil
	}
	scratch, err := os.MkdirTemp(filepath.Dir(dir), "raftlog-inspect-*")
	if err != nil {
		return fmt.Errorf("raftlog: inspect: %w", err)
	}
	defer os.RemoveAll(scratch)
	var gens []*generation
	defer func() {
		for _, g := range gens {
			_ = g.close()
		}
	}()
	for _, p := range seen.found {
		path := generationPath(scratch, p.number)
		if err := copyTree(p.dir, path); err != nil {
			return fmt.Errorf("raftlog: inspect: copy: %w", err)
		}
		if err := removeScrap(path); err != nil {
			return err
		}
		g, err := openGeneration(p.number, engineOptions(path, p.memTableBytes(defaultMemTableBytes), &engineLog{to: slog.New(slog.DiscardHandler)}), openBegun)
		if err != nil {
			r.Problems = append(r.Problems, err)
			return nil
		}
		gens = append(gens, g)
	}
	r.readStore(gens, dir, func(v *state) error {
		if !guarded {
			return nil
		}
		return checkGuard(dir, guard, v, seen.hint())
	}, visit)
	return nil
}

func (r *Report) readStore(gens []*generation, dir string, checkAgainstGuard func(*state) error, visit func(*recordHeader, []byte) error) {
	newest := gens[len(gens)-1].db
	v, err := loadState(newest, dir)
	if err != nil {
		r.Problems = append(r.Problems, err)
		return
	}
	r.FirstIndex, r.LastIndex, r.LastTerm = v.first, v.last, v.lastTerm
	r.CompactedTo, r.LogBytes, r.Sequence, r.Term = v.compacted, v.endPos-v.startPos, v.seq, v.term
	if err := checkAgainstGuard(&v); err != nil {
		r.Problems = append(r.Problems, err)
	}
	if r.Stable, err = loadStable(newest, dir); err != nil {
		r.Problems = append(r.Problems, err)
	} else if sumStable(r.Stable) != v.stableSum {
		r.Problems = append(r.Problems, corrupt(dir, "the stable values are not those last written"))
	}
	r.Vote = string(r.Stable["LastVoteCand"])
	if b := r.Stable["LastVoteTerm"]; len(b) == 8 {
		r.VoteTerm = binary.BigEndian.Uint64(b)
	}
	if err := checkLog(gens, dir, &v, visit); err != nil {
		r.Problems = append(r.Problems, err)
	}
}

// SnapshotReport is what VerifySnapshots found of one snapshot.
type SnapshotReport struct {
	ID          string
	Term, Index uint64
	Bytes       int64
	Problem     error // nil if intact
}

// VerifySnapshots reads every snapshot in a closed directory, newest first, without changing anything.
func VerifySnapshots(dir string) ([]SnapshotReport, error) {
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	s := &Snapshots{opt: SnapshotOptions{Dir: dir}, verified: make(map[string]bool)}
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	var reports []SnapshotReport
	for _, n := range names {
		r := SnapshotReport{ID: n.id, Term: n.term, Index: n.index}
		m, err := s.check(n)
		if r.Problem = err; err == nil {
			r.Bytes = m.Size
		}
		reports = append(reports, r)
	}
	return reports, nil
}
