package state

import (
	"maps"
	"slices"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
)

func (o *oracle) open(t *Txn, e *expected) {
	for _, s := range o.sessions {
		if s.hash == t.PasswordHash {
			e.verdict = Repeated
			e.tell(s)
			return
		}
	}
	o.zxid++
	s := &osession{
		id: o.zxid, generation: 1, hash: t.PasswordHash, timeoutMs: t.TimeoutMs, maxEphemeral: t.MaxEphemerals,
		nextSeq: 1, outcomes: map[uint64]ooutcome{},
	}
	o.sessions[s.id] = s
	e.tell(s)
}

func (e *expected) tell(s *osession) {
	e.session, e.generation, e.timeoutMs = s.id, s.generation, s.timeoutMs
}

func (o *oracle) attach(t *Txn, e *expected) {
	s := o.sessions[t.Session]
	switch {
	case s == nil:
		o.gone(t.Session, e)
	case s.hash != t.PasswordHash:
		e.answer.Code = protocol.SessionExpired
	case t.Attempt < s.attempt || t.Attempt == 0:
		e.answer.Code = protocol.SessionMoved
	case t.Attempt == s.attempt:
		e.verdict = Repeated
		e.tell(s)
	default:
		o.zxid++
		s.generation++
		s.attempt, s.timeoutMs, s.nextSeq = t.Attempt, t.TimeoutMs, 1
		s.acknowledge(t.Ack)
		e.tell(s)
	}
}

func (s *osession) acknowledge(ack uint64) {
	if ack <= s.ack {
		return
	}
	s.ack = ack
	for xid, kept := range s.outcomes {
		if xid < s.ack {
			s.bytes -= len(kept.body)
			delete(s.outcomes, xid)
		}
	}
}

func (o *oracle) gone(id uint64, e *expected) {
	e.answer.Code = protocol.SessionExpired
	for _, ended := range o.remembered() {
		if ended.ID == id {
			e.cause = ended.Cause
		}
	}
}

func (o *oracle) remembered() []session.Ended { return o.ended[max(0, len(o.ended)-10_000):] }

func (o *oracle) expire(t *Txn, e *expected) {
	s := o.sessions[t.Session]
	switch {
	case s == nil:
		o.gone(t.Session, e)
	case s.generation != t.Generation:
		e.verdict = Fenced
		e.answer.Code = protocol.SessionMoved
	default:
		o.end(s, t.Cause, e)
	}
}

func (o *oracle) end(s *osession, cause string, e *expected) {
	for _, path := range slices.Sorted(maps.Keys(o.nodes)) {
		if n := o.nodes[path]; n.stat.Kind == znode.Ephemeral && n.stat.Owner == s.id {
			o.remove(path)
		}
	}
	o.zxid++
	delete(o.sessions, s.id)
	o.ended = append(o.ended, session.Ended{ID: s.id, Zxid: o.zxid, Cause: cause})
	e.tell(s)
	e.ended, e.cause = true, cause
}
