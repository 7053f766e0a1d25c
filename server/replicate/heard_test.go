package replicate

import (
	"bytes"
	"io"
	"log/slog"
	"sync/atomic"
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
	liked atomic.Bool // whether the others would vote for it, which they never do
}

func (a *apart) RequestPreVote(_ raft.ServerID, _ raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	resp.Term, resp.Granted = req.Term, a.liked.Load()
	return nil
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

// begun is raft of server 1, which hears of the others what a hands it; theirs are the next ids.
func begun(t *testing.T, a *apart, d *disk, store Store, others ...raft.ServerAddress) *raft.Raft {
	t.Helper()
	conf := raftConfig(1, slog.New(slog.DiscardHandler))
	servers := []raft.Server{{ID: conf.LocalID, Address: "one"}}
	for i, address := range others {
		servers = append(servers, raft.Server{ID: serverID(uint64(i + 2)), Address: address})
	}
	_, a.InmemTransport = raft.NewInmemTransport("one")
	require.NoError(t, raft.BootstrapCluster(conf, d.logs, d.logs, d.snaps, a, raft.Configuration{Servers: servers}))
	g := newGate(store)
	a.peers = &peerTransport{gate: g, rpcs: make(chan raft.RPC), closed: make(chan struct{})}
	r, err := raft.NewRaft(conf, forgetful{}, g, g, d.snaps, a)
	require.NoError(t, err)
	return r
}

// A leader that was stopped for a while hears of its successor and is asked for a write at the same moment.
func TestAnEntryHasTheTermOfItsLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		a := &apart{}
		r := begun(t, a, d, d.logs)
		defer func() { require.NoError(t, r.Shutdown().Error()) }()
		for r.State() != raft.Leader {
			time.Sleep(electionTimeout)
		}
		require.NoError(t, r.Barrier(0).Error())
		reign := r.CurrentTerm()
		require.Equal(t, reign, a.peers.gate.term.Load())

		answer := make(chan raft.RPCResponse, 1)
		a.hear(raft.RPC{Command: &raft.AppendEntriesRequest{RPCHeader: headerOf(2, "two"), Term: reign + 1}, RespChan: answer})
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

// slowTerm takes its time to store one term, and stores another that it is given meanwhile behind the vote in that one.
type slowTerm struct {
	Store
	term                  uint64
	began, written, voted chan struct{}
}

func (s *slowTerm) SetUint64(key []byte, value uint64) error {
	switch {
	case bytes.Equal(key, lastVoteTermKey) && value == s.term:
		close(s.voted)
	case bytes.Equal(key, currentTermKey) && value == s.term:
		close(s.began)
		<-s.written
	case bytes.Equal(key, currentTermKey):
		select {
		case <-s.began:
			<-s.voted
		default:
		}
	}
	return s.Store.SetUint64(key, value)
}

// A candidate hears of the leader whom it has given up and voted for, in the moment in which it votes for itself.
func TestAServerVotesOnceInATerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const term = 2
		d := newDisk()
		store := &slowTerm{Store: d.logs, term: term + 1, began: make(chan struct{}), written: make(chan struct{}), voted: make(chan struct{})}
		a := &apart{}
		a.liked.Store(true)
		r := begun(t, a, d, store, "two", "three")
		defer func() { require.NoError(t, r.Shutdown().Error()) }()
		vote := func(id uint64, address string) bool {
			answer := make(chan raft.RPCResponse, 1)
			a.peers.rpcs <- raft.RPC{RespChan: answer, Command: &raft.RequestVoteRequest{
				RPCHeader: headerOf(id, address), Term: term, LastLogIndex: 1, LastLogTerm: 1}}
			return (<-answer).Response.(*raft.RequestVoteResponse).Granted
		}
		require.True(t, vote(2, "two"))

		<-store.began
		a.liked.Store(false)
		answer := make(chan raft.RPCResponse, 1)
		go a.hear(raft.RPC{RespChan: answer, Command: &raft.AppendEntriesRequest{RPCHeader: headerOf(2, "two"), Term: term}})
		synctest.Wait()
		close(store.written)
		require.False(t, (<-answer).Response.(*raft.AppendEntriesResponse).Success)
		require.EqualValues(t, term+1, r.CurrentTerm())
		for leader, _ := r.LeaderWithID(); leader != ""; leader, _ = r.LeaderWithID() {
			time.Sleep(heartbeatTimeout)
		}
		require.False(t, vote(3, "three"), "a second vote in term %d", term)
	})
}

// stuck is a disk that hangs.
type stuck struct {
	Store
	freed chan struct{}
}

func (s *stuck) SetUint64(key []byte, value uint64) error {
	<-s.freed
	return s.Store.SetUint64(key, value)
}

func TestACandidateHearsOfItsLeaderWhileTheDiskHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		store := &stuck{Store: d.logs, freed: make(chan struct{})}
		a := &apart{}
		r := begun(t, a, d, store, "two", "three")
		defer func() { require.NoError(t, r.Shutdown().Error()) }()
		defer close(store.freed)
		for r.State() != raft.Candidate {
			time.Sleep(heartbeatTimeout)
		}
		answer := make(chan raft.RPCResponse, 1)
		go a.hear(raft.RPC{RespChan: answer, Command: &raft.AppendEntriesRequest{RPCHeader: headerOf(2, "two"), Term: r.CurrentTerm()}})
		synctest.Wait()
		require.Len(t, answer, 1, "answers of a server whose disk hangs")
		require.True(t, (<-answer).Response.(*raft.AppendEntriesResponse).Success)
		require.Equal(t, raft.Follower, r.State())
	})
}

func TestHeartbeatsOfAKnownTermDoNotWaitForRaft(t *testing.T) {
	g := newGate(newDisk().logs)
	require.NoError(t, g.SetUint64(currentTermKey, 7))
	p := &peerTransport{gate: g, rpcs: make(chan raft.RPC, 1), closed: make(chan struct{})}
	for term, direct := range map[uint64]bool{6: false, 7: true, 8: false} {
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
