package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lycaon-io/lycaon/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// local is a Config for a server of this test alone.
func local(t *testing.T) Config {
	t.Helper()
	cfg := DefaultConfig()
	cfg.DataDir = filepath.Join(t.TempDir(), "data")
	cfg.ClientAddr, cfg.PeerAddr, cfg.HTTPAddr = "127.0.0.1:0", "127.0.0.1:0", httpOff
	return cfg
}

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	began := time.Now()
	require.NoError(t, s.Close(context.Background()))
	require.Less(t, time.Since(began), patience)
}

func dial(t *testing.T, s *Server, opts ...client.Option) *client.Client {
	t.Helper()
	c, err := client.Open(t.Context(), []string{s.ClientAddr().String()}, opts...)
	require.NoError(t, err)
	t.Cleanup(c.Abandon)
	return c
}

// fingerprint lists every file below dir with its mode and content, of large
// ones the time of their last change.
func fingerprint(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := e.Info()
		require.NoError(t, err)
		all[path] = info.Mode().String()
		switch {
		case info.Size() > 1<<20:
			all[path] += fmt.Sprint(" ", info.Size(), info.ModTime())
		case e.Type().IsRegular():
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			sum := sha256.Sum256(data)
			all[path] += " " + hex.EncodeToString(sum[:8])
		}
		return nil
	}))
	return all
}
