package raftlog

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/require"
)

func TestTheCollectorIsGivenTimeWhereItWouldHurry(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, c := range []struct {
		name                         string
		scanned, live, goal, objects uint64
		size                         int64
		want                         bool
	}{
		{"there is room until it begins", 400 * mib, 600 * mib, 900 * mib, 700 * mib, 45 * mib, false},
		{"it would begin with little room left", 400 * mib, 600 * mib, 900 * mib, 800 * mib, 45 * mib, true},
		{"it is at work", 400 * mib, 600 * mib, 900 * mib, 880 * mib, 45 * mib, true},
		{"the goal is passed", 400 * mib, 600 * mib, 900 * mib, 950 * mib, 45 * mib, true},
		{"it is done too soon to be in the way", 10 * mib, 600 * mib, 900 * mib, 880 * mib, 45 * mib, false},
		{"no collection was made yet", 0, 0, 4 * mib, 3 * mib, 45 * mib, false},
		{"the goal is what lives", 400 * mib, 600 * mib, 600 * mib, 600 * mib, 45 * mib, false},
	} {
		require.Equal(t, c.want, heap{c.scanned, c.live, c.goal, c.objects}.hurries(c.size), c.name)
	}
	h := readHeap()
	require.NotZero(t, h.goal)
	require.NotZero(t, h.objects)
}

func TestTheCollectorIsAskedBeforeATableIsWritten(t *testing.T) {
	t.Parallel()
	const memTable = 1 << 20
	var mu sync.Mutex
	asked := map[int64]int{}
	o := Options{Dir: t.TempDir(), memTableBytes: memTable, collect: func(bytes int64) {
		mu.Lock()
		defer mu.Unlock()
		asked[bytes]++
	}}
	s, err := Open(o)
	require.NoError(t, err)
	require.NoError(t, s.StoreLog(testLog(1, 1, 10)))
	require.NoError(t, s.Close()) // leaves a table: without one nothing of size is needed to settle
	s, err = Open(o)
	require.NoError(t, err)
	defer s.Close()
	times := func(percent int64) int {
		mu.Lock()
		defer mu.Unlock()
		return asked[memTable*percent/100]
	}
	for last := uint64(2); len(s.generations()) == 1; last++ {
		require.NoError(t, s.StoreLog(testLog(last, 1, generationEntryBytes)))
	}
	before := times(settlePercent)
	s.settle(s.generations()[0])
	require.Greater(t, times(settlePercent), before)
}

func TestTheServersOfAClusterMakeTheirGenerationsApart(t *testing.T) {
	t.Parallel()
	points := map[int64]bool{}
	for range 100 {
		point := sparePoint()
		require.GreaterOrEqual(t, point, int64(earliestSparePercent))
		require.LessOrEqual(t, point, int64(latestSparePercent))
		points[point] = true
	}
	require.Greater(t, len(points), 1)
	s := openStore(t, t.TempDir())
	g := s.newest()
	g.used.Store(s.opt.memTableBytes * g.spareAt / 100)
	require.False(t, s.wantsNext(g))
	g.used.Add(1)
	require.True(t, s.wantsNext(g))
}

func TestNobodyIsCalledToMakeAGenerationThatIsThere(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	s.newest().used.Store(s.opt.memTableBytes * (latestSparePercent + 1) / 100)
	s.makeSpare()
	s.making.Lock() // the housekeeper, if he is called, is held up here, and the next call stays
	defer s.making.Unlock()
	require.NotNil(t, s.spare.Load())
	for len(s.work) > 0 { // he was called when the store was opened
		runtime.Gosched()
	}
	for i := uint64(1); i <= 20; i++ {
		require.NoError(t, s.StoreLog(testLog(i, 1, 10)))
	}
	require.True(t, s.wantsNext(s.newest()))
	require.Empty(t, s.work)
	s.newest().used.Store(0)
}

func TestThatTheNextGenerationCannotBeMadeIsSaidOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	o := testOptions(t.TempDir())
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := Open(o)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "no directory")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	tryIn := func(dir string) {
		s.making.Lock()
		s.dir = dir
		s.spare.Store(nil)
		s.newest().used.Store(s.opt.memTableBytes)
		s.making.Unlock()
		s.makeSpare()
	}
	told := func() int {
		s.making.Lock() // the housekeeper may be at it
		defer s.making.Unlock()
		return strings.Count(log.String(), "cannot begin the next generation")
	}
	tryIn(file)
	tryIn(file)
	require.Equal(t, 1, told())
	tryIn(o.Dir)
	require.NotNil(t, s.spare.Load())
	require.NoError(t, s.spare.Load().close())
	tryIn(file)
	require.Equal(t, 2, told(), "it could be in between")
	require.NoError(t, s.Close())
}

func TestAGenerationIsDeletedInPiecesOnceNobodyReadsIt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.1")
	g, err := openGeneration(1, engineOptions(path, 2*removePieceBytes, nil), openEmpty)
	require.NoError(t, err)
	pieces := 0
	require.NoError(t, g.discard(func() error {
		pieces++
		require.ErrorIs(t, g.read(1, nil), badger.ErrKeyNotFound)
		return nil
	}))
	require.Greater(t, pieces, 1)
	require.NoDirExists(t, path)
	require.NoError(t, g.discard(nil), "it is gone")
}
