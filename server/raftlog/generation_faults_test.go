package raftlog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// Badger shows a deletion before it is durable: a reader must then find neither a hole nor what an older generation
// once had at that index.
func TestAReaderNeverMeetsWhatACutTookBack(t *testing.T) {
	t.Parallel()
	for name, generations := range map[string]int{"in the generation that is written to": 1, "in an older one": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const index = 20
			s := openStore(t, t.TempDir())
			last := uint64(index + 5)
			require.NoError(t, s.StoreLogs(testLogs(1, last, 1, generationEntryBytes)))
			if generations > 1 {
				fillGenerations(t, s, last+1, 1, generations)
			}
			require.NoError(t, s.DeleteRange(index, 1_000_000))
			require.NoError(t, s.StoreLogs(testLogs(index, last, 2, 100)))
			end, ended := make(chan struct{}), make(chan error)
			go func() {
				var newest uint64
				for {
					select {
					case <-end:
						ended <- nil
						return
					default:
					}
					var got raft.Log
					err := s.GetLog(index, &got)
					if errors.Is(err, raft.ErrLogNotFound) {
						continue
					}
					if err != nil || got.Term < newest || got.Term < 2 {
						ended <- fmt.Errorf("term %d after %d: %w", got.Term, newest, err)
						<-end
						return
					}
					newest = got.Term
				}
			}()
			for term := uint64(3); term < 150; term++ {
				require.NoError(t, s.DeleteRange(index, 1_000_000))
				require.NoError(t, s.StoreLogs(testLogs(index, last, term, 100)))
			}
			select {
			case err := <-ended:
				close(end)
				require.NoError(t, err)
			case end <- struct{}{}:
				require.NoError(t, <-ended)
			}
			require.NoError(t, s.Err())
		})
	}
}

func TestATableThatCannotBeWrittenPoisons(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	told := make(chan error, 1)
	o := testOptions(dir)
	o.Fatal = func(err error) { told <- err }
	first := openStore(t, dir)
	require.NoError(t, first.StoreLog(testLog(1, 1, 10)))
	require.NoError(t, first.Close()) // leaves a table, so that what comes now must get into one, too
	s, err := Open(o)
	require.NoError(t, err)
	fillGenerations(t, s, 2, 1, 2)
	g := s.generations()[0]
	for n := range 20 { // the names that Badger would give it
		require.NoError(t, os.MkdirAll(filepath.Join(g.path, fmt.Sprintf("%06d.sst", n+2)), 0o700))
	}
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		s.settle(g)
	}()
	require.ErrorContains(t, <-told, "error flushing memtable")
	require.Error(t, s.StoreLog(testLog(1, 1, 10)))
	require.ErrorContains(t, s.Close(), "error flushing memtable", "though Badger tries for ever")
	// It tries in vain, maybe just now, but its directory is made again for it.
	require.Eventually(t, func() bool { return os.RemoveAll(g.path) == nil }, 20*time.Second, time.Millisecond)
	require.NoError(t, os.MkdirAll(g.path, 0o700))
	<-settled
}

func TestALostGenerationIsNoReasonToReadAnOlderOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	fillGenerations(t, s, 1, 1, 2)
	require.NoError(t, s.DeleteRange(20, 1_000_000)) // of the first generation, which keeps them
	require.NoError(t, s.StoreLogs(testLogs(20, 25, 2, 100)))
	require.NoError(t, s.Close())
	s = openStore(t, dir) // the second has a table now, and settles through Badger
	fillGenerations(t, s, 26, 2, 3)
	g := s.generations()[1]
	var got raft.Log
	require.NoError(t, s.GetLog(20, &got))
	require.EqualValues(t, 2, got.Term)
	manifest := filepath.Join(g.path, badger.ManifestFilename)
	require.NoError(t, os.Remove(manifest))
	require.NoError(t, os.Mkdir(manifest, 0o700))
	require.Error(t, g.settle(s.engineLog()))
	require.NoError(t, s.Err(), "readers that waited for it come before anybody poisons the store")
	require.ErrorIs(t, s.GetLog(20, &got), ErrCorrupt)
	require.ErrorIs(t, s.Err(), ErrCorrupt)
}

// The value log is memory: what came there would be lost.
func TestAValueForTheValueLogIsRefused(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batch.reset()
	s.batch.add(entryKey(1, 0), make([]byte, valueThreshold(testMemTable)))
	require.ErrorContains(t, s.commitRaw(), "would go to the value log")
}

func TestADirectoryMayHaveAnyName(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "node[1]*?")
	s := openStore(t, dir)
	last := fillGenerations(t, s, 1, 1, 3)
	killed := filepath.Join(t.TempDir(), "[")
	copyDir(t, killedCopy(t, s), killed)
	require.NoError(t, s.Close())
	for _, dir := range []string{dir, killed} {
		s := openStore(t, dir)
		requireEntries(t, s, 1, last, constant(1))
		require.NoError(t, s.Close())
		require.NoError(t, os.Remove(filepath.Join(dir, formatFile)))
		require.NoError(t, os.Remove(filepath.Join(dir, guardFile)))
		_, err := Open(testOptions(dir))
		require.ErrorIs(t, err, ErrCorrupt)
		require.ErrorContains(t, err, "log.1 exists")
	}
}

func TestASettledGenerationIsForThisUserAlone(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	fillGenerations(t, s, 1, 1, 2)
	g := s.generations()[0]
	s.settle(g)
	require.NoError(t, s.Err())
	entries, err := os.ReadDir(g.path)
	require.NoError(t, err)
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), e.Name())
	}
}

// Stable values that no one transaction holds, and a failure between two of them.
func TestARotationOfManyTransactionsFailsAndIsForgotten(t *testing.T) {
	t.Parallel()
	o := Options{Dir: t.TempDir(), memTableBytes: 1 << 20}
	s, err := Open(o)
	require.NoError(t, err)
	for i := range 4 {
		require.NoError(t, s.Set([]byte{byte(i)}, make([]byte, maxStableValueBytes)))
	}
	boom, commits := errors.New("boom"), 0
	s.mu.Lock()
	s.beforeCommit = func() error {
		if s.newest().number > 1 {
			commits++
		}
		if commits > 1 {
			return boom
		}
		return nil
	}
	s.mu.Unlock()
	last := uint64(0)
	for ; err == nil; last++ {
		err = s.StoreLog(testLog(last+1, 1, generationEntryBytes))
	}
	last--
	require.ErrorIs(t, err, boom)
	require.ErrorIs(t, s.Close(), boom)
	s, err = Open(o)
	require.NoError(t, err)
	requireEntries(t, s, 1, last, constant(1))
	require.NoError(t, s.Close())
}

func TestAStateThatBeginsBehindItselfIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	s.mu.Lock()
	next := *s.view.Load()
	next.oldest = 5
	s.batch.reset()
	require.NoError(t, s.commit(&next))
	s.mu.Unlock()
	require.NoError(t, s.Close())
	for range 2 {
		_, err := Open(testOptions(dir))
		require.ErrorIs(t, err, ErrCorrupt)
		require.DirExists(t, generationPath(dir, 1))
	}
}

// A writer that begins generations faster than their tables are written waits, and is not held for good.
func TestAWriterWaitsForTheSettlingOfACrowd(t *testing.T) {
	t.Parallel()
	s, err := Open(Options{Dir: t.TempDir(), memTableBytes: 1 << 20})
	require.NoError(t, err)
	defer s.Close()
	last := uint64(0)
	for len(s.generations()) < 2*maxCrowd {
		last++
		require.NoError(t, s.StoreLog(testLog(last, 1, 10*generationEntryBytes)))
		require.LessOrEqual(t, len(s.unsettled()), maxCrowd)
	}
	requireRange(t, s, 1, last)
	require.Equal(t, len(s.generations()), s.Stats().Generations)
}

// Appends, cuts at both ends, settling, restarts and kills, beside a map of what must be there.
func TestGenerationsAgainstAModel(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	m := &generationModel{t: t, r: rand.New(rand.NewPCG(seed, 0)), dir: filepath.Join(t.TempDir(), "s"), terms: map[uint64]uint64{}}
	m.open()
	for m.term = 1; m.term <= 250; m.term++ {
		m.step()
	}
	m.check()
	require.NoError(t, m.s.Close())
	report, err := Verify(m.dir)
	require.NoError(t, err)
	require.Empty(t, report.Problems)
}

type generationModel struct {
	t           *testing.T
	r           *rand.Rand
	dir         string
	s           *Store
	first, last uint64
	term        uint64
	terms       map[uint64]uint64
}

func (m *generationModel) open() {
	var err error
	m.s, err = Open(Options{Dir: m.dir, memTableBytes: 1 << 20})
	require.NoError(m.t, err)
}

func (m *generationModel) step() {
	t, s, r := m.t, m.s, m.r
	switch op := r.IntN(100); {
	case op < 55 || m.last == 0 || m.last == m.first:
		m.append()
	case op < 72:
		from := max(m.first+1, m.last-min(m.last-1, r.Uint64N(60)))
		require.NoError(t, s.DeleteRange(from, m.last))
		m.last = from - 1
	case op < 80:
		to := m.first + r.Uint64N(m.last-m.first)
		require.NoError(t, s.DeleteRange(1, to))
		m.first = to + 1
	case op < 82:
		require.NoError(t, s.DeleteRange(1, m.last))
		m.first, m.last = 0, 0
	case op < 88:
		if sealed := s.unsettled(); len(sealed) > 0 {
			s.settle(sealed[r.IntN(len(sealed))])
		}
		require.NoError(t, s.Err())
	case op < 94:
		require.NoError(t, s.Close())
		m.open()
		m.check()
	default:
		m.kill()
		m.check()
	}
}

func (m *generationModel) append() {
	from := m.last + 1
	if m.last == 0 {
		from = 1 + m.r.Uint64N(500)
		m.first = from
	}
	size := m.r.IntN(20 << 10)
	if m.r.IntN(40) == 0 {
		size = m.r.IntN(2 << 20)
	}
	m.last = from + m.r.Uint64N(20)
	require.NoError(m.t, m.s.StoreLogs(testLogs(from, m.last, m.term, size)))
	for i := from; i <= m.last; i++ {
		m.terms[i] = m.term
	}
}

// kill goes on with what a kill at this moment would leave.
func (m *generationModel) kill() {
	m.s.mu.Lock()
	to := killedCopy(m.t, m.s)
	m.s.mu.Unlock()
	require.NoError(m.t, m.s.Close())
	require.NoError(m.t, os.RemoveAll(m.dir))
	m.dir = to
	m.open()
}

func (m *generationModel) check() {
	requireEntries(m.t, m.s, m.first, m.last, func(i uint64) uint64 { return m.terms[i] })
}

// Whatever part of a table a full disk took, the process would end in a fault.
func TestAStoreWhoseDiskIsFullLeavesNoTable(t *testing.T) {
	t.Parallel()
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		dir := t.TempDir()
		s := openStore(t, dir)
		require.NoError(t, s.StoreLogs(testLogs(1, 10, 1, 100)))
		s.beforeCommit = func() error { return full }
		require.ErrorIs(t, s.StoreLog(testLog(11, 1, 100)), full)
		require.ErrorIs(t, s.Close(), full)
		tables, err := filesWith(generationPath(dir, 1), ".sst")
		require.NoError(t, err)
		require.Empty(t, tables)
		requireRange(t, openStore(t, dir), 1, 10)
	}
}
