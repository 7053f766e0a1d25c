package raftlog

import (
	"path/filepath"
	"reflect"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/ristretto/v2/z"
	"github.com/stretchr/testify/require"
)

// What is put in the place of a small memtable is what Badger makes of the same settings, whatever its version reckons.
func TestAMemtableOutsideTheHeapIsAsBadgerMakesIt(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{testMemTable, defaultMemTableBytes} {
		asked := func(name string) badger.Options {
			return engineOptions(filepath.Join(t.TempDir(), name), size, &engineLog{to: testLogger(t)})
		}
		own, err := openEngine(asked("own"))
		require.NoError(t, err)
		defer own.Close()
		ours, memory, err := openEmpty(asked("ours"))
		require.NoError(t, err)
		require.Equal(t, measure(own), measure(ours))
		require.Equal(t, len(arenaOf(own)), len(memory))
		require.Same(t, &memory[0], &arenaOf(ours)[0])
		require.NoError(t, ours.Close())
		require.NoError(t, memory.free())
	}
}

// measure is what a Badger decides by when it takes a transaction and when it begins another memtable.
func measure(db *badger.DB) map[string]int64 {
	return map[string]int64{
		"bytes of a transaction":      db.MaxBatchSize(),
		"entries of a transaction":    db.MaxBatchCount(),
		"value threshold, as told":    db.Opts().ValueThreshold,
		"value threshold, later":      int64((*field[*z.HistogramData](reflect.ValueOf(db).Elem().FieldByName("threshold").Elem(), "vlMetrics")).Percentile(0)),
		"value threshold, as used":    reflect.ValueOf(db).Elem().FieldByName("threshold").Elem().FieldByName("valueThreshold").FieldByName("v").Int(),
		"memtable of the next":        db.Opts().MemTableSize,
		"memtable":                    memTableOf(db).Elem().FieldByName("opt").FieldByName("MemTableSize").Int(),
		"bytes of the file":           int64(len(writeAheadFile(memTableOf(db)).Data)),
		"memory":                      int64(len(arenaOf(db))),
		"memory in use of a new one":  int64(memTableOf(db).Elem().FieldByName("sl").Elem().FieldByName("arena").Elem().FieldByName("n").FieldByName("v").Uint()),
		"value log, bytes of a file":  db.Opts().ValueLogFileSize,
		"tables of the lowest level":  int64(db.Opts().NumLevelZeroTablesStall),
		"bytes of a block of a table": int64(db.Opts().BlockSize),
	}
}

func arenaOf(db *badger.DB) []byte {
	return *field[[]byte](memTableOf(db).Elem().FieldByName("sl").Elem().FieldByName("arena").Elem(), "buf")
}

func TestTheMemoryOfAGenerationIsGivenBackWithItsBadger(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *Store, g *generation) error{
		"when it settles":    func(s *Store, g *generation) error { return g.settle(s.engineLog()) },
		"when it is deleted": func(_ *Store, g *generation) error { return g.discard(nil) },
		"when it is closed":  func(_ *Store, g *generation) error { return g.close() },
		"when Badger has a table of it": func(s *Store, g *generation) error {
			return g.reopen(engineOptions(g.path, settledMemTableBytes, s.engineLog()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, t.TempDir())
			g, err := openGeneration(7, engineOptions(generationPath(t.TempDir(), 7), testMemTable, s.engineLog()), openEmpty)
			require.NoError(t, err)
			defer g.close()
			txn := g.db.NewTransactionAt(1, true)
			require.NoError(t, txn.Set(entryKey(1, 0), make([]byte, 1000)))
			require.NoError(t, txn.CommitAt(1, nil))
			require.NotNil(t, g.memory)
			require.NoError(t, end(s, g))
			require.Nil(t, g.memory)
		})
	}
}
