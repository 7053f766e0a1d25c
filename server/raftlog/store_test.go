package raftlog

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestEmptyStoreAnswersAsRaftExpects(t *testing.T) {
	s := openStore(t, t.TempDir())
	first, err := s.FirstIndex()
	require.NoError(t, err)
	require.Zero(t, first)
	last, err := s.LastIndex()
	require.NoError(t, err)
	require.Zero(t, last)
	require.ErrorIs(t, s.GetLog(1, new(raft.Log)), raft.ErrLogNotFound)
	_, err = s.Get([]byte("LastVoteCand"))
	require.EqualError(t, err, "not found")
	_, err = s.GetUint64([]byte("CurrentTerm"))
	require.EqualError(t, err, "not found")
	require.True(t, s.IsMonotonic())
	require.NoError(t, s.DeleteRange(1, 10))
}

func TestEntriesComeBackAsStoredAndSurviveAReopen(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	logs := testLogs(7, 300, 2, 100)
	logs[3] = &raft.Log{Index: 10, Term: 2, Type: raft.LogNoop}
	logs[4] = testLog(11, 2, 700<<10) // several chunks
	require.NoError(t, s.StoreLog(logs[0]))
	require.NoError(t, s.StoreLogs(logs[1:]))
	check := func() {
		requireRange(t, s, 7, 300)
		for _, want := range logs {
			var got raft.Log
			require.NoError(t, s.GetLog(want.Index, &got))
			requireSame(t, want, &got)
		}
		require.ErrorIs(t, s.GetLog(6, new(raft.Log)), raft.ErrLogNotFound)
		require.ErrorIs(t, s.GetLog(301, new(raft.Log)), raft.ErrLogNotFound)
	}
	check()
	require.NoError(t, s.Close())
	s = openStore(t, dir)
	check()
	require.NoError(t, s.StoreLogs(testLogs(301, 310, 3, 10)))
	requireRange(t, s, 7, 310)
}

func TestGapsOverlapsAndHolesAreRefusedWithoutHarm(t *testing.T) {
	s := openStore(t, t.TempDir())
	require.NoError(t, s.StoreLogs(testLogs(1, 10, 1, 10)))
	require.ErrorIs(t, s.StoreLog(testLog(12, 1, 10)), ErrNotContiguous)
	require.ErrorIs(t, s.StoreLog(testLog(10, 1, 10)), ErrNotContiguous)
	require.ErrorIs(t, s.StoreLogs([]*raft.Log{testLog(11, 1, 1), testLog(13, 1, 1)}), ErrNotContiguous)
	require.ErrorIs(t, s.DeleteRange(4, 6), ErrHole)
	require.ErrorIs(t, s.StoreLog(&raft.Log{Index: 11, Data: make([]byte, MaxRecordBytes)}), ErrTooLarge)
	require.ErrorIs(t, s.Set([]byte("k"), make([]byte, maxStableValueBytes+1)), ErrTooLarge)
	require.NoError(t, s.Err())
	requireRange(t, s, 1, 10)
	empty := openStore(t, t.TempDir())
	require.ErrorIs(t, empty.StoreLog(&raft.Log{}), ErrNotContiguous)
}

func TestStableValues(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	require.NoError(t, s.SetUint64([]byte("CurrentTerm"), 5))
	require.NoError(t, s.SetUint64([]byte("LastVoteTerm"), 5))
	require.NoError(t, s.Set([]byte("LastVoteCand"), []byte("node-2")))
	require.NoError(t, s.Set([]byte("empty"), nil))
	require.NoError(t, s.SetUint64([]byte("CurrentTerm"), 6))
	for range 2 {
		term, err := s.GetUint64([]byte("CurrentTerm"))
		require.NoError(t, err)
		require.EqualValues(t, 6, term)
		vote, err := s.Get([]byte("LastVoteCand"))
		require.NoError(t, err)
		require.Equal(t, "node-2", string(vote))
		value, err := s.Get([]byte("empty"))
		require.NoError(t, err)
		require.Empty(t, value)
		require.NoError(t, s.Close())
		s = openStore(t, dir)
	}
	for i := range maxStableKeys + 1 {
		if err := s.Set([]byte{byte(i)}, nil); err != nil {
			require.ErrorIs(t, err, ErrTooLarge)
			return
		}
	}
	t.Fatal("the number of stable keys has no bound")
}

func TestPrefixGoesAtOnce(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	require.NoError(t, s.StoreLogs(testLogs(1, 2000, 1, 50)))
	require.NoError(t, s.DeleteRange(1, 1500))
	requireRange(t, s, 1501, 2000)
	require.ErrorIs(t, s.GetLog(1500, new(raft.Log)), raft.ErrLogNotFound)
	require.EqualValues(t, 1500, s.CompactedTo())
	require.NoError(t, s.Close())
	s = openStore(t, dir)
	requireRange(t, s, 1501, 2000)
	require.EqualValues(t, 1500, s.CompactedTo())
}

func TestSuffixIsReplacedAfterAConflict(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	require.NoError(t, s.StoreLogs(testLogs(1, 90, 1, 50)))
	require.NoError(t, s.StoreLog(testLog(91, 1, 1<<20))) // leaves no chunk behind
	require.NoError(t, s.StoreLogs(testLogs(92, 100, 1, 50)))
	require.NoError(t, s.DeleteRange(61, 100))
	requireRange(t, s, 1, 60)
	require.Empty(t, s.entryKeys(61, 1000, 1))
	require.NoError(t, s.StoreLogs(testLogs(61, 95, 2, 50)))
	require.NoError(t, s.Close())
	s = openStore(t, dir)
	requireRange(t, s, 1, 95)
	var l raft.Log
	require.NoError(t, s.GetLog(91, &l))
	requireSame(t, testLog(91, 2, 50), &l)
}

func TestAllOfTheLogGoesAndItBeginsElsewhere(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	require.NoError(t, s.StoreLogs(testLogs(1, 100, 1, 50)))
	require.NoError(t, s.DeleteRange(1, 40))
	require.NoError(t, s.DeleteRange(1, 1000))
	requireRange(t, s, 0, 0)
	require.EqualValues(t, 40, s.CompactedTo())
	require.NoError(t, s.StoreLogs(testLogs(5000, 5010, 3, 50)))
	require.NoError(t, s.Close())
	s = openStore(t, dir)
	requireRange(t, s, 5000, 5010)
}

func TestBytesOfLogAreCounted(t *testing.T) {
	s := openStore(t, t.TempDir())
	logs := testLogs(1, 100, 1, 200)
	total := uint64(0)
	for _, l := range logs {
		total += uint64(recordLen(l))
	}
	require.NoError(t, s.StoreLogs(logs))
	since := func(i uint64) uint64 {
		n, err := s.BytesSince(i)
		require.NoError(t, err)
		return n
	}
	require.Equal(t, total, since(0))
	require.Equal(t, uint64(recordLen(logs[99])), since(99))
	require.Zero(t, since(100))
	require.Zero(t, since(1000))
	require.NoError(t, s.DeleteRange(1, 50))
	require.Equal(t, since(50), s.Stats().LogBytes)
	require.Equal(t, since(50), since(10))
	require.NoError(t, s.DeleteRange(100, 100))
	require.Equal(t, since(50), s.Stats().LogBytes)
}

func TestALargeBatchIsSplitAndNothingGoesToTheValueLog(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	before := s.Stats().Syncs
	logs := testLogs(1, 12, 1, 150<<10)
	logs = append(logs, testLog(13, 1, 2<<20), testLog(14, 1, 10)) // 13 fits no transaction of a 4 MiB memtable
	require.NoError(t, s.StoreLogs(logs))
	require.Greater(t, s.Stats().Syncs-before, uint64(5))
	require.NoError(t, s.Close())
	values, err := filepath.Glob(filepath.Join(generationPath(dir, 1), "*.vlog"))
	require.NoError(t, err)
	require.NotEmpty(t, values)
	for _, path := range values {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.LessOrEqual(t, info.Size(), int64(walHeaderLen), "%s holds values", path)
	}
	s = openStore(t, dir)
	for _, want := range logs {
		var got raft.Log
		require.NoError(t, s.GetLog(want.Index, &got))
		requireSame(t, want, &got)
	}
}

// Every commit of a split batch fails once; what the store then holds must be a prefix, and it must be poisoned.
func TestAFailedSplitLeavesAPrefix(t *testing.T) {
	logs := append(testLogs(11, 30, 1, 120<<10), testLog(31, 1, 2<<20), testLog(32, 1, 10), testLog(33, 1, 1<<20))
	for failAt := 1; ; failAt++ {
		dir := t.TempDir()
		s := openStore(t, dir)
		require.NoError(t, s.StoreLogs(testLogs(1, 10, 1, 10)))
		commits, boom := 0, errors.New("boom")
		s.mu.Lock()
		s.beforeCommit = func() error {
			if commits++; commits == failAt {
				return boom
			}
			return nil
		}
		s.mu.Unlock()
		err := s.StoreLogs(logs)
		if err == nil {
			require.Greater(t, failAt, 8, "the batch was not split")
			return
		}
		require.ErrorIs(t, err, boom)
		require.ErrorIs(t, s.GetLog(1, new(raft.Log)), boom)
		require.ErrorIs(t, s.SetUint64([]byte("CurrentTerm"), 1), boom)
		require.ErrorIs(t, s.Close(), boom)

		s = openStore(t, dir)
		last, err := s.LastIndex()
		require.NoError(t, err)
		require.GreaterOrEqual(t, last, uint64(10))
		require.Less(t, last, uint64(33))
		requireRange(t, s, 1, last)
		require.Empty(t, s.entryKeys(last+1, 1000, 1), "garbage above the tail")
		require.NoError(t, s.StoreLogs(testLogs(last+1, 40, 2, 10)))
		require.NoError(t, s.Close())
	}
}

func TestTheFirstErrorPoisonsAndIsToldOnce(t *testing.T) {
	told := make(chan error, 2)
	opt := testOptions(t.TempDir())
	opt.Fatal = func(err error) { told <- err }
	s, err := Open(opt)
	require.NoError(t, err)
	first := errors.New("first")
	s.beforeCommit = func() error { return first }
	require.ErrorIs(t, s.StoreLog(testLog(1, 1, 10)), first)
	s.beforeCommit = func() error { return errors.New("second") }
	require.ErrorIs(t, s.StoreLog(testLog(1, 1, 10)), first)
	_, err = s.LastIndex()
	require.ErrorIs(t, err, first)
	require.ErrorIs(t, s.Stats().Failed, first)
	require.ErrorIs(t, s.Close(), first)
	require.ErrorIs(t, <-told, first)
	require.Empty(t, told)
}

func TestADamagedOrMissingRecordIsNeverNotFound(t *testing.T) {
	breakages := map[string]func(s *Store, key []byte){
		"record of another index": func(s *Store, key []byte) {
			var b batch
			st := state{}
			b.addRecord(testLog(4, 1, 10), &st, s.chunk)
			s.batch.add(key, b.entries[0].Value)
		},
		"one bit": func(s *Store, key []byte) {
			var b batch
			st := state{}
			b.addRecord(testLog(5, 1, 10), &st, s.chunk)
			v := b.entries[0].Value
			v[len(v)-1] ^= 4
			s.batch.add(key, v)
		},
		"missing key": func(s *Store, key []byte) { s.batch.add(key, nil) },
		"short value": func(s *Store, key []byte) { s.batch.add(key, []byte{1, 2, 3}) },
	}
	for name, damage := range breakages {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir)
			require.NoError(t, s.StoreLogs(testLogs(1, 9, 1, 10)))
			s.mu.Lock()
			s.batch.reset()
			damage(s, entryKey(5, 0))
			require.NoError(t, s.commitRaw())
			s.mu.Unlock()
			err := s.GetLog(5, new(raft.Log))
			require.ErrorIs(t, err, ErrCorrupt)
			require.NotErrorIs(t, err, raft.ErrLogNotFound)
			require.ErrorContains(t, err, dir)
			require.ErrorContains(t, err, "entry 5")
			require.ErrorContains(t, err, "repair:")
			require.ErrorIs(t, s.GetLog(1, new(raft.Log)), ErrCorrupt, "not poisoned")
			require.Error(t, s.Close())
			_, err = Open(testOptions(dir))
			require.ErrorIs(t, err, ErrCorrupt)
		})
	}
}

// An entry put back from before a conflict has a right checksum and a right index; only the chain tells.
func TestAnOldVersionOfAnEntryIsFoundAtOpen(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	require.NoError(t, s.StoreLogs(testLogs(1, 9, 1, 10)))
	var old []byte
	require.NoError(t, s.newest().db.View(func(txn *badger.Txn) (err error) {
		old, err = getCopy(txn, entryKey(5, 0), nil)
		return err
	}))
	require.NoError(t, s.DeleteRange(4, 9))
	require.NoError(t, s.StoreLogs(testLogs(4, 9, 2, 10)))
	s.mu.Lock()
	s.batch.reset()
	s.batch.add(entryKey(5, 0), old)
	require.NoError(t, s.commitRaw())
	s.mu.Unlock()
	require.NoError(t, s.Close())
	_, err := Open(testOptions(dir))
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, "does not follow")
}

func TestASecondOpenIsLockedOut(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	_, err := Open(testOptions(dir))
	require.ErrorIs(t, err, ErrLocked)
	_, err = Verify(dir)
	require.ErrorIs(t, err, ErrLocked)
	require.NoError(t, s.Close())
	require.NoError(t, openStore(t, dir).Close())
}

func TestAnUnwritablePlaceIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := Open(testOptions(filepath.Join(file, "sub")))
	require.ErrorContains(t, err, file)
	require.NotErrorIs(t, err, ErrCorrupt)
}

func TestModesIgnoreTheUmask(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := openStore(t, dir)
	require.NoError(t, s.StoreLogs(testLogs(1, 60, 1, 100<<10))) // rotates
	require.NoError(t, s.Close())
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := e.Info()
		require.NoError(t, err)
		want := os.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		require.Equal(t, want, info.Mode().Perm(), path)
		return nil
	}))
}

func TestANewerFormatIsRefusedUntouched(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, openStore(t, dir).Close())
	path := filepath.Join(dir, formatFile)
	require.NoError(t, os.WriteFile(path, []byte("lycaon-raftlog 3 something else entirely\n"), 0o600))
	before := listing(t, dir)
	_, err := Open(testOptions(dir))
	require.ErrorIs(t, err, ErrNewerFormat)
	require.ErrorContains(t, err, path)
	require.Equal(t, before, listing(t, dir))
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := e.Info()
		require.NoError(t, err)
		b.WriteString(path + " " + info.ModTime().String() + " " + info.Mode().String() + "\n")
		return nil
	}))
	return b.String()
}

// A crash at any point of the creation is started over, since the store had never served a call.
func TestAnInterruptedCreationStartsOver(t *testing.T) {
	stages := map[string]func(dir string){
		"only the format": func(dir string) {
			require.NoError(t, os.RemoveAll(generationPath(dir, 1)))
			require.NoError(t, os.Remove(filepath.Join(dir, guardFile)))
		},
		"store without guard": func(dir string) { require.NoError(t, os.Remove(filepath.Join(dir, guardFile))) },
		"all but ready":       func(string) {},
	}
	for name, undo := range stages {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, openStore(t, dir).Close())
			f, _, err := readFormat(dir)
			require.NoError(t, err)
			f.phase = phaseCreating
			require.NoError(t, writeFormat(dir, f))
			undo(dir)
			s := openStore(t, dir)
			require.NoError(t, s.StoreLogs(testLogs(1, 10, 1, 10)))
			require.NoError(t, s.Close())
			requireRange(t, openStore(t, dir), 1, 10)
		})
	}
}

func TestAWriteAheadFileWhoseCreationWasCutShortIsPassedOver(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	require.NoError(t, s.StoreLogs(testLogs(1, 5, 1, 100)))
	require.NoError(t, s.Close())
	require.NoError(t, os.WriteFile(filepath.Join(generationPath(dir, 1), "00099.mem"), nil, 0o600))
	s = openStore(t, dir)
	requireRange(t, s, 1, 5)
	require.NoError(t, s.StoreLogs(testLogs(6, 7, 1, 100)))
	require.NoError(t, s.Close())
}

func TestCloseLeavesNothingRunningAndAnswersAfterwards(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	s := openStore(t, t.TempDir())
	require.NoError(t, s.StoreLog(testLog(1, 1, 10)))
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.StoreLog(testLog(2, 1, 10)), ErrClosed)
	require.ErrorIs(t, s.DeleteRange(1, 1), ErrClosed)
	require.ErrorIs(t, s.Set([]byte("k"), nil), ErrClosed)
	require.ErrorIs(t, s.GetLog(1, new(raft.Log)), ErrClosed)
	goleak.VerifyNone(t, ignore, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

func TestStatsTellOfWrites(t *testing.T) {
	opt := testOptions(t.TempDir())
	var observed int
	opt.Observe = func(d time.Duration, bytes int) { observed += bytes }
	s, err := Open(opt)
	require.NoError(t, err)
	defer s.Close()
	var during time.Time
	s.mu.Lock()
	s.beforeCommit = func() error { during = s.WriteInFlightSince(); return nil }
	s.mu.Unlock()
	require.NoError(t, s.StoreLogs(testLogs(1, 5, 1, 100)))
	require.WithinDuration(t, time.Now(), during, time.Minute)
	st := s.Stats()
	require.True(t, st.WriteInFlightSince.IsZero())
	require.EqualValues(t, 5, st.Entries)
	require.EqualValues(t, 1, st.FirstIndex)
	require.EqualValues(t, 5, st.LastIndex)
	require.Greater(t, observed, 500)
	var total uint64
	for _, n := range st.Latency {
		total += n
	}
	require.Equal(t, st.Syncs, total)
	require.Positive(t, st.LatencySum)
	require.Positive(t, st.GuardWrites)
}

func TestExistsTellsAStoreFromAnEmptyDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	require.False(t, Exists(dir))
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.False(t, Exists(dir))
	require.NoError(t, openStore(t, dir).Close())
	require.True(t, Exists(dir))
}
