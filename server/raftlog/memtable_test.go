package raftlog

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Badger ends the process when it replays a write-ahead file that is too large for its memtable.
func TestACrashedStoreOfLargerMemtablesOpens(t *testing.T) {
	t.Parallel()
	for name, entry := range map[string]struct{ count, bytes int }{
		"that is full of large entries": {24, 100 << 10},
		"that is full of small entries": {15_000, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, err := Open(Options{Dir: dir, memTableBytes: testMemTable})
			require.NoError(t, err)
			defer s.Close()
			last := uint64(entry.count)
			require.NoError(t, s.StoreLogs(testLogs(1, last, 1, entry.bytes)))
			crashed := killedCopy(t, s)
			reopened, err := Open(Options{Dir: crashed, memTableBytes: testMemTable / 4})
			require.NoError(t, err)
			requireRange(t, reopened, 1, last)
			more := testLog(last+1, 1, 100)
			require.NoError(t, reopened.StoreLog(more))
			require.NoError(t, reopened.Close())
			requireRange(t, openStore(t, crashed), 1, last+1)
		})
	}
}

// What a write-ahead file of a memtable's own size needs must fit into the next one: it is no older version's.
func TestAMemtableTakesItsOwnWriteAheadFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ arena, want int64 }{
		"full, and a transaction more": {testMemTable + testMemTable*txnPercent/100, testMemTable},
		"of a memtable twice as large": {2 * testMemTable, largestMemTableBytes},
	} {
		t.Run(name, func(t *testing.T) {
			p := preflight{wals: []walScan{{}, {arena: c.arena}}}
			require.Equal(t, c.want, p.memTableBytes(testMemTable))
		})
	}
}
