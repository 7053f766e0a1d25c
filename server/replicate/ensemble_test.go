package replicate

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/bubble"
	"github.com/lycaon-io/lycaon/server/internal/memnet"
	"github.com/lycaon-io/lycaon/server/peer"
	"github.com/lycaon-io/lycaon/server/state"
)

// ensemble is a cluster over a network in memory, in a bubble.
type ensemble struct {
	*testing.T
	net     *memnet.Net
	initial []Member
	servers map[uint64]*server
	written int
	dead    sync.WaitGroup

	snapshotBytes int64
}

// server is one of them: what outlives its process, and the process.
type server struct {
	id      uint64
	host    string
	data    string
	cluster string
	disk    *disk
	store   *shaky
	join    []string
	initial []Member

	*Node
	*replica
	mux *peer.Mux
}

func addrOf(id uint64) string { return fmt.Sprintf("s%d:1", id) }
func hostOf(id uint64) string { return fmt.Sprintf("s%d", id) }

// together runs f in a bubble with so many servers that are to found a cluster;
// none is started.
func together(t *testing.T, size uint64, f func(e *ensemble)) {
	bubble.Test(t, func(t *testing.T) {
		e := &ensemble{T: t, net: memnet.New(), servers: map[uint64]*server{}}
		for id := range size {
			e.initial = append(e.initial, Member{ID: id + 1, PeerAddr: addrOf(id + 1), Suffrage: Voter})
		}
		for id := range size {
			e.wiped(id + 1)
		}
		defer func() {
			e.net.HealAll()
			for _, s := range e.servers {
				if s.Node != nil {
					e.stop(s)
				}
			}
			e.dead.Wait()
		}()
		f(e)
	})
}

// running is together with a cluster that has a leader.
func running(t *testing.T, size uint64, f func(e *ensemble)) {
	together(t, size, func(e *ensemble) {
		e.startAll()
		f(e)
	})
}

func (e *ensemble) startAll() {
	for _, id := range slices.Sorted(maps.Keys(e.servers)) {
		e.start(e.servers[id])
	}
	e.settled()
}

// wiped gives a server an empty data directory.
func (e *ensemble) wiped(id uint64) *server {
	d := newDisk()
	s := &server{id: id, host: hostOf(id), data: fmt.Sprintf("d%d-%d", id, time.Now().UnixNano()), cluster: "c1", disk: d, store: &shaky{monotonic: d.logs}, initial: e.initial}
	e.servers[id] = s
	time.Sleep(time.Nanosecond)
	return s
}

// joiner gives a server that is to join the cluster an empty data directory.
func (e *ensemble) joiner(id uint64) *server {
	s := e.wiped(id)
	s.cluster, s.initial = "", nil
	for _, m := range e.initial {
		s.join = append(s.join, m.PeerAddr)
	}
	return s
}

func (e *ensemble) start(s *server) *server {
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() && os.Getenv("LYCAON_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("s", s.id)
	}
	self := peer.Identity{Cluster: s.cluster, ID: s.id, Data: s.data}
	var err error
	var node atomic.Pointer[Node]
	s.mux, err = peer.Open(peer.Config{
		Self: self, Addr: s.host + ":1", Network: e.net.Host(s.host), Insecure: true, Logger: log,
		Admit: func(k peer.Kind, remote peer.Identity) error {
			if n := node.Load(); n != nil {
				return n.Admit(k, remote)
			}
			return peer.ErrNotReady
		},
	})
	require.NoError(e, err)
	s.Node = New(Config{
		ID: s.id, Cluster: s.cluster, Address: s.host + ":1", Data: s.data, ClientAddr: fmt.Sprintf("c%d:1", s.id), Logger: log,
		Initial: s.initial, Join: s.join, Peers: s.mux, SnapshotBytes: e.snapshotBytes,
		JoinedCluster: func(cluster string) error {
			s.cluster, self.Cluster = cluster, cluster
			s.mux.SetSelf(self)
			return nil
		},
	}, s.store, s.disk.snaps)
	node.Store(s.Node)
	s.replica = newReplica()
	s.replica.observer, s.replica.log = s.Node, s.Node
	require.NoError(e, s.Node.Open(s.replica))
	return s
}

func (e *ensemble) stop(s *server) {
	e.Helper()
	require.NoError(e, s.Node.Close(context.Background()))
	require.NoError(e, s.mux.Close())
	s.Node = nil
}

// crash ends a server as kill -9 does: its connections break, nothing is said.
func (e *ensemble) crash(s *server) {
	e.net.Crash(s.host)
	node, mux := s.Node, s.mux
	s.Node = nil
	e.dead.Go(func() { // a process that nobody can reach any more
		node.Close(context.Background())
		mux.Close()
	})
}

// until waits, in the time of the bubble.
func (e *ensemble) until(what string, within time.Duration, ok func() bool) time.Duration {
	e.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > within {
			e.tell()
			require.FailNow(e, "never happened", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(began)
}

func (e *ensemble) tell() {
	for id, s := range e.servers {
		if s.Node != nil {
			leader, term := s.Leader()
			e.Logf("server %d: leader %d term %d members %+v serving: %v", id, leader, term, s.Members(), s.Serving())
		}
	}
}

// leader is the server that leads, nil if there is none or two claim to.
func (e *ensemble) leader() *server {
	var leader *server
	for _, s := range e.servers {
		if s.Node == nil || s.leadTerm.Load() == 0 {
			continue
		}
		if leader != nil {
			return nil
		}
		leader = s
	}
	return leader
}

// follower is one of those that do not lead.
func (e *ensemble) follower() *server {
	for _, id := range slices.Sorted(maps.Keys(e.servers)) {
		if s := e.servers[id]; s.Node != nil && s.leadTerm.Load() == 0 {
			return s
		}
	}
	return nil
}

// settled waits until every server serves.
func (e *ensemble) settled() {
	e.Helper()
	e.until("all serve", 20*time.Second, func() bool {
		for _, s := range e.servers {
			if s.Node != nil && s.Serving() != nil {
				return false
			}
		}
		return e.leader() != nil
	})
}

// pinned waits until the membership has the data of so many servers.
func (e *ensemble) pinned(n int) {
	e.Helper()
	e.until("pinned", 10*time.Second, func() bool {
		pins := 0
		for _, m := range e.leader().Members() {
			if m.Data != "" {
				pins++
			}
		}
		return pins == n
	})
}

// writes opens a session through a server, which is a write that needs no
// other, and waits until all the others have it.
func (e *ensemble) writes(through *server) time.Duration {
	e.Helper()
	e.written++
	hash := [32]byte{byte(e.written), byte(e.written >> 8), 1}
	through.send(state.Txn{Kind: state.TxnOpen, PasswordHash: hash, TimeoutMs: 3_600_000})
	return e.until(fmt.Sprintf("write %d through server %d", e.written, through.id), 30*time.Second, func() bool {
		through.mu.RLock()
		defer through.mu.RUnlock()
		return len(through.unsent) == 0
	})
}

func (e *ensemble) equal() {
	e.Helper()
	e.until("all alike", 30*time.Second, func() bool {
		var first [3]uint64
		for _, s := range e.servers {
			if s.Node == nil {
				continue
			}
			switch content := s.content(); {
			case first == [3]uint64{}:
				first = content
			case first != content:
				return false
			}
		}
		return true
	})
}

func (e *ensemble) change(s *server, action protocol.MemberAction, id uint64, addr string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return s.ChangeMember(ctx, protocol.MemberChange{Action: action, ID: id, Addr: addr})
}

func (e *ensemble) suffrage(id uint64) Suffrage {
	for _, m := range e.leader().Members() {
		if m.ID == id {
			return m.Suffrage
		}
	}
	return ""
}

var _ raft.LogStore = (*shaky)(nil)
