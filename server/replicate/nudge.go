package replicate

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/internal/mutant"
)

// logID is where an entry stands: the term in which it was proposed is part of
// what it is.
type logID struct{ index, term uint64 }

// hashicorp/raft tells followers of a commit with the next entry or after up to
// twice its commit timeout. Those whose clients wait for it are told here, when no
// other batch is under way that brings the word; those whose clients may watch, when
// nothing is queued either, and where one write follows the other a moment later.

// committing is told by raft's goroutine for the machine of an entry that is
// committed and about to be applied here: a follower's client need not wait for that.
func (s *streams) committing(e logID) {
	for _, i := range s.n.prop.awaiting() {
		if i.takesWords {
			i.tellOf(e)
		}
	}
}

// notice is told under the proposer's lock that a batch has been applied here, and
// that the follower is to know.
func (i *inlet) notice(index uint64) {
	if i.told.Load() < index {
		hint(i.notices)
	}
}

// outrun tells whether the follower is slower than the others.
func (i *inlet) outrun() bool { return i.s.n.progress.isOutrun(serverID(i.member)) }

// nudges tells of batches that have been applied. The newest entry stands for all
// before it.
func (i *inlet) nudges() {
	for {
		select {
		case <-i.ctx.Done():
			return
		case <-i.notices:
			if newest := i.s.n.fsm.newest.Load(); newest != nil {
				i.tellOf(*newest)
			}
		}
	}
}

// tellOf tells the follower that an entry is committed, unless it has been told.
// What another leader proposed is not ours to tell.
func (i *inlet) tellOf(e logID) {
	if e.term != i.reign.term || i.reign.over() || !raise(&i.told, e.index) {
		return
	}
	i.s.counts.nudges.Add(1)
	tell := i.sendWord
	if !i.takesWords {
		tell = i.sendAppend
	}
	if err := tell(e); err != nil {
		i.s.n.cfg.Logger.Debug("commit notice failed", "server", i.member, "error", err)
	}
}

func raise(a *atomic.Uint64, to uint64) (raised bool) {
	for old := a.Load(); old < to; old = a.Load() {
		if a.CompareAndSwap(old, to) {
			return true
		}
	}
	return false
}

// sendWord says so over the stream, with one write to which nothing is answered.
func (i *inlet) sendWord(e logID) error {
	frame := appendNumbers(beginFrame(make([]byte, 0, 128), frameCommit), e.term, e.index)
	frame = append(frame, i.s.n.header().Addr...)
	endFrame(frame, 0)
	_ = i.conn.SetWriteDeadline(time.Now().Add(tellTime))
	if _, err := i.conn.Write(frame); err != nil {
		i.conn.Close()
		return err
	}
	return nil
}

// sendAppend says so to a server of an older program, in raft's own way. Raft there
// refuses it before the entry, which may come over another connection, and a word
// that is refused is not said again.
func (i *inlet) sendAppend(e logID) error {
	select {
	case <-i.s.n.progress.holds(i.ctx, serverID(i.member), e.index):
		return i.s.n.appendTo(i.member, wordOf(e))
	case <-i.ctx.Done():
		return context.Cause(i.ctx)
	}
}

// wordOf is the empty AppendEntries that a leader might have sent anyway: the entry
// before it is committed, and its term is that of the leader, so it was his to
// replicate. A follower that has another entry there refuses; one that knows a newer
// term ignores it.
func wordOf(e logID) *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{Term: e.term, PrevLogEntry: e.index, PrevLogTerm: e.term, LeaderCommitIndex: e.index}
}

// toldOf is the follower's, over whose stream its leader has said so.
func (n *Node) toldOf(e logID, leader uint64, addr string) {
	inst := n.instance()
	if inst == nil {
		return
	}
	if t, ok := inst.trans.(*peerTransport); ok {
		req := wordOf(e)
		req.RPCHeader = headerOf(leader, addr)
		t.hearWord(req)
	}
}

// hearWord hands raft the word of a commit. It waits for nobody: while raft has no
// time, or not yet the entry, the word waits in the relay, the newest alone.
func (t *peerTransport) hearWord(req *raft.AppendEntriesRequest) {
	if req.PrevLogEntry <= t.last() || mutant.On(mutant.HastyWord) {
		select {
		case t.rpcs <- unanswered(req):
			return
		default: // raft may be writing
		}
	}
	t.word.Store(req)
	hint(t.words)
}

// unanswered asks what nobody waits to be answered.
func unanswered(req *raft.AppendEntriesRequest) raft.RPC {
	return raft.RPC{Command: req, RespChan: make(chan raft.RPCResponse, 1)}
}
