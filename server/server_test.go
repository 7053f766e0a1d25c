package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/front"
	"github.com/lycaon-io/lycaon/server/raftlog"
)

func TestWhatWasWrittenAndWhoWasThereSurviveARestart(t *testing.T) {
	cfg := local(t)
	s := start(t, cfg)
	c := dial(t, s, client.WithSessionTimeout(10*time.Second))
	_, err := c.Create(t.Context(), "/a", []byte("hello"))
	require.NoError(t, err)
	_, err = c.Create(t.Context(), "/mine", nil, client.Ephemeral())
	require.NoError(t, err)
	cfg.ClientAddr = s.ClientAddr().String()
	stop(t, s)

	start(t, cfg)
	node, err := c.Get(t.Context(), "/a")
	require.NoError(t, err)
	require.Equal(t, "hello", string(node.Data))
	stat, err := c.Exists(t.Context(), "/mine")
	require.NoError(t, err)
	require.NotNil(t, stat, "the session and what is its own live on")
}

func TestTheOwnerIsToldWhileASnapshotIsLoaded(t *testing.T) {
	var told []string
	cfg := local(t)
	cfg.Loading = func() func() {
		told = append(told, "loading")
		return func() { told = append(told, "loaded") }
	}
	s := start(t, cfg)
	dial(t, s)
	require.NoError(t, s.node.Snapshot(t.Context()))
	require.Empty(t, told, "there was none")
	stop(t, s)
	start(t, cfg)
	require.Equal(t, []string{"loading", "loaded"}, told)
}

func TestTheFilesAreForTheirOwnerAlone(t *testing.T) {
	cfg := local(t)
	s := start(t, cfg)
	dial(t, s)
	require.NoError(t, filepath.WalkDir(cfg.DataDir, func(path string, e os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := e.Info()
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, path)
		return nil
	}))
	token, err := os.ReadFile(filepath.Join(cfg.DataDir, tokenName))
	require.NoError(t, err)
	require.Len(t, strings.TrimSpace(string(token)), 2*tokenBytes)
	stop(t, s)
	start(t, cfg)
	again, err := os.ReadFile(filepath.Join(cfg.DataDir, tokenName))
	require.NoError(t, err)
	require.Equal(t, token, again, "made once")
}

// A volume that is mounted for a group makes it so, which no start should fail for.
func TestATokenThatOthersMayReadIsToldAtTheStart(t *testing.T) {
	cfg := local(t)
	stop(t, start(t, cfg))
	token := filepath.Join(cfg.DataDir, tokenName)
	require.NoError(t, os.Chmod(token, 0o640))
	var log bytes.Buffer
	cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	stop(t, start(t, cfg))
	require.Contains(t, log.String(), "others than its owner may read the admin token")
	require.Contains(t, log.String(), "file="+token+" mode=0640")
}

func TestConnectionsOfOneAddressAreBounded(t *testing.T) {
	cfg := local(t)
	cfg.MaxConnectionsPerIP = 1
	s := start(t, cfg)
	dial(t, s)
	within, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := client.OpenGuest(within, []string{s.ClientAddr().String()})
	require.ErrorIs(t, err, client.ErrTooManyConnections)
	require.ErrorContains(t, err, "from this address")
	require.NotZero(t, s.front.Stats().ConnectionsRefused)
}

func TestFatalErrorsReachTheOwner(t *testing.T) {
	s := start(t, local(t))
	s.diskChanged(raftlog.DiskOK, raftlog.DiskHard, 7)
	require.ErrorIs(t, <-s.Fatal(), ErrDiskFull)
}

func TestAQuotaThatIsUsedUpIsAFullDisk(t *testing.T) {
	for _, lack := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		err := &fs.PathError{Op: "write", Path: "00001.mem", Err: lack}
		require.ErrorIs(t, storageError(fmt.Errorf("raftlog: write: %w", err)), ErrDiskFull)
		require.ErrorIs(t, unwritable("data", err), ErrDiskFull)
	}
	require.NotErrorIs(t, unwritable("data", &fs.PathError{Op: "write", Path: "meta.json", Err: syscall.EROFS}), ErrDiskFull)
}

func TestWritesAreRefusedWhileTheDiskIsShortAndGoOnAfter(t *testing.T) {
	s := start(t, local(t))
	c := dial(t, s)
	s.diskChanged(raftlog.DiskOK, raftlog.DiskSoft, 7)
	_, err := c.Create(t.Context(), "/a", nil)
	require.ErrorIs(t, err, client.ErrDiskFull)
	_, err = c.Get(t.Context(), "/")
	require.NoError(t, err, "reads go on")
	s.diskChanged(raftlog.DiskSoft, raftlog.DiskOK, 1<<40)
	_, err = c.Create(t.Context(), "/a", nil)
	require.NoError(t, err)
}

func TestListeningBeyondThisMachineWithoutTLSIsSaidLoudly(t *testing.T) {
	var log bytes.Buffer
	cfg := local(t)
	cfg.ClientAddr = ":0"
	cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	stop(t, s)
	require.Contains(t, log.String(), "WITHOUT TLS")
}

func TestSecretsAreNotLogged(t *testing.T) {
	var log bytes.Buffer
	cfg := local(t)
	cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	token := s.dir.token
	c := dial(t, s, client.WithCredentials(client.AdminToken(token), client.Digest("ann", "canary-password")))
	_, err = c.Get(t.Context(), "/")
	require.NoError(t, err)
	stop(t, s)
	require.NotEmpty(t, log.String())
	require.NotContains(t, log.String(), token)
	require.NotContains(t, log.String(), "canary-password")
}

func TestOperatorsReadHowItIs(t *testing.T) {
	cfg := local(t)
	cfg.HTTPAddr = "127.0.0.1:0"
	s := start(t, cfg)
	c := dial(t, s)
	_, err := c.Create(t.Context(), "/a", []byte("x"))
	require.NoError(t, err)
	page := func(path string) (int, string) {
		r, err := http.Get("http://" + s.HTTPAddr().String() + path)
		require.NoError(t, err)
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		return r.StatusCode, string(body)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	code, _ := page("/livez")
	require.Equal(t, http.StatusOK, code)
	code, _ = page("/readyz")
	require.Equal(t, http.StatusOK, code)
	code, metrics := page("/metrics")
	require.Equal(t, http.StatusOK, code)
	for _, want := range []string{
		"lycaon_ready 1", "lycaon_sessions 1", "lycaon_connections 1", "lycaon_leading 1", `lycaon_raft_state{state="Leader"} 1`,
		`lycaon_disk_level{level="ok"} 1`, "lycaon_lane_bytes_max 2.68435456e+08", "lycaon_proposer_queue_bytes_max 6.7108864e+07",
		"lycaon_http_connections", "go_goroutines",
	} {
		require.Contains(t, metrics, want)
	}
	for _, histogram := range []string{"write_seconds", "batch_seconds", "batch_transactions", "store_sync_seconds"} {
		require.Regexp(t, regexp.MustCompile("lycaon_"+histogram+"_count [1-9]"), metrics)
	}
	http.DefaultClient.CloseIdleConnections()
	stop(t, s)
	require.Error(t, s.node.Condition())
}

func TestMetricsAreWellFormed(t *testing.T) {
	s := start(t, local(t))
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(newCollector(s)))
	families, err := registry.Gather()
	require.NoError(t, err)
	require.Greater(t, len(families), 90)
	for _, f := range families {
		require.NotEmpty(t, f.GetHelp(), f.GetName())
	}
}

func TestARestoredStateIsTheSaved(t *testing.T) {
	s := start(t, local(t))
	c := dial(t, s)
	for i := range 100 {
		_, err := c.Create(t.Context(), fmt.Sprintf("/n%d", i), []byte("data"))
		require.NoError(t, err)
	}
	admin, err := client.OpenGuest(t.Context(), []string{s.ClientAddr().String()}, client.WithCredentials(client.AdminToken(s.dir.token)))
	require.NoError(t, err)
	defer admin.Abandon()
	file := filepath.Join(t.TempDir(), "saved")
	out, err := os.Create(file)
	require.NoError(t, err)
	_, err = admin.Snapshot(t.Context(), out)
	require.NoError(t, err)
	require.NoError(t, out.Close())
	saved, err := InspectSnapshot(file)
	require.NoError(t, err)
	require.Equal(t, s.Status().Digest, saved.Digest)

	cfg := local(t)
	info, err := RestoreSnapshot(t.Context(), file, cfg)
	require.NoError(t, err)
	require.Equal(t, saved, info)
	for range 2 {
		restored := start(t, cfg)
		st := restored.Status()
		require.Equal(t, saved.Nodes, int(st.Nodes))
		require.Equal(t, saved.Sessions, int(st.Sessions))
		require.Greater(t, st.Zxid, saved.Zxid+protocol.Leap)
		again := dial(t, restored)
		_, err := again.Create(t.Context(), fmt.Sprintf("/after-%d", st.Zxid), nil)
		require.NoError(t, err)
		saved.Nodes++
		require.NoError(t, again.Close(t.Context()))
		stop(t, restored)
	}
	_, err = RestoreSnapshot(t.Context(), file, cfg)
	require.ErrorIs(t, err, ErrForeignData, "not over something")
}

func TestADamagedBackupMakesNothing(t *testing.T) {
	cfg := local(t)
	file := filepath.Join(t.TempDir(), "bad")
	require.NoError(t, os.WriteFile(file, []byte("not a state"), 0o600))
	_, err := RestoreSnapshot(t.Context(), file, cfg)
	require.ErrorIs(t, err, ErrDamaged)
	_, err = RestoreSnapshot(t.Context(), filepath.Join(t.TempDir(), "none"), cfg)
	require.ErrorIs(t, err, ErrConfig)
	left, err := os.ReadDir(filepath.Dir(cfg.DataDir))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestSilentClientsDoNotHoldUpAClose(t *testing.T) {
	s, err := Open(t.Context(), local(t))
	require.NoError(t, err)
	for range 10 {
		conn, err := net.Dial("tcp", s.ClientAddr().String())
		require.NoError(t, err)
		defer conn.Close()
	}
	dial(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), front.HandshakeTimeout*3/4)
	defer cancel()
	require.NoError(t, s.Close(ctx))
	require.NoError(t, ctx.Err())
	require.NoError(t, s.Close(ctx), "twice is once")
}
