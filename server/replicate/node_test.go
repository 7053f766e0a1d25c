package replicate

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
)

func TestSettingsThatLoseSomethingAreRefused(t *testing.T) {
	logs, trans := newDisk().logs, loneTransport("a:1")
	good := func() *raft.Config { return raftConfig(1, Config{}.withDefaults().Logger) }
	require.NoError(t, assertSettings(good(), logs, trans))
	require.NoError(t, raft.ValidateConfig(good()))
	for name, spoil := range map[string]func(*raft.Config){
		"restore of committed logs": func(c *raft.Config) { c.RestoreCommittedLogs = true },
		"no pre-vote":               func(c *raft.Config) { c.PreVoteDisabled = true },
		"legacy telemetry":          func(c *raft.Config) { c.NoLegacyTelemetry = false },
		"blocking apply":            func(c *raft.Config) { c.BatchApplyCh = false },
		"short apply channel":       func(c *raft.Config) { c.MaxAppendEntries = 8 },
		"machine not restored":      func(c *raft.Config) { c.NoSnapshotRestoreOnStart = true },
		"long lease":                func(c *raft.Config) { c.LeaderLeaseTimeout = c.HeartbeatTimeout },
		"short tail":                func(c *raft.Config) { c.TrailingLogs = 2 },
		"raft's own snapshots":      func(c *raft.Config) { c.SnapshotThreshold = 8192 },
	} {
		t.Run(name, func(t *testing.T) {
			c := good()
			spoil(c)
			require.ErrorIs(t, assertSettings(c, logs, trans), ErrSettings)
		})
	}
	require.ErrorIs(t, assertSettings(good(), raft.NewInmemStore(), trans), ErrSettings, "log store with holes")
	_, pipelined := raft.NewInmemTransport("a:1")
	require.ErrorIs(t, assertSettings(good(), logs, pipelined), ErrSettings, "entries ahead of answers")
}

func TestStateAndSessionsSurviveARestart(t *testing.T) {
	d := newDisk()
	n, r := start(t, d, Config{})
	id := r.session(t, time.Minute)
	for seq := range uint64(50) {
		r.send(write(id, 1, seq+1, protocol.OpCreate, create(fmt.Sprintf("/n%d", seq), []byte("x"))))
	}
	r.await(t, "last create", func(m *state.Machine) bool { return exists(m, "/n49") })
	before := r.content()
	stop(t, n)

	n, r = start(t, d, Config{})
	require.Equal(t, before, r.content())
	require.Equal(t, 1, n.Stats().TrackedSessions, "with a full timeout")
	require.NoError(t, n.Condition())
	r.send(write(id, 1, 51, protocol.OpCreate, create("/after", nil)))
	r.await(t, "write of a restarted server", func(m *state.Machine) bool { return exists(m, "/after") })
}

func TestALoneVoterIsReadyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		for range 5 {
			began := time.Now()
			n, _ := bubbled(t, d)
			require.Less(t, time.Since(began), heartbeatTimeout/4, "raft alone waits one to two of its heartbeat timeouts")
			stop(t, n)
		}
	})
}

func TestSnapshotsGoByBytesAndTheLogReachesTheOneBefore(t *testing.T) {
	d := newDisk()
	n, r := start(t, d, Config{SnapshotBytes: 64 << 10})
	id := r.session(t, time.Minute)
	var seq uint64
	taken := func() uint64 { return n.Stats().Snapshots }
	for round := range uint64(4) {
		for taken() <= round {
			seq++
			r.send(write(id, 1, seq, protocol.OpCreate, create(fmt.Sprintf("/n%d", seq), make([]byte, 1000))))
			last := fmt.Sprintf("/n%d", seq)
			r.await(t, last, func(m *state.Machine) bool { return exists(m, last) })
		}
	}
	require.Eventually(t, func() bool { return n.Stats().LogBytesSinceSnapshot < 64<<10 }, 20*time.Second, time.Millisecond,
		"what was written meanwhile is in the next one")
	require.NoError(t, n.Snapshot(t.Context()), "on demand")
	stop(t, n)

	list, err := d.snaps.List()
	require.NoError(t, err)
	require.Len(t, list, 1)
	first, err := d.logs.FirstIndex()
	require.NoError(t, err)
	require.Greater(t, first, uint64(1), "the log was cut")
	require.Less(t, first, list[0].Index, "but not up to the newest snapshot")

	n, again := start(t, d, Config{SnapshotBytes: 64 << 10})
	require.Equal(t, r.content(), again.content())
	require.Equal(t, uint64(1), n.Stats().Restores)
}

func TestAnUnknownFormatStopsTheServer(t *testing.T) {
	d := newDisk()
	n, r := start(t, d, Config{})
	id := r.session(t, time.Minute)
	require.NoError(t, n.instance().raft.Apply([]byte{99, 1, 2, 3}, 0).Error())
	require.ErrorIs(t, <-n.Fatal(), state.ErrUnknownFormat)
	entries := r.entries
	r.send(write(id, 1, 1, protocol.OpCreate, create("/after", nil)))
	require.NoError(t, n.instance().raft.Barrier(0).Error())
	require.Equal(t, entries, r.entries, "nothing after it is applied")
	require.Error(t, n.instance().raft.Snapshot().Error(), "nor is it snapshotted away")
	stop(t, n)

	n = New(Config{ID: 1, Address: "127.0.0.1:2888"}, d.logs, d.snaps)
	again := newReplica()
	again.observer, again.log = n, n
	require.NoError(t, n.Open(again))
	require.ErrorIs(t, <-n.Fatal(), state.ErrUnknownFormat, "and again at the next start")
	require.Error(t, n.Condition())
	stop(t, n)
}

func TestAnImageThatCannotBeReadRefusesTheStart(t *testing.T) {
	d := newDisk()
	sink, err := d.snaps.Create(1, 9, 2, raft.Configuration{}, 1, nil)
	require.NoError(t, err)
	_, err = sink.Write([]byte("not an image"))
	require.NoError(t, err)
	require.NoError(t, sink.Close())
	n := New(Config{ID: 1, Address: "127.0.0.1:2888"}, d.logs, d.snaps)
	require.Error(t, n.Open(newReplica()))
	stop(t, n)
}

// shaky is a log store that fails or hangs when told to.
type shaky struct {
	monotonic
	fail  atomic.Int64 // so many more writes of the log fail, every fifth
	calls atomic.Int64
	gate  atomic.Pointer[chan struct{}] // if set, writes wait for it

	refuse atomic.Bool // all writes of the log fail
}

func (s *shaky) StoreLogs(l []*raft.Log) error {
	if gate := s.gate.Load(); gate != nil {
		<-*gate
	}
	if s.refuse.Load() {
		return errors.New("refused")
	}
	if s.calls.Add(1)%5 == 0 && s.fail.Load() > 0 {
		s.fail.Add(-1)
		return errors.New("shaken")
	}
	return s.monotonic.StoreLogs(l)
}

// A failed write of the log costs this server its leadership; everything comes
// again in the next term, in order and once.
func TestNothingIsLostOrDoubledWhenTheLogFails(t *testing.T) {
	store := &shaky{monotonic: newDisk().logs}
	n := New(Config{ID: 1, Address: "127.0.0.1:2888"}, store, raft.NewInmemSnapshotStore())
	r := newReplica()
	r.observer, r.log = n, n
	require.NoError(t, n.Open(r))
	<-n.Ready()
	id := r.session(t, time.Minute)
	store.fail.Store(3)
	const writes = 300
	for seq := range uint64(writes) {
		r.send(write(id, 1, seq+1, protocol.OpCreate, create(fmt.Sprintf("/n%d", seq), nil)))
		if seq%50 == 49 {
			last := fmt.Sprintf("/n%d", seq)
			r.await(t, last, func(m *state.Machine) bool { return exists(m, last) })
		}
	}
	r.await(t, "everything", func(m *state.Machine) bool { return exists(m, fmt.Sprintf("/n%d", writes-1)) })
	answers := r.answers()
	require.Equal(t, map[protocol.Code]int{protocol.OK: answers[protocol.OK]}, answers, "a doubled create would say NodeExists")
	require.Equal(t, uint64(4), n.Stats().Leaderships)
	require.NotZero(t, n.Stats().Proposer.Unknown)
	stop(t, n)
}

func TestWhetherItServesIsAskedForNoMemory(t *testing.T) {
	n, _ := start(t, newDisk(), Config{})
	defer stop(t, n)
	require.NoError(t, n.Serving())
	require.Zero(t, testing.AllocsPerRun(1000, func() { _ = n.Serving() }), "each session that begins asks")
}

func TestAHungDiskIsToldAndNothingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &shaky{monotonic: newDisk().logs}
		n := New(Config{ID: 1, Address: "127.0.0.1:2888"}, store, raft.NewInmemSnapshotStore())
		r := newReplica()
		r.observer, r.log = n, n
		require.NoError(t, n.Open(r))
		<-n.Ready()
		id := r.session(t, time.Hour)
		gate := make(chan struct{})
		store.gate.Store(&gate)
		r.send(write(id, 1, 1, protocol.OpCreate, create("/a", nil)))
		r.send(write(id, 1, 2, protocol.OpCreate, create("/b", nil)))
		time.Sleep(slowFlight + time.Second)
		require.ErrorContains(t, n.Condition(), "under way for 3s")
		time.Sleep(3 * batchDeadline)
		require.NotZero(t, n.Stats().Proposer.Abandoned)
		require.NotZero(t, n.Stats().Overdue)
		store.gate.Store(nil)
		close(gate)
		time.Sleep(3 * maxResendPause)
		require.True(t, r.has("/a") && r.has("/b"))
		require.Zero(t, r.answers()[protocol.NodeExists])
		require.NoError(t, n.Condition())
		stop(t, n)
	})
}

func TestBeforeOpenAndAfterCloseNothingHappens(t *testing.T) {
	n := New(Config{ID: 1, Address: "127.0.0.1:2888"}, newDisk().logs, raft.NewInmemSnapshotStore())
	n.Append(&state.Txn{Kind: state.TxnNoop})
	require.Equal(t, uint64(1), n.Stats().Proposer.Unled)
	require.ErrorIs(t, n.Snapshot(t.Context()), ErrClosed)
	require.Error(t, n.Condition(), "asked for while a long start goes on")
	require.NoError(t, n.Close(t.Context()))

	n, _ = start(t, newDisk(), Config{})
	stop(t, n)
	require.ErrorIs(t, n.Close(t.Context()), ErrClosed)
	require.ErrorIs(t, n.Snapshot(t.Context()), ErrClosed)
	n.Append(&state.Txn{Kind: state.TxnNoop})
	require.Equal(t, uint64(1), n.Stats().Proposer.Unled)
}
