package replicate

import (
	"runtime"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/internal/mutant"
)

// early stands between raft and its store while there are peers. hashicorp/raft
// wakes its replication only when the leader has written an entry, so that a lone
// write waits for two disks and a round trip, one after the other. Here the
// followers are sent a small batch as the leader's own write of it begins, and
// the transport has raft's answer when raft asks.
type early struct {
	*gate
	trans *peerTransport
}

func (e *early) StoreLog(l *raft.Log) error { return e.StoreLogs([]*raft.Log{l}) }

func (e *early) StoreLogs(l []*raft.Log) error {
	if worthSendingEarly(l) {
		e.trans.sendEarly(l)
	}
	return e.gate.StoreLogs(l)
}

// worthSendingEarly wants few bytes, which are sent in less time than a disk
// takes, and nothing that changes who counts.
func worthSendingEarly(entries []*raft.Log) bool {
	size := 0
	for _, l := range entries {
		size += len(l.Data)
		if l.Type != raft.LogCommand || l.Term != entries[0].Term || size > maxEarlyBytes {
			return false
		}
	}
	return len(entries) > 0
}

// sendEarly sends entries, which are about to be written here, to the members
// for which raft's next message will be just these. It waits for nobody.
func (t *peerTransport) sendEarly(entries []*raft.Log) {
	commit := t.applied() // never more than is committed
	if commit+1 != entries[0].Index {
		return // something else is under way
	}
	if mutant.On(mutant.EarlyCommit) {
		commit = entries[len(entries)-1].Index
	}
	if t.earlies.begin(entries, commit) {
		runtime.Gosched() // the messages go first: our write would keep them from this processor
	}
}

// takesEarly tells whether raft's own message would go out to a member at once.
func (t *peerTransport) takesEarly(id raft.ServerID, term uint64) bool {
	t.mu.Lock()
	_, silenced := t.silenced[id]
	t.mu.Unlock()
	return !silenced && !t.gate.hangs() && t.current(id, term) && t.progress.fit(id)
}

func (t *peerTransport) carry(m *earlyAppend) {
	defer close(m.done)
	t.progress.early.Add(1)
	if err := t.append(m.id, m.to, m.req, &m.resp); err == nil {
		m.answered = time.Now()
	}
}

// earlies are the early messages, one for each member at most, and what raft
// knows of each member, as the answers that it was given tell. While raft knows
// what a member holds and asks it for nothing, its next message is known too.
type earlies struct {
	mu      sync.Mutex // guards what follows; takesEarly's are taken under it
	members map[raft.ServerID]*replicated
	closed  bool

	takes   func(id raft.ServerID, term uint64) bool
	carry   func(*earlyAppend)
	senders sync.WaitGroup
}

// replicated is what raft knows of a member.
type replicated struct {
	rest bool // raft asks it for nothing, and there is no early message
	to   raft.ServerAddress
	from raft.AppendEntriesRequest // leader and term of its last answer

	match logID        // the newest entry that the member holds
	sent  *earlyAppend // what raft has not asked for yet; nil: nothing
}

// earlyAppend is an early message.
type earlyAppend struct {
	id   raft.ServerID
	to   raft.ServerAddress
	req  *raft.AppendEntriesRequest
	done chan struct{} // closed once what follows is set

	resp     raft.AppendEntriesResponse
	answered time.Time // zero: no answer came
}

func newEarlies(takes func(raft.ServerID, uint64) bool, carry func(*earlyAppend)) *earlies {
	return &earlies{members: map[raft.ServerID]*replicated{}, takes: takes, carry: carry}
}

// begin is for when the write of entries begins: they go to each member that
// raft asks for just these next, in the term of its last answer. It tells whether
// there is any.
func (e *earlies) begin(entries []*raft.Log, commit uint64) (begun bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	first := entries[0]
	for id, r := range e.members {
		if e.closed || !r.rest || r.from.Term != first.Term || r.match.index+1 != first.Index || !e.takes(id, first.Term) {
			continue
		}
		req := r.from
		req.PrevLogEntry, req.PrevLogTerm = r.match.index, r.match.term
		req.Entries, req.LeaderCommitIndex = entries, commit
		m := &earlyAppend{id: id, to: r.to, req: &req, done: make(chan struct{})}
		r.rest, r.sent = false, m
		e.senders.Go(func() { e.carry(m) })
		begun = true
	}
	return begun
}

// take is for when raft asks a member for something. What it returns may hold
// the answer, and is forgotten here.
func (e *earlies) take(id raft.ServerID) *earlyAppend {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.members[id]
	if r == nil {
		return nil
	}
	m := r.sent
	r.rest, r.sent = false, nil
	return m
}

// settle is for when raft is given an answer: after a good one it knows what
// the member holds.
func (e *earlies) settle(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) {
	if !accepts(resp, req.Term) {
		return
	}
	r := &replicated{rest: true, to: to, match: logID{req.PrevLogEntry, req.PrevLogTerm}}
	r.from.RPCHeader, r.from.Term = req.RPCHeader, req.Term
	if n := len(req.Entries); n > 0 {
		r.match = logID{req.Entries[n-1].Index, req.Entries[n-1].Term}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.members[id] = r
}

// close lets no further message begin and waits for those under way, whose
// connections have been closed before.
func (e *earlies) close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.senders.Wait()
}

// answers tells whether the answer to an early message is the answer to raft's
// question, for which it waits: it is to the same one, the member holds the
// entries, and has been heard of so recently that raft may take it for alive.
func (m *earlyAppend) answers(to raft.ServerAddress, req *raft.AppendEntriesRequest, closed <-chan struct{}) bool {
	if m == nil || !m.asks(to, req) {
		return false
	}
	select {
	case <-m.done:
	case <-closed:
		return false
	}
	return !m.answered.IsZero() && accepts(&m.resp, req.Term) &&
		(time.Since(m.answered) <= maxEarlyAge || mutant.On(mutant.EarlyStale))
}

// accepts tells whether an answer says that the member holds the entries, and
// knows of no later term.
func accepts(resp *raft.AppendEntriesResponse, term uint64) bool {
	return resp.Success && resp.Term == term || mutant.On(mutant.EarlyRefused)
}

// asks tells whether raft asks the same: the same member, in the same term, for
// the same entries behind the same one. An index and a term name one entry.
func (m *earlyAppend) asks(to raft.ServerAddress, req *raft.AppendEntriesRequest) bool {
	if mutant.On(mutant.EarlyAny) {
		return len(req.Entries) > 0
	}
	sent := m.req
	if m.to != to || sent.Term != req.Term || sent.PrevLogEntry != req.PrevLogEntry || sent.PrevLogTerm != req.PrevLogTerm ||
		len(sent.Entries) != len(req.Entries) {
		return false
	}
	for i, l := range sent.Entries {
		if l.Index != req.Entries[i].Index || l.Term != req.Entries[i].Term {
			return false
		}
	}
	return true
}
