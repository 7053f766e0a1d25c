package replicate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/internal/mutant"
)

// transport is what raft needs to reach its peers with pre-vote.
type transport interface {
	raft.Transport
	raft.WithPreVote
}

// unpipelined keeps raft from sending entries ahead of their answers: with two
// in flight, a follower that once answers with a failure never gets entries
// again while heartbeats go on.
type unpipelined struct{ transport }

func (unpipelined) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// loneTransport is for a server without peers: it has an address and reaches
// nobody.
func loneTransport(address string) transport {
	_, t := raft.NewInmemTransport(raft.ServerAddress(address))
	return unpipelined{t}
}

// errWithheld answers raft in place of a follower while our disk hangs.
var errWithheld = errors.New("replicate: withheld while a write to the log hangs")

// errRefused answers raft in place of a member that does not take our heartbeats,
// since it has heard of a later term.
var errRefused = errors.New("replicate: heartbeat refused")

// peerTransport carries raft between servers. It has two sets of connections,
// since raft knows one deadline for everything: heartbeats and votes must
// notice within a second that nobody answers, while entries may wait for a
// disk.
//
// While a write to our own log hangs it sends no heartbeats and no entries:
// raft sends them from other goroutines than the one that is stuck, so that
// such a leader would stay leader and nothing be written any more.
type peerTransport struct {
	bulk, brief *raft.NetworkTransport
	conns       *raftConns
	gate        *gate
	progress    *progress
	isMember    func(id raft.ServerID, data string) bool
	current     func(id raft.ServerID, term uint64) bool // this server leads in that term, and id is a member
	obeys       func(id raft.ServerID) bool              // raft here takes that server for the leader
	early       func([]*raft.Log) *raft.AppendEntriesRequest
	members     func() []raft.Server // but this one
	earlies     earlies
	turns       turns
	rpcs        chan raft.RPC
	last        func() uint64                             // newest entry of this server's log
	snapshots   func() ([]*raft.SnapshotMeta, error)      // that this server has
	word        atomic.Pointer[raft.AppendEntriesRequest] // newest word of a commit for which raft had no time, or not the entry
	words       chan struct{}                             // a hint: there is one
	closed      chan struct{}
	closing     sync.Once

	mu       sync.Mutex // guards what follows
	silenced map[raft.ServerID]chan struct{}
}

func newPeerTransport(n *Node, g *gate) *peerTransport {
	logger := raftLogger(n.cfg.Logger)
	conns := newRaftConns(n.cfg.Peers, n.self().raft())
	t := &peerTransport{
		conns: conns, gate: g, progress: n.progress, isMember: n.isMember, current: n.leads, obeys: n.obeys, early: n.early, members: n.followers, last: n.lastIndex, snapshots: n.snaps.List,
		bulk:  networkTransport(conns.accepting(), bulkTimeout, logger),
		brief: networkTransport(conns.dialing(), briefTimeout, logger),
		rpcs:  make(chan raft.RPC), words: make(chan struct{}, 1), closed: make(chan struct{}), silenced: map[raft.ServerID]chan struct{}{},
		earlies: earlies{next: make(chan *earlyAppend), unasked: map[raft.ServerID]*earlyAppend{}},
	}
	go t.relay()
	return t
}

// keptConns is how many idle connections raft keeps to each server.
const keptConns = 3

func networkTransport(stream raft.StreamLayer, timeout time.Duration, logger hclog.Logger) *raft.NetworkTransport {
	t := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: stream, MaxPool: keptConns, MaxRPCsInFlight: rpcsInFlight(), Timeout: timeout, Logger: logger,
	})
	// The deadline of a snapshot grows by timeout with every so many bytes.
	t.TimeoutScale = snapshotTimeoutScale
	return t
}

func rpcsInFlight() int {
	if mutant.On(mutant.Pipelining) {
		return 2 // raft's own default
	}
	return 1
}

func (t *peerTransport) Consumer() <-chan raft.RPC                               { return t.rpcs }
func (t *peerTransport) LocalAddr() raft.ServerAddress                           { return t.conns.local }
func (t *peerTransport) DecodePeer(b []byte) raft.ServerAddress                  { return raft.ServerAddress(b) }
func (t *peerTransport) EncodePeer(_ raft.ServerID, a raft.ServerAddress) []byte { return []byte(a) }

// SetHeartbeatHandler has heartbeats answered while raft's own goroutine waits for the disk, but only those of the term that
// raft has, and only while it has it: beside its own goroutine raft checks a term first and sets it later. Of a later term, a
// leader may already have chosen to store an entry, which then gets the term of another leader, who may give the same index
// to another entry. Of an earlier one, a candidate that has voted for itself in the next term falls back to a term in which it
// has voted too, and no longer knows for whom.
func (t *peerTransport) SetHeartbeatHandler(f func(raft.RPC)) {
	t.bulk.SetHeartbeatHandler(func(rpc raft.RPC) { t.heard(rpc, f) })
}

func (t *peerTransport) heard(rpc raft.RPC, f func(raft.RPC)) {
	req, ok := rpc.Command.(*raft.AppendEntriesRequest)
	if !ok || mutant.On(mutant.StrayTerm) {
		f(rpc)
		return
	}
	if t.gate.within(req.Term, func() { f(rpc) }) {
		return
	}
	select {
	case t.rpcs <- rpc:
	case <-t.closed:
		rpc.Respond(nil, raft.ErrTransportShutdown)
	}
}

func (t *peerTransport) AppendEntriesPipeline(id raft.ServerID, to raft.ServerAddress) (raft.AppendPipeline, error) {
	if mutant.On(mutant.Pipelining) {
		return t.bulk.AppendEntriesPipeline(id, to)
	}
	return nil, raft.ErrPipelineReplicationNotSupported
}

func (t *peerTransport) AppendEntries(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if heartbeat(req) {
		if err := t.takeTurn(id, req.Term); err != nil {
			return err
		}
		if t.gate.hangs() {
			t.gate.withheld.Add(1)
			return errWithheld
		}
		sent := time.Now()
		err := t.brief.AppendEntries(id, target(id, to), req, resp)
		if err == nil && !resp.Success {
			// raft takes any answer for a sign that the member follows, and so lengthens its lease.
			err = t.progress.refused(id, resp.Term)
		}
		if silence := t.progress.heartbeat(id, sent, err); silence > deafAfter {
			// What raft waits for on the other connections will not come either,
			// and would be waited for long after the network is whole again.
			t.conns.drop(target(id, to))
		}
		return err
	}
	if t.rests(id, req) {
		*resp = raft.AppendEntriesResponse{Term: req.Term, LastLog: req.PrevLogEntry, Success: true}
		return nil
	}
	if t.answeredEarly(id, to, req, resp) {
		return nil
	}
	if err := t.holdBack(id, req.Term, t.isSilenced); err != nil {
		return err
	}
	return t.append(id, to, req, resp)
}

func (t *peerTransport) append(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	t.progress.sends(id, req)
	err := t.bulk.AppendEntries(id, target(id, to), req, resp)
	t.progress.appended(id, req, resp, err)
	return err
}

// notice sends a message that raft does not know of: silence does not concern
// it, and is not told by it that raft has come back.
func (t *peerTransport) notice(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest) error {
	if err := t.holdBack(id, req.Term, func(raft.ServerID) bool { return false }); err != nil {
		return err
	}
	return t.append(id, to, req, &raft.AppendEntriesResponse{})
}

// holdBack keeps entries while there is no use in sending them: while the
// member does not answer heartbeats, while a write of ours hangs, while the
// member's address changes. An error instead would make raft wait longer and
// longer before its next attempt, up to ten seconds, which only an attempt that
// succeeds ends. Entries of a reign that is over, or for a server that is no
// member any more, are not held back: raft's own goroutine must come to its end.
func (t *peerTransport) holdBack(id raft.ServerID, term uint64, silenced func(raft.ServerID) bool) error {
	for t.current(id, term) {
		hangs := t.gate.hangs()
		if !silenced(id) && !hangs && t.progress.reachable(id) {
			return nil
		}
		if hangs {
			t.gate.withheld.Add(1)
		}
		select {
		case <-t.closed:
			return raft.ErrTransportShutdown
		case <-time.After(holdInterval):
		}
	}
	if t.gate.hangs() {
		return errWithheld
	}
	return nil
}

// silence keeps entries from a member until release is called. When it returns,
// whatever was sent before has come to its end in raft too: it asks again.
func (t *peerTransport) silence(ctx context.Context, id raft.ServerID) (release func(), err error) {
	asked := make(chan struct{})
	t.mu.Lock()
	t.silenced[id] = asked
	t.mu.Unlock()
	t.progress.stir()
	release = func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.silenced, id)
	}
	select {
	case <-asked:
		return release, nil
	case <-ctx.Done():
	case <-t.closed:
	}
	release()
	return nil, fmt.Errorf("replicate: server %s does not come to rest: %w", id, errWithheld)
}

// holdsBack tells whether raft's own message would be held back.
func (t *peerTransport) holdsBack(id raft.ServerID) bool {
	t.mu.Lock()
	_, silenced := t.silenced[id]
	t.mu.Unlock()
	return silenced || t.gate.hangs()
}

// isSilenced is raft's to ask, which shows by it that it has come back.
func (t *peerTransport) isSilenced(id raft.ServerID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	asked, ok := t.silenced[id]
	if !ok {
		return false
	}
	select {
	case <-asked:
	default:
		close(asked)
	}
	return true
}

// heartbeat tells raft's heartbeats from its other messages as raft does.
func heartbeat(req *raft.AppendEntriesRequest) bool {
	return len(req.Entries) == 0 && req.PrevLogEntry == 0 && req.PrevLogTerm == 0 && req.LeaderCommitIndex == 0
}

func (t *peerTransport) InstallSnapshot(id raft.ServerID, to raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if err := t.holdBack(id, req.Term, t.isSilenced); err != nil {
		return err
	}
	t.progress.installing(id, true)
	if !mutant.On(mutant.EarlyKept) {
		t.earlies.take(id) // what it said that it holds it may lose by this
	}
	defer t.progress.installing(id, false)
	err := t.bulk.InstallSnapshot(id, target(id, to), req, resp, data)
	t.progress.installed(id, req, resp, err)
	return err
}

func (t *peerTransport) RequestVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	t.progress.asks(req.Term)
	return overFresh(func() error { return t.brief.RequestVote(id, target(id, to), req, resp) })
}

func (t *peerTransport) RequestPreVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return overFresh(func() error { return t.brief.RequestPreVote(id, target(id, to), req, resp) })
}

// overFresh asks for a vote again while raft takes kept connections for it that
// the other server has closed since, as one that was started anew has. Raft
// itself would ask again after an election timeout. To ask twice changes nothing.
func overFresh(ask func() error) (err error) {
	for range keptConns + 1 {
		if err = ask(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			return err
		}
	}
	return err
}

func (t *peerTransport) TimeoutNow(id raft.ServerID, to raft.ServerAddress, req *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return t.brief.TimeoutNow(id, target(id, to), req, resp)
}

// relay hands raft what others ask of it, but for what would make it panic, lend
// it a vote that is not the member's, have it take its own entries for committed or
// unseat a leader in the name of one before.
func (t *peerTransport) relay() {
	var shown uint64                    // newest entry that raft was handed
	var word *raft.AppendEntriesRequest // a word of a commit that came before its entry
	for {
		select {
		case rpc := <-t.bulk.Consumer():
			if err := t.check(rpc.Command); err != nil {
				if rpc.Reader != nil {
					_, _ = io.Copy(io.Discard, rpc.Reader) // else it would be taken for the next request
				}
				rpc.Respond(nil, err)
				continue
			}
			switch c := rpc.Command.(type) {
			case *raft.AppendEntriesRequest:
				if len(c.Entries) > 0 && c.PrevLogEntry <= max(shown, t.last()) { // else raft refuses them
					shown = max(shown, newestShown(c))
				}
				t.placeBehindSnapshot(c)
			case *raft.InstallSnapshotRequest:
				rpc.Reader = &snapshotReader{Reader: rpc.Reader, gate: t.gate, req: c}
			}
			if !t.hand(rpc) {
				return
			}
		case <-t.words:
			word = t.word.Load()
		case <-t.closed:
			return
		}
		if word != nil && (word.PrevLogEntry <= max(shown, t.last()) || mutant.On(mutant.HastyWord)) {
			if !t.hand(unanswered(word)) {
				return
			}
			word = nil
		}
	}
}

func (t *peerTransport) hand(rpc raft.RPC) bool {
	select {
	case t.rpcs <- rpc:
		return true
	case <-t.closed:
		return false
	}
}

// Close ends every connection, so that nothing waits for a peer any more.
func (t *peerTransport) Close() error {
	t.closing.Do(func() { close(t.closed) })
	t.conns.close()
	return errors.Join(t.bulk.Close(), t.brief.Close())
}
