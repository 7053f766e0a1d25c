package raftlog

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// Small and large transactions by turns, so that the zeros end within a page that is written to, behind one, and within
// a transaction that is larger than they reach.
func TestZerosWrittenAheadAreBehindAllThatIsWritten(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 100, 3000, 5000, 40_000, 100, 100, 70_000, 200_000, 0, 4096 - 200, 12_000, layAheadBytes, 1000}
	sizeOf := func(index uint64) int { return sizes[index%uint64(len(sizes))] + int(index%97) }
	for _, past := range []bool{true, false} {
		s := openStore(t, t.TempDir())
		if !past {
			writeThrough(s)
		}
		last := uint64(0)
		for ; s.newest().used.Load() < testMemTable*9/10; last++ {
			require.NoError(t, s.StoreLog(testLog(last+1, 1, sizeOf(last+1))))
		}
		require.Len(t, s.generations(), 1) // of a sealed one Badger would write a table from its memory
		requireEntries(t, openStore(t, killedCopy(t, s)), 1, last, constant(1))
	}
}

func TestZerosBeginBehindThePageThatIsWrittenTo(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	writeThrough(s)
	require.NoError(t, s.StoreLogs(testLogs(1, 3, 1, 3000)))
	g := s.newest()
	memTable := memTableOf(g.db)
	file, end := writeAheadFile(memTable).Fd, writeAheadEnd(memTable)
	require.NotZero(t, end%pageBytes)
	before, after := make([]byte, end), make([]byte, end)
	_, err := file.ReadAt(before, 0)
	require.NoError(t, err)
	g.ahead.laid = 0
	require.NoError(t, g.layAhead(1))
	_, err = file.ReadAt(after, 0)
	require.NoError(t, err)
	require.True(t, bytes.Equal(before, after))
	require.Equal(t, wholePages(end+1+layAheadBytes), g.ahead.laid)
}

func TestZerosEndWithTheFile(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	fillGenerations(t, s, 1, 1, 2)
	g := s.newest()
	file := writeAheadFile(memTableOf(g.db))
	g.ahead.laid = int64(len(file.Data)) - pageBytes
	writeThrough(s)
	g.ahead.file = nil
	require.NoError(t, g.layAhead(g.ahead.laid))
	require.EqualValues(t, len(file.Data), g.ahead.laid)
	info, err := file.Fd.Stat()
	require.NoError(t, err)
	require.EqualValues(t, len(file.Data), info.Size())
}
