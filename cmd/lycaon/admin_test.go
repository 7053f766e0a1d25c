package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// saveIn runs snapshot save against a server as somebody does who is in dir.
func saveIn(t *testing.T, dir, addr string) (stderr string, code int) {
	t.Helper()
	cmd := lycaon("-s", addr, "snapshot", "save", "backup.lycaon")
	var errw strings.Builder
	cmd.Dir, cmd.Stderr = dir, &errw
	_ = cmd.Run() // the exit code tells
	return errw.String(), cmd.ProcessState.ExitCode()
}

func TestAnAdminTokenOfAnotherServerIsPassedOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startServer(t, filepath.Join(dir, clusterDir, "1"), "--log-level", "error")
	leftOver := filepath.Join(dir, runToken) // make run came before make cluster
	require.NoError(t, os.Mkdir(filepath.Dir(leftOver), 0o700))
	require.NoError(t, os.WriteFile(leftOver, []byte("of another server\n"), 0o600))
	errw, code := saveIn(t, dir, s.addr)
	require.Zero(t, code, errw)
	require.FileExists(t, filepath.Join(dir, "backup.lycaon"))

	require.NoError(t, os.Rename(filepath.Join(dir, clusterDir), filepath.Join(dir, "elsewhere")))
	errw, code = saveIn(t, dir, s.addr)
	require.Equal(t, exitAuth, code, errw)
	require.Contains(t, errw, "--admin-token DATA-DIR/admin.token or --auth digest:super:PASSWORD before the command", "nobody named the one that is left")
}
