package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

const generationEntryBytes = 16 << 10

// fillGenerations appends until the store has n generations, and returns the last index.
func fillGenerations(t *testing.T, s *Store, from, term uint64, n int) (last uint64) {
	t.Helper()
	for last = from - 1; len(s.generations()) < n; last++ {
		require.NoError(t, s.StoreLog(testLog(last+1, term, generationEntryBytes)))
	}
	return last
}

func requireEntries(t *testing.T, s *Store, first, last uint64, term func(uint64) uint64) {
	t.Helper()
	requireRange(t, s, first, last)
	for i := first; i <= last && i > 0; i++ {
		var got raft.Log
		require.NoError(t, s.GetLog(i, &got))
		requireSame(t, testLog(i, term(i), len(got.Data)), &got)
	}
}

func constant(n uint64) func(uint64) uint64 { return func(uint64) uint64 { return n } }

// killedCopy is what a kill at this moment leaves. A copy takes a while, in which no
// generation may settle and Badger may write no table of a full memtable: it would have
// the list of files from before and of tables from after.
func killedCopy(t *testing.T, s *Store) string {
	t.Helper()
	for _, g := range s.generations() {
		g.ending.Lock()
		defer g.ending.Unlock()
		require.Eventually(t, func() bool { return !awaitsTable(g) }, 20*time.Second, time.Millisecond)
	}
	to := filepath.Join(t.TempDir(), "killed")
	for deadline := time.Now().Add(20 * time.Second); ; {
		err := copyTree(s.dir, to)
		if err == nil {
			return to
		}
		require.ErrorIs(t, err, os.ErrNotExist) // one is deleted, or the next is begun, meanwhile
		require.True(t, time.Now().Before(deadline))
		require.NoError(t, os.RemoveAll(to))
	}
}

// awaitsTable tells whether Badger still has the write-ahead file of a memtable beside that of the one it writes to. One that
// may write no table keeps them all.
func awaitsTable(g *generation) bool {
	if g.db == nil || g.rests {
		return false
	}
	files, err := filesWith(g.path, ".mem")
	return err != nil || len(files) > 1
}

func requireGenerations(t *testing.T, dir string, want ...uint64) {
	t.Helper()
	require.Eventually(t, func() bool {
		got, err := generationNumbers(dir)
		return err == nil && fmt.Sprint(got) == fmt.Sprint(want)
	}, 20*time.Second, time.Millisecond, "generations %v", want)
}

func TestALogOfSeveralGenerationsSurvivesAKillAndAClose(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	require.NoError(t, s.SetUint64([]byte("CurrentTerm"), 1))
	last := fillGenerations(t, s, 1, 1, 4)
	requireEntries(t, s, 1, last, constant(1))
	killed := killedCopy(t, s)
	require.NoError(t, s.Close())
	for _, dir := range []string{dir, killed} {
		s := openStore(t, dir)
		requireEntries(t, s, 1, last, constant(1))
		term, err := s.GetUint64([]byte("CurrentTerm"))
		require.NoError(t, err)
		require.EqualValues(t, 1, term)
		require.NoError(t, s.StoreLogs(testLogs(last+1, last+20, 1, generationEntryBytes)))
		killed := killedCopy(t, s)
		require.NoError(t, s.Close())
		requireEntries(t, openStore(t, killed), 1, last+20, constant(1))
	}
}

func TestGenerationsBelowTheHeadAreDeleted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	last := fillGenerations(t, s, 1, 1, 4)
	lowest := s.generations()[2].lowest.Load()
	before := killedCopy(t, s)
	require.NoError(t, s.DeleteRange(1, lowest)) // an entry of the third goes, the others stay
	requireGenerations(t, dir, 3, 4)
	requireEntries(t, s, lowest+1, last, constant(1))
	killed := killedCopy(t, s)
	require.NoError(t, s.Close())

	// A server that was killed before it had deleted them does so at its next start, whatever is left of them.
	copyDir(t, generationPath(before, 1), generationPath(killed, 1))
	require.NoError(t, os.MkdirAll(generationPath(killed, 2), 0o700))
	s = openStore(t, killed)
	requireGenerations(t, killed, 3, 4)
	requireEntries(t, s, lowest+1, last, constant(1))
	require.NoError(t, s.DeleteRange(1, last))
	requireRange(t, s, 0, 0)
	requireGenerations(t, killed, 4)
}

func TestAnEntryCountsAsTheNewestGenerationHasIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	fillGenerations(t, s, 1, 1, 3)
	require.NoError(t, s.DeleteRange(20, 1_000_000)) // of the first generation
	last := fillGenerations(t, s, 20, 2, 5)
	require.NoError(t, s.DeleteRange(40, 1_000_000))
	require.NoError(t, s.StoreLogs(testLogs(40, last+10, 3, 100)))
	term := func(i uint64) uint64 {
		switch {
		case i < 20:
			return 1
		case i < 40:
			return 2
		}
		return 3
	}
	requireEntries(t, s, 1, last+10, term)
	killed := killedCopy(t, s)
	require.NoError(t, s.Close())
	for _, dir := range []string{dir, killed} {
		s := openStore(t, dir)
		requireEntries(t, s, 1, last+10, term)
		require.NoError(t, s.DeleteRange(1, 30))
		requireEntries(t, s, 31, last+10, term)
	}
}

// Killed at any point of a rotation, the server has what was acknowledged before it.
func TestAKillWithinARotationLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	require.NoError(t, s.SetUint64([]byte("CurrentTerm"), 7))
	type moment struct {
		dir  string
		last uint64
	}
	var moments []moment
	last := uint64(0)
	s.mu.Lock()
	s.beforeCommit = func() error {
		if g := s.newest(); g.number > 1 && g.used.Load() == 0 {
			moments = append(moments, moment{killedCopy(t, s), last})
		}
		return nil
	}
	s.mu.Unlock()
	for ; len(s.generations()) < 4; last++ {
		require.NoError(t, s.StoreLog(testLog(last+1, 1, generationEntryBytes)))
	}
	require.NoError(t, s.Close())
	require.Len(t, moments, 3)
	for _, m := range moments {
		s := openStore(t, m.dir)
		requireEntries(t, s, 1, m.last, constant(1))
		term, err := s.GetUint64([]byte("CurrentTerm"))
		require.NoError(t, err)
		require.EqualValues(t, 7, term)
		require.NoError(t, s.StoreLog(testLog(m.last+1, 2, 10)))
	}
}

func TestAGenerationIsMadeAheadAndNothingOfItStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	last := uint64(0)
	for s.newest().used.Load() <= testMemTable*latestSparePercent/100+generationEntryBytes {
		last++
		require.NoError(t, s.StoreLog(testLog(last, 1, generationEntryBytes)))
	}
	require.NoError(t, s.StoreLog(testLog(last+1, 1, 10)))
	requireGenerations(t, dir, 1, 2)
	require.Len(t, s.generations(), 1)
	killed := killedCopy(t, s)
	require.NoError(t, s.Close())
	requireGenerations(t, dir, 1)
	requireEntries(t, openStore(t, killed), 1, last+1, constant(1))
	requireGenerations(t, killed, 1)
}

func TestAMissingGenerationIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	last := fillGenerations(t, s, 1, 1, 4)
	killed := killedCopy(t, s)
	require.NoError(t, s.Close())
	for _, from := range []string{dir, killed} {
		for n := uint64(1); n <= 4; n++ {
			work := freshCopy(t, from)
			gone := generationPath(work, n)
			require.NoError(t, os.RemoveAll(gone))
			_, err := Open(testOptions(work))
			require.Error(t, err)
			if n == 4 { // nothing tells of it but the guard
				require.ErrorIs(t, err, ErrBehindGuard)
			} else {
				require.ErrorIs(t, err, ErrCorrupt)
				require.ErrorContains(t, err, gone+": this generation of the log is missing")
			}
			requireNoOther(t, work, last)
		}
	}
}

// requireNoOther: a refusal is for good.
func requireNoOther(t *testing.T, dir string, last uint64) {
	t.Helper()
	s, err := Open(testOptions(dir))
	if err == nil {
		got, _ := s.LastIndex()
		_ = s.Close()
		t.Fatalf("opened at the second attempt, up to %d of %d", got, last)
	}
}

func TestCorruptionMatrixOfSealedGenerations(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	last := fillGenerations(t, s, 1, 1, 3)
	killed := killedCopy(t, s)
	require.NoError(t, s.Close())
	for name, from := range map[string]string{"killed": killed, "closed": dir} {
		for _, n := range []uint64{1, 2} {
			files, err := filepath.Glob(filepath.Join(generationPath(from, n), "*.[ms][es][mt]"))
			require.NoError(t, err)
			require.NotEmpty(t, files)
			for _, file := range append(files, filepath.Join(generationPath(from, n), badger.ManifestFilename)) {
				for _, d := range damages {
					for _, p := range places {
						if d.placeless && p.name != "head" {
							continue
						}
						rel, err := filepath.Rel(from, file)
						require.NoError(t, err)
						t.Run(fmt.Sprintf("%s/%s/%s/%s", name, rel, d.name, p.name), func(t *testing.T) {
							t.Parallel()
							work := freshCopy(t, from)
							path := filepath.Join(work, rel)
							d.do(t, path, usedBytes(t, path), p.where)
							requireVerdict(t, work, refuse, last)
						})
					}
				}
			}
		}
	}
}

func TestARefusalOfADamagedSealedFileLeavesItAsItIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	fillGenerations(t, s, 1, 1, 3)
	killed := killedCopy(t, s)
	require.NoError(t, s.Close())
	files, err := filepath.Glob(filepath.Join(generationPath(killed, 1), "*.mem"))
	require.NoError(t, err)
	patch(t, files[0], usedBytes(t, files[0])/2, func(b []byte) { b[0] ^= 1 }, 1)
	before := listing(t, generationPath(killed, 1))
	_, err = Open(testOptions(killed))
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, files[0])
	require.Equal(t, before, listing(t, generationPath(killed, 1)), "the evidence was touched")
}

func TestASettledGenerationIsReadAsBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	require.NoError(t, s.StoreLog(testLog(1, 1, 10)))
	require.NoError(t, s.Close())
	s = openStore(t, dir) // the first generation has a table now, so that its file is not all of it
	last := fillGenerations(t, s, 2, 1, 4)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	failed := make(chan error, 4)
	for range 4 {
		readers.Go(func() {
			for i := uint64(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := s.GetLog(i%last+1, new(raft.Log)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	for _, g := range s.generations()[:3] {
		s.settle(g)
		require.NoError(t, s.Err())
		wals, err := filepath.Glob(filepath.Join(g.path, "*.mem"))
		require.NoError(t, err)
		require.Len(t, wals, 1)
	}
	close(stop)
	readers.Wait()
	require.Empty(t, failed)
	requireEntries(t, s, 1, last, constant(1))
	killed := killedCopy(t, s)
	require.NoError(t, s.DeleteRange(1, last-1))
	requireGenerations(t, dir, 4)
	require.NoError(t, s.Close())
	requireEntries(t, openStore(t, killed), 1, last, constant(1))
}

func TestASealedGenerationOfBeforeIsReadFromItsFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	last := fillGenerations(t, s, 1, 1, 3)
	require.NoError(t, s.DeleteRange(last-5, last)) // of the second, which keeps them
	require.NoError(t, s.StoreLogs(testLogs(last-5, last, 2, 100)))
	s = openStore(t, killedCopy(t, s))
	for _, g := range s.generations()[:2] {
		require.NotNil(t, g.file)
	}
	require.Empty(t, s.unsettled())
	term := func(i uint64) uint64 {
		if i < last-5 {
			return 1
		}
		return 2
	}
	requireEntries(t, s, 1, last, term)
	require.NoError(t, s.DeleteRange(1, last-1))
	requireGenerations(t, s.dir, 3)
	requireEntries(t, s, last, last, term)
}

// Whatever is read later is checked as if Badger had it.
func TestDamageOfAFileThatIsReadByPositionIsFound(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	fillGenerations(t, s, 1, 1, 3)
	g := s.generations()[1]
	s.settle(g)
	require.NotNil(t, g.file)
	index := g.lowest.Load()
	require.NoError(t, s.GetLog(index, new(raft.Log)))
	patch(t, g.file.file.Name(), int64(g.file.pieces[0].at+g.file.pieces[0].len/2), func(b []byte) { b[0] ^= 1 }, 1)
	require.ErrorIs(t, s.GetLog(index, new(raft.Log)), ErrCorrupt)
	require.ErrorIs(t, s.Err(), ErrCorrupt)
}

func TestNothingOfAFileIsTouchedWhenBadgerLetsGoOfIt(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	fillGenerations(t, s, 1, 1, 2)
	g := s.generations()[0]
	path := filepath.Join(g.path, "00001.mem")
	read := func() []byte {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		return b
	}
	before := read()
	s.settle(g)
	require.NoError(t, s.Err())
	require.NotNil(t, g.file)
	require.True(t, bytes.Equal(before, read()))
}

func TestTheHousekeeperTakesSealedGenerationsOutOfMemory(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	last := fillGenerations(t, s, 1, 1, 4)
	require.Eventually(t, func() bool { return len(s.unsettled()) == 0 }, 20*time.Second, 5*time.Millisecond)
	requireEntries(t, s, 1, last, constant(1))
	tables, err := filepath.Glob(filepath.Join(s.dir, "*", "*.sst"))
	require.NoError(t, err)
	require.Empty(t, tables, "what was written to one file was copied")
}

func TestTheTransactionThatFillsAGenerationIsWrittenWhole(t *testing.T) {
	t.Parallel()
	for name, bytes := range map[string]int{"of few large entries": generationEntryBytes, "of very many small ones": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, t.TempDir())
			last := uint64(0)
			for ; s.newest().used.Load()+2*generationEntryBytes < testMemTable; last++ {
				require.NoError(t, s.StoreLog(testLog(last+1, 1, generationEntryBytes)))
			}
			syncs := s.Stats().Syncs
			size := recordLen(testLog(last+1, 1, bytes)) + entryKeyLen + txnEntryOverheadBytes
			var largest []*raft.Log
			for range min(s.txnMax/size, s.txnMax/txnBytesPerEntry) - 4 {
				largest = append(largest, testLog(last+uint64(len(largest))+1, 1, bytes))
			}
			require.NoError(t, s.StoreLogs(largest))
			require.EqualValues(t, syncs+1, s.Stats().Syncs)
			require.Greater(t, s.newest().used.Load(), int64(testMemTable))
			last += uint64(len(largest)) + 1
			killed := killedCopy(t, s)
			require.NoError(t, s.StoreLog(testLog(last, 1, 10)))
			require.Len(t, s.generations(), 2)
			require.Eventually(t, func() bool { return len(s.unsettled()) == 0 }, 20*time.Second, 5*time.Millisecond)
			requireEntries(t, s, 1, last, constant(1))
			tables, err := filepath.Glob(filepath.Join(s.dir, "*", "*.sst"))
			require.NoError(t, err)
			require.Empty(t, tables)
			requireEntries(t, openStore(t, killed), 1, last-1, constant(1))
		})
	}
}

func TestAnOversizeRecordLiesInOneGeneration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	last := uint64(0)
	for s.newest().used.Load() < testMemTable*98/100 {
		last++
		require.NoError(t, s.StoreLog(testLog(last, 1, generationEntryBytes)))
	}
	require.NoError(t, s.StoreLogs([]*raft.Log{testLog(last+1, 1, 3<<20), testLog(last+2, 1, 3<<20), testLog(last+3, 1, 10)}))
	require.Greater(t, len(s.generations()), 1)
	killed := killedCopy(t, s)
	requireEntries(t, s, 1, last+3, constant(1))
	require.NoError(t, s.Close())
	requireEntries(t, openStore(t, killed), 1, last+3, constant(1))
}

func TestManyStartsBeginANewGeneration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := uint64(1); i <= tablesBeforeRotation+1; i++ {
		s := openStore(t, dir)
		require.NoError(t, s.StoreLog(testLog(i, 1, 100)))
		require.NoError(t, s.Close())
	}
	requireGenerations(t, dir, 1, 2)
	requireEntries(t, openStore(t, dir), 1, tablesBeforeRotation+1, constant(1))
}

func TestAFailedRotationPoisons(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	boom := errors.New("boom")
	s.mu.Lock()
	s.beforeCommit = func() error {
		if s.newest().number > 1 {
			return boom
		}
		return nil
	}
	s.mu.Unlock()
	var err error
	for i := uint64(1); err == nil; i++ {
		err = s.StoreLog(testLog(i, 1, generationEntryBytes))
	}
	require.ErrorIs(t, err, boom)
	require.ErrorIs(t, s.Err(), boom)
	require.ErrorIs(t, s.Close(), boom)
}

// writeFirstVersion makes a store as version 1 did: one directory, and a state that knows of no other.
func writeFirstVersion(t *testing.T, dir string, logs []*raft.Log) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o700))
	f := format{version: formatVersionFirst, phase: phaseReady, id: newStoreID()}
	require.NoError(t, writeFormat(dir, f))
	g, err := openGeneration(0, engineOptions(generationPath(dir, 0), testMemTable, &engineLog{to: testLogger(t)}), openBegun)
	require.NoError(t, err)
	stable := map[string][]byte{"CurrentTerm": {0, 0, 0, 0, 0, 0, 0, 1}}
	v := state{id: f.id, seq: 1, term: 1, stableSum: sumStable(stable)}
	var b batch
	for _, l := range logs {
		b.addRecord(l, &v, chunkBytes(testMemTable))
	}
	b.add([]byte{tagState}, v.encodeAs(stateVersionFirst))
	for key, value := range stable {
		b.add(stableKey([]byte(key)), encodeStable([]byte(key), value))
	}
	b.add([]byte{tagPurge}, make([]byte, 8))
	txn := g.db.NewTransactionAt(1, true)
	for i := range b.entries {
		require.NoError(t, txn.SetEntry(&b.entries[i]))
	}
	require.NoError(t, txn.CommitAt(2, nil))
	tail, err := openGuard(dir, &v)
	require.NoError(t, err)
	require.NoError(t, tail.file.Close())
	require.NoError(t, g.close())
}

func TestAStoreOfTheFirstVersionOpensAndGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFirstVersion(t, dir, testLogs(3, 50, 1, 1000))
	s := openStore(t, dir)
	requireEntries(t, s, 3, 50, constant(1))
	require.True(t, s.FirstVersion())
	require.NoError(t, s.Modernize())
	require.NoError(t, s.Modernize())
	require.False(t, s.FirstVersion())
	requireGenerations(t, dir, 0, 1)
	f, _, err := readFormat(dir)
	require.NoError(t, err)
	require.Equal(t, formatVersion, f.version, "an earlier program would find less than there is")
	require.NoError(t, s.StoreLogs(testLogs(51, 60, 2, 1000)))
	killed := killedCopy(t, s)
	require.NoError(t, s.Close())
	s = openStore(t, killed)
	requireEntries(t, s, 3, 60, func(i uint64) uint64 { return 1 + (i-1)/50 })
	require.NoError(t, s.DeleteRange(1, 50))
	requireGenerations(t, killed, 1)
	requireEntries(t, s, 51, 60, constant(2))
}

// Until it is told otherwise, the store stays one that an earlier program can open.
func TestAStoreOfTheFirstVersionStaysOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFirstVersion(t, dir, testLogs(3, 50, 1, 1000))
	last := uint64(50)
	for round := range 3 {
		s := openStore(t, dir)
		require.NoError(t, s.StoreLogs(testLogs(last+1, last+400, 1, generationEntryBytes))) // more than a memtable
		last += 400
		require.NoError(t, s.DeleteRange(last-10, last))
		last -= 11
		require.NoError(t, s.DeleteRange(1, last-100))
		require.NoError(t, s.SetUint64([]byte("CurrentTerm"), uint64(round)+2))
		require.NoError(t, s.Close())
		requireGenerations(t, dir, 0)
		f, _, err := readFormat(dir)
		require.NoError(t, err)
		require.Equal(t, formatVersionFirst, f.version)
		p, err := runPreflight(generationPath(dir, 0))
		require.NoError(t, err)
		require.EqualValues(t, last, p.newest.last)
		require.Len(t, p.newest.encodeAs(stateVersionFirst), stateLenFirst)
	}
	s := openStore(t, dir)
	requireEntries(t, s, last-99, last, constant(1))
	require.NoError(t, s.Modernize())
	require.NoError(t, s.StoreLogs(testLogs(last+1, last+10, 1, 10)))
	requireEntries(t, s, last-99, last+10, constant(1))
}

func TestAnUpgradeThatIsKilledIsDoneAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFirstVersion(t, dir, testLogs(3, 50, 1, 1000))
	s := openStore(t, dir)
	var killed string
	s.mu.Lock()
	s.beforeCommit = func() error {
		killed = killedCopy(t, s)
		return nil
	}
	s.mu.Unlock()
	require.NoError(t, s.Modernize())
	s = openStore(t, killed)
	require.False(t, s.FirstVersion())
	requireEntries(t, s, 3, 50, constant(1))
	require.NoError(t, s.StoreLogs(testLogs(51, 400, 1, generationEntryBytes)))
	requireEntries(t, s, 3, 400, constant(1))
}
