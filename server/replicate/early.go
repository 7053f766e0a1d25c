package replicate

import (
	"runtime"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/internal/mutant"
)

// earlies are the messages by which followers are sent a small batch while the
// leader's own write of it is under way. hashicorp/raft wakes its replication only
// after that write, so that a lone one waits for two disks and a round trip, one
// after the other. When raft asks a follower for the same, it is given the answer
// that is there already, or on its way.
type earlies struct {
	next chan *earlyAppend // to a goroutine that has sent one before

	mu      sync.Mutex                     // guards what follows; progress.mu and the transport's are taken under it
	unasked map[raft.ServerID]*earlyAppend // raft has not asked for the same yet
}

type earlyAppend struct {
	id   raft.ServerID
	to   raft.ServerAddress
	req  *raft.AppendEntriesRequest
	done chan struct{} // closed once what follows is set

	resp     raft.AppendEntriesResponse
	err      error
	answered time.Time
}

// early is what followers may be sent while entries are written here; nil: nothing.
// It is what the leader of that term might send them a moment later: the entry
// before is the newest one applied here, and so committed, and of this leader's term,
// as the entries are. What is large, or not alone, or changes who counts, waits.
func (n *Node) early(entries []*raft.Log) *raft.AppendEntriesRequest {
	before := n.fsm.newest.Load()
	if before == nil || n.leadTerm.Load() != before.term || !worthSendingEarly(*before, entries) {
		return nil
	}
	commit := before.index
	if mutant.On(mutant.EarlyCommit) {
		commit += uint64(len(entries))
	}
	return &raft.AppendEntriesRequest{
		RPCHeader: n.header(), Term: before.term, PrevLogEntry: before.index, PrevLogTerm: before.term,
		Entries: entries, LeaderCommitIndex: commit,
	}
}

func worthSendingEarly(before logID, entries []*raft.Log) bool {
	size := 0
	for i, l := range entries {
		size += len(l.Data)
		if l.Type != raft.LogCommand || l.Term != before.term || l.Index != before.index+1+uint64(i) || size > maxEarlyBytes {
			return false
		}
	}
	return len(entries) > 0
}

// storing is told of entries before they are stored. It waits for nobody.
func (t *peerTransport) storing(entries []*raft.Log) {
	if req := t.early(entries); req != nil {
		begun := false
		for _, s := range t.members() {
			begun = t.sendEarly(s, req) || begun
		}
		if begun {
			runtime.Gosched() // the messages go first: our write would keep them from this processor
		}
	}
	t.progress.storing(entries[len(entries)-1].Index)
}

// sendEarly sends a member what raft will ask it for next, if raft would not hold
// that back and the member has nothing to do before.
func (t *peerTransport) sendEarly(s raft.Server, req *raft.AppendEntriesRequest) bool {
	e := &t.earlies
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.unasked[s.ID] != nil || !t.progress.awaits(s.ID, req.PrevLogEntry) || t.holdsBack(s.ID) {
		return false
	}
	m := &earlyAppend{id: s.ID, to: s.Address, req: req, done: make(chan struct{})}
	e.unasked[s.ID] = m
	select {
	case e.next <- m:
	default:
		go t.sendEarlies(m)
	}
	return true
}

// sendEarlies sends a message, and then those that come while it waits: a goroutine of
// its own for each would grow a stack each time.
func (t *peerTransport) sendEarlies(m *earlyAppend) {
	for {
		m.err = t.append(m.id, m.to, m.req, &m.resp)
		m.answered = time.Now()
		close(m.done)
		select {
		case m = <-t.earlies.next:
		case <-t.closed:
			return
		}
	}
}

// answeredEarly gives raft the answer to an early message, for which it waits, if
// that is the answer to raft's question.
func (t *peerTransport) answeredEarly(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) bool {
	if len(req.Entries) == 0 {
		return false // word of a commit, which may go beside
	}
	m := t.earlies.take(id)
	if m == nil {
		return false
	}
	if !m.asks(to, req) {
		t.progress.outruns(id, true)
		return false
	}
	select {
	case <-m.done:
	case <-t.closed:
		return false
	}
	if !m.counts() {
		return false
	}
	t.progress.answeredEarly.Add(1)
	t.progress.outruns(id, false)
	*resp = m.resp
	return true
}

// take is for when raft asks a member for entries: an early message is the answer
// to that now, or never.
func (e *earlies) take(id raft.ServerID) *earlyAppend {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.unasked[id]
	delete(e.unasked, id)
	return m
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

// counts tells whether the member has said that it holds the entries and knows of
// no later term, so recently that raft may take it for a sign of life.
func (m *earlyAppend) counts() bool {
	switch {
	case m.err != nil:
		return false
	case mutant.On(mutant.EarlyRefused):
		return true
	case !m.resp.Success || m.resp.Term != m.req.Term:
		return false
	}
	return time.Since(m.answered) <= standInFor || mutant.On(mutant.EarlyStale)
}
