package raftlog

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The file tells what counts by itself: the last write to each key, unless that took it back.
func TestAFileSaysWhatBadgerDoes(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(t *testing.T, s *Store){
		"nothing":            func(*testing.T, *Store) {},
		"entries":            func(t *testing.T, s *Store) { require.NoError(t, s.StoreLogs(testLogs(3, 20, 1, 100))) },
		"an entry in pieces": func(t *testing.T, s *Store) { require.NoError(t, s.StoreLogs(testLogs(3, 5, 1, 700<<10))) },
		"a tail taken back": func(t *testing.T, s *Store) {
			require.NoError(t, s.StoreLogs(testLogs(3, 20, 1, 100)))
			require.NoError(t, s.DeleteRange(10, 20))
		},
		"a tail taken back and written anew, shorter": func(t *testing.T, s *Store) {
			require.NoError(t, s.StoreLogs(testLogs(3, 6, 1, 300<<10)))
			require.NoError(t, s.DeleteRange(4, 6))
			require.NoError(t, s.StoreLogs(testLogs(4, 5, 2, 10)))
		},
		"all taken back, and others": func(t *testing.T, s *Store) {
			require.NoError(t, s.StoreLogs(testLogs(3, 20, 1, 100)))
			require.NoError(t, s.DeleteRange(1, 20))
			require.NoError(t, s.StoreLogs(testLogs(50, 60, 1, 100)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, t.TempDir())
			write(t, s)
			g := s.newest()
			file, err := openWALFile(filepath.Join(g.path, "00001.mem"), 0)
			require.NoError(t, err)
			defer file.close()
			require.True(t, file.agrees(g.db))
			if g.ahead.file != nil {
				require.Equal(t, file.pieces, lastPieces(g.ahead.pieces), "and so does what was noted while it was written")
			}
			require.Equal(t, g.firstIndex(), file.firstIndex())
			first, last := s.view.Load().first, s.view.Load().last
			for i := first; i <= last && i > 0; i++ {
				var want, got recordHeader
				require.NoError(t, g.read(i, func(h *recordHeader, _ []byte) { want = *h }))
				require.NoError(t, file.read(i, func(h *recordHeader, _ []byte) { got = *h }))
				require.Equal(t, want, got)
			}
			if last > 0 { // it has not what comes later
				require.NoError(t, s.StoreLog(testLog(last+1, 3, 10)))
				require.False(t, file.agrees(g.db))
			}
		})
	}
}

func TestWhatWasNotedOfAFileIsOfNoOther(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	require.NoError(t, s.StoreLogs(testLogs(3, 5, 1, 100)))
	g := s.newest()
	own := filepath.Join(g.path, "00001.mem")
	raw, err := os.ReadFile(own)
	require.NoError(t, err)
	other := filepath.Join(t.TempDir(), "00002.mem")
	require.NoError(t, os.WriteFile(other, raw[:walHeaderLen], 0o600)) // and no entry
	for path, first := range map[string]uint64{own: 3, other: math.MaxUint64} {
		file, err := g.openOwn(path)
		require.NoError(t, err)
		require.Equal(t, first, file.firstIndex())
		require.NoError(t, file.close())
	}
}

func TestTheIndexOfASealedGenerationIsKeptOnce(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	fillGenerations(t, s, 1, 1, 2)
	g := s.generations()[0]
	require.Eventually(t, g.settled.Load, 20*time.Second, time.Millisecond)
	g.ending.Lock() // behind what settles it
	defer g.ending.Unlock()
	require.Empty(t, g.ahead.pieces)
	require.NotEmpty(t, g.file.pieces)
}
