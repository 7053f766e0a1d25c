package state

import (
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
)

// closedByClient is the cause of a session that its client ended.
const closedByClient = "closed by the client"

// open creates the session that proves itself by t's password. A copy of an
// open that ran finds the session it made.
func (m *Machine) open(t *Txn, out *Outcome) {
	if t.TimeoutMs <= 0 || t.MaxEphemerals < 0 {
		fail(&out.Answer, protocol.BadArguments, "a session needs a positive timeout")
		return
	}
	if id, ok := m.sessions.ByPassword(t.PasswordHash); ok {
		out.Verdict = Repeated
		r, _ := m.sessions.Get(id)
		out.tell(r)
		return
	}
	m.zxid++
	out.tell(m.sessions.Open(m.zxid, t.PasswordHash, t.TimeoutMs, t.MaxEphemerals))
}

// attach moves a session to a new generation, so that all that its former
// connections still have under way is fenced.
func (m *Machine) attach(t *Txn, out *Outcome) {
	if t.TimeoutMs <= 0 {
		fail(&out.Answer, protocol.BadArguments, "a session needs a positive timeout")
		return
	}
	r, verdict := m.sessions.Attach(t.Session, t.PasswordHash, m.attempt(t), t.TimeoutMs, m.ack(t))
	switch verdict {
	case session.Attached:
		m.zxid++
		out.tell(r)
	case session.Repeat:
		out.Verdict = Repeated
		out.tell(r)
	case session.Stale:
		fail(&out.Answer, protocol.SessionMoved, "a newer attempt has attached the session")
	default:
		m.refuseEnded(t.Session, out)
	}
}

func (o *Outcome) tell(r *session.Record) {
	o.Session, o.Generation, o.TimeoutMs = r.ID, r.Generation, r.TimeoutMs
}

// expire ends a session, unless it moved on since the leader decided so.
func (m *Machine) expire(t *Txn, out *Outcome) []znode.Effect {
	r, ok := m.sessions.Get(t.Session)
	switch {
	case !ok:
		m.refuseEnded(t.Session, out)
		return nil
	case r.Generation != t.Generation:
		out.Verdict = Fenced
		fail(&out.Answer, protocol.SessionMoved, "the session has been attached again")
		return nil
	}
	return m.end(t.Session, t.Cause, out)
}

// end deletes a session's ephemerals in the order of their paths and forgets
// the session, all in one step of the zxid.
func (m *Machine) end(id uint64, cause string, out *Outcome) []znode.Effect {
	r, _ := m.sessions.Get(id)
	out.tell(r)
	m.tree.Begin(m.zxid+1, m.clockMs)
	m.deleteEphemerals(id)
	effects := m.tree.Commit()
	m.zxid++
	m.sessions.Close(id, m.zxid, cause)
	ended, _ := m.sessions.Ended(id)
	out.Ended, out.Cause = true, ended.Cause // cut to its bound
	return effects
}

// refuseEnded answers whoever comes for a session that does not exist, with
// the cause of its end while that is known.
func (m *Machine) refuseEnded(id uint64, out *Outcome) {
	ended, known := m.sessions.Ended(id)
	if !known {
		fail(&out.Answer, protocol.SessionExpired, "")
		return
	}
	out.Cause = ended.Cause
	fail(&out.Answer, protocol.SessionExpired, "the session has ended: "+ended.Cause)
}

// reap deletes a container or TTL node, unless it was touched since the leader
// saw it idle.
func (m *Machine) reap(t *Txn, out *Outcome) []znode.Effect {
	m.tree.Begin(m.zxid+1, m.clockMs)
	if err := m.tree.Reap(t.Path, t.Mzxid, t.Pzxid); err != nil {
		m.tree.Rollback()
		fail(&out.Answer, protocol.CodeOf(err), err.Error())
		return nil
	}
	return m.commit()
}
