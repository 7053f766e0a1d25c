package raftlog

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// The corruption matrix damages one file of a killed store in one way at one place. Each cell names what must happen:
//
//	refuse  the store must not open, and the text must name a file or directory of the store and the repair
//	start   it must open with everything that was acknowledged
//
// There is no third outcome: a store that opens with less fails the test.
type verdict int

const (
	refuse verdict = iota
	start
)

type damage struct {
	name string
	// do changes file, of which only the first used bytes hold anything.
	do func(t *testing.T, file string, used int64, where float64)
	// placeless damage does the same wherever it is asked for.
	placeless bool
}

func place(used int64, where float64) int64 {
	return min(int64(float64(used)*where), used-1)
}

var damages = []damage{
	{name: "flip bit", do: func(t *testing.T, file string, used int64, where float64) {
		patch(t, file, place(used, where), func(b []byte) { b[0] ^= 0x10 }, 1)
	}},
	{name: "zero 4 KiB", do: func(t *testing.T, file string, used int64, where float64) {
		at := place(used, where) &^ 4095
		patch(t, file, at, func(b []byte) { clear(b) }, 4096)
	}},
	{name: "truncate", do: func(t *testing.T, file string, used int64, where float64) {
		require.NoError(t, os.Truncate(file, place(used, where)))
	}},
	{name: "delete", placeless: true, do: func(t *testing.T, file string, _ int64, _ float64) {
		require.NoError(t, os.Remove(file))
	}},
}

var places = []struct {
	name  string
	where float64
}{{"head", 0}, {"middle", 0.5}, {"tail", 1}}

func patch(t *testing.T, file string, at int64, change func([]byte), n int) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	b := make([]byte, n)
	got, _ := f.ReadAt(b, at)
	require.Positive(t, got)
	change(b[:got])
	_, err = f.WriteAt(b[:got], at)
	require.NoError(t, err)
}

// matrixStore builds a store with two tables and a live write-ahead file, and returns copies of it as kill -9 would
// leave it: now, and at an earlier moment.
func matrixStore(t *testing.T) (earlier, now string, last uint64) {
	t.Helper()
	base := t.TempDir()
	dir := filepath.Join(base, "s")
	s := openStore(t, dir)
	term := []byte("CurrentTerm")
	require.NoError(t, s.SetUint64(term, 1))
	require.NoError(t, s.StoreLogs(testLogs(1, 100, 1, 8<<10)))
	require.NoError(t, s.Close()) // flushes to a table
	s = openStore(t, dir)
	require.NoError(t, s.StoreLogs(testLogs(101, 120, 1, 1<<10)))
	earlier = filepath.Join(base, "earlier")
	copyDir(t, dir, earlier)
	require.NoError(t, s.Close())
	s = openStore(t, dir)
	require.NoError(t, s.SetUint64(term, 2))
	require.NoError(t, s.Set([]byte("LastVoteCand"), []byte("n2")))
	for i := uint64(121); i <= 160; i++ {
		require.NoError(t, s.StoreLogs(testLogs(i, i, 2, 1<<10)))
	}
	now = filepath.Join(base, "now")
	copyDir(t, dir, now)
	require.NoError(t, s.Close())
	return earlier, now, 160
}

// usedBytes is where the content of a file ends, before the holes of a mapped one.
func usedBytes(t *testing.T, file string) int64 {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return int64(len(b))
}

func filesOf(t *testing.T, dir, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(generationPath(dir, 1), pattern))
	require.NoError(t, err)
	require.NotEmpty(t, names, pattern)
	for i, name := range names {
		names[i], err = filepath.Rel(dir, name)
		require.NoError(t, err)
	}
	return names
}

func TestCorruptionMatrixOfTheLog(t *testing.T) {
	earlier, now, last := matrixStore(t)
	kinds := []struct {
		kind  string
		files []string
		want  func(d damage, place string) verdict
	}{
		{"write-ahead file", filesOf(t, now, "*.mem"), always(refuse)},
		{"table", filesOf(t, now, "*.sst"), always(refuse)},
		{"MANIFEST", []string{"log.1/MANIFEST"}, always(refuse)},
		// Neither holds anything of ours.
		{"value log", filesOf(t, now, "*.vlog"), always(start)},
		{"key registry", []string{"log.1/KEYREGISTRY"}, always(start)},
		{"discard stats", []string{"log.1/DISCARD"}, always(start)},
		{"format", []string{formatFile}, always(refuse)},
		// One slot of two may go, and the file may grow short: the head holds one slot, the tail the other.
		{"guard", []string{guardFile}, func(d damage, place string) verdict {
			if d.name == "delete" || (d.name == "truncate" && place == "head") {
				return refuse
			}
			return start
		}},
	}
	cells := 0
	for _, k := range kinds {
		for _, file := range k.files {
			for _, d := range damages {
				for _, p := range places {
					if d.placeless && p.name != "head" {
						continue
					}
					cells++
					t.Run(fmt.Sprintf("%s/%s/%s/%s", k.kind, filepath.Base(file), d.name, p.name), func(t *testing.T) {
						dir := freshCopy(t, now)
						path := filepath.Join(dir, file)
						used := usedBytes(t, path)
						if used == 0 {
							used = 1
						}
						d.do(t, path, used, p.where)
						requireVerdict(t, dir, k.want(d, p.name), last)
					})
				}
			}
		}
	}
	for _, file := range []string{"MANIFEST", "guard", "write-ahead", "all but the guard"} {
		cells++
		t.Run("old copy/"+file, func(t *testing.T) {
			dir := freshCopy(t, now)
			want := refuse
			switch file {
			case "MANIFEST":
				replace(t, earlier, dir, "log.1/MANIFEST")
			case "guard":
				replace(t, earlier, dir, guardFile)
				want = start // it may lag, that is what a power cut does to it
			case "write-ahead":
				replaceNewestWAL(t, dir)
			case "all but the guard":
				require.NoError(t, os.RemoveAll(generationPath(dir, 1)))
				copyDir(t, generationPath(earlier, 1), generationPath(dir, 1))
			}
			requireVerdict(t, dir, want, last)
		})
	}
	t.Run("guard of another store", func(t *testing.T) {
		dir, other := freshCopy(t, now), filepath.Join(t.TempDir(), "other")
		require.NoError(t, openStore(t, other).Close())
		replace(t, other, dir, guardFile)
		requireVerdict(t, dir, refuse, last)
	})
	t.Run("both slots of the guard", func(t *testing.T) {
		dir := freshCopy(t, now)
		patch(t, filepath.Join(dir, guardFile), 0, func(b []byte) { clear(b) }, guardLen)
		requireVerdict(t, dir, refuse, last)
	})
	t.Run("the whole log directory is gone", func(t *testing.T) {
		dir := freshCopy(t, now)
		require.NoError(t, os.RemoveAll(generationPath(dir, 1)))
		requireVerdict(t, dir, refuse, last)
	})
	t.Log("cells:", cells+3)
}

func always(v verdict) func(damage, string) verdict { return func(damage, string) verdict { return v } }

func freshCopy(t *testing.T, from string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "s")
	copyDir(t, from, dir)
	return dir
}

func replace(t *testing.T, from, to, file string) {
	t.Helper()
	require.NoError(t, copySparse(filepath.Join(from, file), filepath.Join(to, file)))
}

// replaceNewestWAL puts back the newest write-ahead file as it was when half of it was written.
func replaceNewestWAL(t *testing.T, dir string) {
	t.Helper()
	files := filesOf(t, dir, "*.mem")
	path := filepath.Join(dir, files[len(files)-1])
	used := usedBytes(t, path)
	patch(t, path, used/2, func(b []byte) { clear(b) }, int(used-used/2))
}

func requireVerdict(t *testing.T, dir string, want verdict, last uint64) {
	t.Helper()
	s, err := Open(testOptions(dir))
	if want == refuse {
		if err == nil {
			got, _ := s.LastIndex()
			_ = s.Close()
			t.Fatalf("opened up to %d of %d instead of refusing", got, last)
		}
		require.True(t, errors.Is(err, ErrCorrupt) || errors.Is(err, ErrBehindGuard) || errors.Is(err, ErrNewerFormat), "%v", err)
		require.ErrorContains(t, err, dir, "the refusal names no file")
		if !errors.Is(err, ErrNewerFormat) {
			require.ErrorContains(t, err, "repair:")
		}
		// A refusal is for good: a second attempt finds no store that the first had cut to fit.
		_, err = Open(testOptions(dir))
		require.Error(t, err)
		return
	}
	require.NoError(t, err)
	requireRange(t, s, 1, last)
	for i := uint64(1); i <= last; i++ {
		var l raft.Log
		require.NoError(t, s.GetLog(i, &l))
		require.Equal(t, payload(i, l.Term, len(l.Data)), l.Data)
	}
	term, err := s.GetUint64([]byte("CurrentTerm"))
	require.NoError(t, err)
	require.EqualValues(t, 2, term)
	vote, err := s.Get([]byte("LastVoteCand"))
	require.NoError(t, err)
	require.Equal(t, "n2", string(vote))
	require.NoError(t, s.Close())
}

// A transaction that was never acknowledged may be cut anywhere.
func TestATornUnacknowledgedTailStarts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	s := openStore(t, dir)
	require.NoError(t, s.StoreLogs(testLogs(1, 20, 1, 1<<10)))
	acked := filepath.Join(t.TempDir(), "acked")
	copyDir(t, dir, acked)
	require.NoError(t, s.StoreLogs(testLogs(21, 40, 1, 1<<10)))
	whole := filepath.Join(t.TempDir(), "whole")
	copyDir(t, dir, whole)
	require.NoError(t, s.Close())
	wal := filesOf(t, whole, "*.mem")[0]
	from, to := usedBytes(t, filepath.Join(acked, wal)), usedBytes(t, filepath.Join(whole, wal))
	require.Less(t, from, to)
	for cut := from; cut < to; cut += (to - from) / 13 {
		work := freshCopy(t, whole)
		replace(t, acked, work, guardFile) // the crash came before the guard was written
		patch(t, filepath.Join(work, wal), cut, func(b []byte) { clear(b) }, int(to-cut))
		s := openStore(t, work)
		requireRange(t, s, 1, 20)
		require.NoError(t, s.StoreLogs(testLogs(21, 25, 2, 10)))
		require.NoError(t, s.Close())
	}
}

func TestARefusalByTheGuardNamesWhatIsLost(t *testing.T) {
	_, now, last := matrixStore(t)
	dir := freshCopy(t, now)
	replaceNewestWAL(t, dir)
	before := listing(t, generationPath(dir, 1))
	_, err := Open(testOptions(dir))
	require.ErrorIs(t, err, ErrBehindGuard)
	require.ErrorContains(t, err, filepath.Join(dir, guardFile))
	require.ErrorContains(t, err, ".mem holds whole transactions up to byte")
	require.ErrorContains(t, err, fmt.Sprintf("to %d are gone", last))
	require.ErrorContains(t, err, "never start the old id with an empty directory")
	require.Equal(t, before, listing(t, generationPath(dir, 1)), "the evidence was touched")
}

// The control of the matrix: without guard and preflight Badger opens the same damage and says nothing.
func TestBadgerAloneHidesTheDamage(t *testing.T) {
	_, now, last := matrixStore(t)
	dir := freshCopy(t, now)
	path := filepath.Join(dir, filesOf(t, dir, "*.mem")[0])
	patch(t, path, usedBytes(t, path)/2, func(b []byte) { b[0] ^= 1 }, 1)
	db, err := openEngine(engineOptions(generationPath(dir, 1), testMemTable, &engineLog{to: slog.New(slog.DiscardHandler)}))
	require.NoError(t, err)
	defer db.Close()
	v, err := loadState(db, dir)
	require.NoError(t, err)
	require.Less(t, v.last, last)
}
