package pipeline

import (
	"fmt"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/session"
)

// keepLimit is what the kept answers of one session may take at present. Each
// KeptStepBytes that those of all sessions take halves it, so that who holds the most
// is refused first, and one client with many sessions cannot fill the memory of all
// servers. Before the first step there is no bound but that of each session.
func (c *Core) keepLimit() (bytes int, tight bool) {
	halvings := c.kept.Load() / c.cfg.KeptStepBytes
	return max(c.cfg.KeptLeastBytes, session.MaxOutcomeBytes>>halvings), halvings > 0
}

// mayKeep tells whether there is room for the answer of a write, and how much that
// needs at most, unless there is plenty. It is asked before the log: what is in the
// log runs by the session's own bound, the same on every server. A write whose xid was
// seen already goes there, as refuse has it.
func (l *Lane) mayKeep(r *protocol.Request) (need int, ok bool) {
	c := l.core
	limit, tight := c.keepLimit()
	if !tight || r.Unkept || r.Xid == 0 || r.Op == protocol.OpCloseSession {
		return 0, true
	}
	need = session.KeptBytes + protocol.AnswerBound(r.Op, r.Body)
	c.mu.RLock()
	defer c.mu.RUnlock()
	record, alive := c.machine.Sessions().Get(l.session)
	if !alive || r.Xid <= record.HighXid {
		return need, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return need, record.Keeps(r.Arg)+l.keeping+need <= limit
}

func (l *Lane) refuseToKeep(r *protocol.Request) *protocol.Message {
	l.core.counts.keepsRefused.Add(1)
	limit, _ := l.core.keepLimit()
	return refused(r, protocol.TooManyOutcomes,
		fmt.Sprintf("so many answers of all sessions wait to be acknowledged that one session may have %d bytes of them", limit))
}
