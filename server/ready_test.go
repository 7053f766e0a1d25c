package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
)

// BenchmarkReady measures the start over the files of a server that did not
// stop cleanly, with 100,000 nodes of 100 bytes written by 32 clients.
func BenchmarkReady(b *testing.B) {
	const nodes, clients, depth = 100_000, 32, 32
	cfg := DefaultConfig()
	cfg.DataDir = filepath.Join(b.TempDir(), "data")
	cfg.ClientAddr, cfg.HTTPAddr = "127.0.0.1:0", httpOff
	s, err := Open(b.Context(), cfg)
	require.NoError(b, err)
	fill(b, s, nodes, clients, depth)
	killed := filepath.Join(b.TempDir(), "killed")
	require.NoError(b, os.CopyFS(killed, os.DirFS(cfg.DataDir)))
	require.NoError(b, s.Close(context.Background()))
	var total time.Duration
	for i := range b.N {
		dir := filepath.Join(b.TempDir(), fmt.Sprint("run", i))
		require.NoError(b, os.CopyFS(dir, os.DirFS(killed)))
		cfg.DataDir = dir
		began := time.Now()
		s, err := Open(b.Context(), cfg)
		total += time.Since(began)
		require.NoError(b, err)
		require.Greater(b, s.Status().Nodes, int64(nodes))
		require.NoError(b, s.Close(context.Background()))
	}
	b.ReportMetric(float64(total.Milliseconds())/float64(b.N), "ms-to-ready")
}

func fill(b *testing.B, s *Server, nodes, clients, depth int) {
	began := time.Now()
	var wg sync.WaitGroup
	for n := range clients {
		c, err := client.Open(b.Context(), []string{s.ClientAddr().String()})
		require.NoError(b, err)
		defer c.Abandon()
		for d := range depth {
			wg.Go(func() {
				for i := n*depth + d; i < nodes; i += clients * depth {
					if _, err := c.Create(b.Context(), fmt.Sprintf("/n%07d", i), make([]byte, 100)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	b.Logf("%d creates in %s", nodes, time.Since(began).Round(time.Millisecond))
}
