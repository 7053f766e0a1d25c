package raftlog

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// copyDir leaves a directory as kill -9 would, when its store is still open.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	require.NoError(t, copyTree(from, to))
}

// BenchmarkOpen reopens a log of 100,000 entries of 1.2 KiB after a kill and after a clean close.
func BenchmarkOpen(b *testing.B) {
	for _, clean := range []bool{false, true} {
		name := "killed"
		if clean {
			name = "clean"
		}
		b.Run(name, func(b *testing.B) {
			dir := filepath.Join(b.TempDir(), "s")
			s, err := Open(Options{Dir: dir})
			require.NoError(b, err)
			fill(b, s, 100_000, 1200)
			saved := filepath.Join(b.TempDir(), "copy")
			if clean {
				require.NoError(b, s.Close())
			}
			copyDir(b, dir, saved)
			if !clean {
				require.NoError(b, s.Close())
			}
			b.ResetTimer()
			for b.Loop() {
				b.StopTimer()
				work := filepath.Join(b.TempDir(), "w")
				require.NoError(b, os.RemoveAll(work))
				copyDir(b, saved, work)
				syscall.Sync()
				b.StartTimer()
				start := time.Now()
				s, err := Open(Options{Dir: work})
				took := time.Since(start)
				b.StopTimer()
				require.NoError(b, err)
				b.ReportMetric(float64(took.Milliseconds()), "ms/open")
				last, _ := s.LastIndex()
				require.EqualValues(b, 100_000, last)
				require.NoError(b, s.Close())
				b.StartTimer()
			}
		})
	}
}

func fill(b testing.TB, s *Store, n, size int) {
	b.Helper()
	data := payload(1, 1, size)
	const batch = 256
	for from := 1; from <= n; from += batch {
		var logs []*raft.Log
		for i := from; i < from+batch && i <= n; i++ {
			logs = append(logs, &raft.Log{Index: uint64(i), Term: 1, Data: data})
		}
		require.NoError(b, s.StoreLogs(logs))
	}
}
