package pipeline

import (
	"fmt"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
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

// refuseToKeep answers a write for which there is no room, in its turn. What it
// acknowledges is not lost: if that is more than the log was told, a no-op tells it,
// or sessions with much to acknowledge and much to ask for would refuse each other
// for ever.
func (l *Lane) refuseToKeep(r *protocol.Request) verdict {
	limit, _ := l.core.keepLimit()
	m := refused(r, protocol.TooManyOutcomes,
		fmt.Sprintf("so many answers of all sessions wait to be acknowledged that one session may have %d bytes of them", limit))
	if !l.acknowledges(r.Arg) {
		return l.answer(m)
	}
	return l.order(&protocol.Request{Op: protocol.OpCheck, Xid: r.Xid, Arg: r.Arg, Unkept: true, Body: checkOfRoot}, 0, 0, m)
}

// checkOfRoot changes nothing, and every version knows it.
var checkOfRoot = protocol.AppendCheck(nil, "/", znode.AnyVersion)

// acknowledges tells whether ack gives something up that is kept and that no write on
// its way gives up.
func (l *Lane) acknowledges(ack uint64) bool {
	c := l.core
	c.mu.RLock()
	defer c.mu.RUnlock()
	record, alive := c.machine.Sessions().Get(l.session)
	if !alive {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return record.Keeps(ack) < record.Keeps(l.acked)
}
