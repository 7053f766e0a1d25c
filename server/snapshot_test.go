package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The log that is kept behind a snapshot reaches the one before it.
func TestADamagedNewestSnapshotCostsAReplayAndNoData(t *testing.T) {
	cfg := local(t)
	cfg.SnapshotBytes = minSnapshotBytes
	s := start(t, cfg)
	c := dial(t, s)
	data := make([]byte, 32<<10)
	for i := 0; s.snaps.Stats().Taken < 4; i++ {
		_, err := c.Create(t.Context(), fmt.Sprintf("/n%d", i), data)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return s.node.Stats().LogBytesSinceSnapshot < minSnapshotBytes }, patience, time.Millisecond,
			"the log grows by what is written while a snapshot is taken")
	}
	_, err := c.Create(t.Context(), "/last", []byte("written after every snapshot"))
	require.NoError(t, err)
	require.NoError(t, c.Close(t.Context()))
	before := s.Status()
	store := s.store.Stats()
	require.Greater(t, store.FirstIndex, uint64(1), "the log is cut")
	require.Less(t, store.LogBytes, uint64(8*minSnapshotBytes))
	stop(t, s)

	newest := newestSnapshot(t, cfg)
	file := filepath.Join(newest, "state")
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	raw[len(raw)/2] ^= 1
	require.NoError(t, os.WriteFile(file, raw, 0o600))

	var told []uint32 // collections that were asked for, whenever a load begins
	cfg.Loading = func() func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		told = append(told, m.NumForcedGC)
		return func() {}
	}
	s = start(t, cfg)
	require.Len(t, told, 2)
	require.Greater(t, told[1], told[0], "what is damaged does not lie beside what is loaded in its place")
	after := s.Status()
	require.Equal(t, []any{before.Zxid, before.Nodes, before.DataBytes}, []any{after.Zxid, after.Nodes, after.DataBytes})
	node, err := dial(t, s).Get(t.Context(), "/last")
	require.NoError(t, err)
	require.Equal(t, "written after every snapshot", string(node.Data))
}

func TestALoadBesideTheLogEndsWithItsContext(t *testing.T) {
	cfg := local(t)
	s := start(t, cfg)
	dial(t, s)
	require.NoError(t, s.node.Snapshot(t.Context()))
	stop(t, s)
	id := filepath.Base(newestSnapshot(t, cfg))
	snaps, err := openSnapshots(filepath.Join(cfg.DataDir, snapshotsName), s.log, s.disk)
	require.NoError(t, err)
	ended, end := context.WithCancel(t.Context())
	end()
	for ctx, loads := range map[context.Context]bool{t.Context(): true, ended: false} {
		a := ahead{done: make(chan struct{})}
		a.load(ctx, snaps, nil)
		<-a.done
		require.Equal(t, loads, a.take(id) != nil)
	}
}

func newestSnapshot(t *testing.T, cfg Config) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(cfg.DataDir, snapshotsName))
	require.NoError(t, err)
	var newest string
	var when time.Time
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		if e.IsDir() && info.ModTime().After(when) {
			newest, when = filepath.Join(cfg.DataDir, snapshotsName, e.Name()), info.ModTime()
		}
	}
	require.NotEmpty(t, newest)
	return newest
}
