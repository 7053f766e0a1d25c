package replicate

import (
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// apart is a transport in memory whose heartbeats take the way of peerTransport's.
type apart struct {
	*raft.InmemTransport
	peers *peerTransport
	hear  func(raft.RPC)
}

func (a *apart) Consumer() <-chan raft.RPC { return a.peers.rpcs }

func (a *apart) SetHeartbeatHandler(f func(raft.RPC)) {
	a.hear = func(rpc raft.RPC) { a.peers.heard(rpc, f) }
}

// forgetful applies entries to nothing.
type forgetful struct{}

func (forgetful) Apply(*raft.Log) any                 { return nil }
func (forgetful) Snapshot() (raft.FSMSnapshot, error) { return nil, io.EOF }
func (forgetful) Restore(r io.ReadCloser) error       { return r.Close() }

// A leader that was stopped for a while hears of its successor and is asked for a write at the same moment.
func TestAnEntryHasTheTermOfItsLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		g := newGate(d.logs)
		_, net := raft.NewInmemTransport("one")
		a := &apart{InmemTransport: net, peers: &peerTransport{gate: g, rpcs: make(chan raft.RPC), closed: make(chan struct{})}}
		conf := raftConfig(1, slog.New(slog.DiscardHandler))
		require.NoError(t, raft.BootstrapCluster(conf, d.logs, d.logs, d.snaps, a,
			raft.Configuration{Servers: []raft.Server{{ID: conf.LocalID, Address: "one"}}}))
		r, err := raft.NewRaft(conf, forgetful{}, g, g, d.snaps, a)
		require.NoError(t, err)
		defer func() { require.NoError(t, r.Shutdown().Error()) }()
		for r.State() != raft.Leader {
			time.Sleep(conf.ElectionTimeout)
		}
		require.NoError(t, r.Barrier(0).Error())
		reign := r.CurrentTerm()
		require.Equal(t, reign, g.term.Load())

		heartbeat := &raft.AppendEntriesRequest{
			RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte("2"), Addr: []byte("two")}, Term: reign + 1,
		}
		answer := make(chan raft.RPCResponse, 1)
		a.hear(raft.RPC{Command: heartbeat, RespChan: answer})
		_ = r.Apply([]byte("x"), 0).Error() // it is the successor's to take
		got := <-answer
		require.NoError(t, got.Error)
		require.True(t, got.Response.(*raft.AppendEntriesResponse).Success)

		last, err := d.logs.LastIndex()
		require.NoError(t, err)
		for i := uint64(1); i <= last; i++ {
			var l raft.Log
			require.NoError(t, d.logs.GetLog(i, &l))
			require.LessOrEqual(t, l.Term, reign, "entry %d of type %v", i, l.Type)
		}
	})
}

func TestHeartbeatsOfAKnownTermDoNotWaitForRaft(t *testing.T) {
	g := newGate(newDisk().logs)
	require.NoError(t, g.SetUint64(currentTermKey, 7))
	p := &peerTransport{gate: g, rpcs: make(chan raft.RPC, 1), closed: make(chan struct{})}
	for term, direct := range map[uint64]bool{6: true, 7: true, 8: false} {
		heard := false
		p.heard(raft.RPC{Command: &raft.AppendEntriesRequest{Term: term}}, func(raft.RPC) { heard = true })
		require.Equal(t, direct, heard, "term %d", term)
		if !direct {
			<-p.rpcs
		}
	}
	require.EqualValues(t, 7, newGate(g.Store).term.Load(), "of a start before")
	p.rpcs = nil
	close(p.closed)
	answer := make(chan raft.RPCResponse, 1)
	p.heard(raft.RPC{Command: &raft.AppendEntriesRequest{Term: 9}, RespChan: answer}, nil)
	require.ErrorIs(t, (<-answer).Error, raft.ErrTransportShutdown)
}
