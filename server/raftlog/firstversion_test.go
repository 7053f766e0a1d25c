package raftlog

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func bytesOfTables(t *testing.T, dir string) (sum int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && filepath.Ext(e.Name()) == ".sst" {
			sum += info.Size()
		}
	}
	return sum
}

// A cluster may run with two versions for a while, and writes go on meanwhile.
func TestAStoreOfTheFirstVersionGivesItsRoomBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFirstVersion(t, dir, testLogs(3, 50, 1, 1000))
	const memTable = 1 << 20
	s, err := Open(Options{Dir: dir, Logger: testLogger(t), memTableBytes: memTable})
	require.NoError(t, err)
	defer s.Close()
	const step, bytes = 20, 40 << 10
	last := uint64(50)
	for range 40 { // 32 memtables
		require.NoError(t, s.StoreLogs(testLogs(last+1, last+step, 1, bytes)))
		last += step
		require.NoError(t, s.DeleteRange(1, last-step/2))
	}
	require.Eventually(t, func() bool { return bytesOfTables(t, generationPath(dir, 0)) < 20*memTable }, time.Minute, 10*time.Millisecond)
	requireEntries(t, s, last-step/2+1, last, constant(1))
}
