package replicate

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAWelcomeFromBeforeARebuildLetsNobodyServe(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		s := e.follower()
		e.writes(s)
		e.equal()
		s.whenEmptied(func() { // the welcome of a stream that has ended comes late
			s.caughtUpWith(s.content()[0])
		})
		e.net.Isolate(s.host, "s1", "s2", "s3")
		require.NoError(t, s.Rebuild(errors.New("a test")))
		require.False(t, s.serving.Load(), "its machine is empty")
		time.Sleep(time.Second)
		require.False(t, s.serving.Load())
		e.net.HealAll()
		e.settled()
		e.equal()
	})
}

func TestAServerClosesAmidARebuild(t *testing.T) {
	for step := range 12 {
		together(t, 3, func(e *ensemble) {
			e.snapshotBytes = 4 << 10
			e.startAll()
			s := e.servers[uint64(step)%3+1]
			for range 20 {
				e.writes(e.leader())
			}
			rebuilt := make(chan error, 1)
			node := s.Node // which e.stop takes away
			go func() { rebuilt <- node.Rebuild(errors.New("a test")) }()
			go func() { _ = node.Snapshot(context.Background()) }()
			time.Sleep(time.Duration(step) * 500 * time.Microsecond)
			began := time.Now()
			e.stop(s)
			require.Less(t, time.Since(began), 3*time.Second)
			<-rebuilt
			delete(e.servers, s.id)
		})
	}
}

// A rebuild has begun to end raft when the server closes, which waits for that end too.
func TestAServerClosesWhileADiskHoldsTheEndOfRaft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		store := &shaky{monotonic: d.logs}
		n := New(Config{ID: 1, Address: "127.0.0.1:2888"}, store, d.snaps)
		r := newReplica()
		r.observer, r.log = n, n
		require.NoError(t, n.Open(r))
		<-n.Ready()
		gate := make(chan struct{})
		store.gate.Store(&gate)
		inst := n.instance()
		inst.raft.Barrier(0)
		synctest.Wait() // raft is at its disk
		ended := make(chan error, 1)
		go func() { ended <- inst.end() }()
		synctest.Wait()
		require.ErrorIs(t, n.Close(t.Context()), ErrDeadline)
		close(gate)
		require.NoError(t, <-ended)
	})
}
