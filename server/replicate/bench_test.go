package replicate

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/raftlog"
	"github.com/lycaon-io/lycaon/server/state"
)

// BenchmarkLoneWrite measures one write at a time, from Append to applied,
// over the real store; sync-us is what the store took of it.
func BenchmarkLoneWrite(b *testing.B) {
	store, err := raftlog.Open(raftlog.Options{Dir: filepath.Join(b.TempDir(), "log")})
	require.NoError(b, err)
	snaps, err := raftlog.OpenSnapshots(raftlog.SnapshotOptions{Dir: filepath.Join(b.TempDir(), "snapshots")})
	require.NoError(b, err)
	n := New(Config{ID: 1, Address: "127.0.0.1:2888"}, store, snaps)
	r := newReplica()
	r.observer, r.log = n, n
	require.NoError(b, n.Open(r))
	<-n.Ready()
	r.send(open(1, time.Hour))
	applied := func(ok func(m *state.Machine) bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for !ok(r.machine) {
			r.changed.Wait()
		}
	}
	applied(func(*state.Machine) bool { return len(r.opened) == 1 })
	before := store.Stats()
	b.ResetTimer()
	for i := range b.N {
		path := fmt.Sprintf("/n%d", i)
		r.send(write(r.opened[0], 1, uint64(i)+1, protocol.OpCreate, create(path, make([]byte, 1024))))
		applied(func(m *state.Machine) bool { return exists(m, path) })
	}
	b.StopTimer()
	after := store.Stats()
	b.ReportMetric(float64((after.LatencySum-before.LatencySum).Microseconds())/float64(after.Syncs-before.Syncs), "sync-us")
	require.NoError(b, n.Close(context.Background()))
	require.NoError(b, store.Close())
	require.NoError(b, snaps.Close())
}
