package raftlog

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// lineFSM keeps every command as a line.
type lineFSM struct {
	mu    sync.Mutex
	lines []string
}

func (f *lineFSM) Apply(l *raft.Log) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines = append(f.lines, string(l.Data))
	return len(f.lines)
}

func (f *lineFSM) Snapshot() (raft.FSMSnapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return lineSnapshot(append([]string(nil), f.lines...)), nil
}

func (f *lineFSM) Restore(r io.ReadCloser) error {
	defer r.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	b, err := io.ReadAll(r)
	f.lines = strings.Fields(string(b))
	return err
}

func (f *lineFSM) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.lines)
}

type lineSnapshot []string

func (l lineSnapshot) Persist(sink raft.SnapshotSink) error {
	for _, line := range l {
		if _, err := io.WriteString(sink, line+"\n"); err != nil {
			_ = sink.Cancel()
			return err
		}
	}
	return sink.Close()
}

func (l lineSnapshot) Release() {}

type testNode struct {
	*raft.Raft
	fsm   *lineFSM
	store *Store
	snaps *Snapshots
}

func startNode(t *testing.T, dir string) *testNode {
	t.Helper()
	n := &testNode{fsm: &lineFSM{}, store: openStore(t, filepath.Join(dir, "log")), snaps: openSnapshots(t, filepath.Join(dir, "snap"), nil)}
	_, err := n.snaps.Usable(n.store)
	require.NoError(t, err)
	conf := raft.DefaultConfig()
	conf.LocalID = "1"
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	conf.TrailingLogs = 50
	conf.Logger = hclog.NewNullLogger()
	_, trans := raft.NewInmemTransport("1")
	has, err := raft.HasExistingState(n.store, n.store, n.snaps)
	require.NoError(t, err)
	if !has {
		require.NoError(t, raft.BootstrapCluster(conf, n.store, n.store, n.snaps, trans,
			raft.Configuration{Servers: []raft.Server{{ID: "1", Address: "1"}}}))
	}
	n.Raft, err = raft.NewRaft(conf, n.fsm, n.store, n.store, n.snaps, trans)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return n.State() == raft.Leader }, 20*time.Second, time.Millisecond)
	return n
}

func (n *testNode) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, n.Shutdown().Error())
	require.NoError(t, n.store.Close())
	require.NoError(t, n.snaps.Close())
}

func TestARealRaftNodeLivesOnTheseStores(t *testing.T) {
	dir := t.TempDir()
	written := 0
	for life := range 4 {
		n := startNode(t, dir)
		require.NoError(t, n.Barrier(10*time.Second).Error())
		require.Equal(t, written, n.fsm.count(), "life %d", life)
		var last raft.ApplyFuture
		for range 120 {
			last = n.Apply(fmt.Appendf(nil, "line-%d", written), 10*time.Second)
			written++
		}
		require.NoError(t, last.Error())
		require.Equal(t, written, last.Response())
		if life > 0 {
			require.NoError(t, n.Snapshot().Error())
			require.Positive(t, n.store.CompactedTo())
		}
		n.stop(t)
	}
	n := startNode(t, dir)
	defer n.stop(t)
	require.NoError(t, n.Barrier(10*time.Second).Error())
	for i, line := range n.fsm.lines {
		require.Equal(t, fmt.Sprintf("line-%d", i), line)
	}
	// A restored snapshot makes raft drop the whole log and go on above it, since the store is monotonic.
	metas, err := n.snaps.List()
	require.NoError(t, err)
	m, r, err := n.snaps.Open(metas[0].ID)
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, n.Restore(m, r, 10*time.Second))
	require.NoError(t, n.Apply([]byte("after"), 10*time.Second).Error())
	require.NoError(t, n.store.Err())
}

// Readers, as replication has them, run beside appends and compaction; -race watches.
func TestReadersRunBesideWritesAndCompaction(t *testing.T) {
	s := openStore(t, t.TempDir())
	require.NoError(t, s.StoreLogs(testLogs(1, 50, 1, 100)))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				first, _ := s.FirstIndex()
				last, _ := s.LastIndex()
				for i := first; i <= last; i++ {
					var l raft.Log
					if err := s.GetLog(i, &l); err != nil && err != raft.ErrLogNotFound {
						t.Errorf("entry %d: %v", i, err)
						return
					}
				}
			}
		})
	}
	for i := uint64(51); i < 1500; i += 10 {
		require.NoError(t, s.StoreLogs(testLogs(i, i+9, 1, 100)))
		if i%50 == 1 {
			require.NoError(t, s.DeleteRange(1, i-40))
		}
	}
	close(stop)
	wg.Wait()
	require.NoError(t, s.Err())
}
