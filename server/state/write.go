package state

import (
	"fmt"
	"slices"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
)

// write runs a client's write at most once: admission drops what is doubled or
// out of order within a generation, and the kept outcomes answer what a client
// sends again in a later one.
func (m *Machine) write(t *Txn, out *Outcome) []znode.Effect {
	out.Answer.Op, out.Answer.Xid = t.Op, t.Xid
	switch m.admit(t) {
	case session.Accept:
	case session.Duplicate:
		out.Verdict = Duplicate
		return nil
	case session.Gap:
		out.Verdict = Gap
		return nil
	case session.Fenced:
		out.Verdict = Fenced
		return nil
	default:
		m.refuseEnded(t.Session, out)
		return nil
	}
	m.acknowledge(t)
	if t.Xid != 0 && m.answered(t, out) {
		return nil
	}
	if t.Op == protocol.OpCloseSession {
		return m.end(t.Session, closedByClient, out)
	}
	actor, form, err := m.decode(t)
	defer m.forgetSteps()
	if t.Xid != 0 && m.sessions.Full(t.Session, answerBound(m.steps, form)) {
		fail(&out.Answer, protocol.TooManyOutcomes, "the session keeps as many unacknowledged answers as it may")
		return nil
	}
	var effects []znode.Effect
	if err != nil {
		fail(&out.Answer, protocol.BadArguments, err.Error())
	} else {
		effects = m.run(&actor, form, &out.Answer)
	}
	if t.Xid != 0 {
		m.keep(t, &out.Answer)
	}
	return effects
}

// answered tells whether t ran in an earlier generation, and gives its answer, or
// Aborted if that is no longer kept. A write that never ran must not run behind one
// with a higher xid either; its client is told so, and may send it as a new one.
func (m *Machine) answered(t *Txn, out *Outcome) bool {
	switch kept, knowledge := m.known(t); knowledge {
	case session.Kept:
		out.Verdict = Repeated
		out.Answer.Code, out.Answer.Zxid, out.Answer.Body = protocol.Code(kept.Code), kept.Zxid, kept.Body
		return true
	case session.Lost:
		fail(&out.Answer, protocol.Aborted, "sent again after its answer was acknowledged; it did not run again")
		return true
	case session.Overtaken:
		fail(&out.Answer, protocol.TooManyOutcomes, "it was refused and has not run, but a write with a higher xid has: it may be sent again under a new one")
		return true
	}
	return false
}

// form is what an answer tells of the operations of its write.
type form uint8

const (
	single  form = iota // of the one there is
	ofEach              // a result each, of a multi
	ofFault             // the result of the one that failed, of a brief multi
)

// decode fills m.steps with the operations of t, one but for a multi. On an
// error m.steps is empty.
func (m *Machine) decode(t *Txn) (_ znode.Actor, answer form, err error) {
	m.steps = m.steps[:0]
	actor, err := m.actors.decode(t.IDs)
	if err != nil {
		return znode.Actor{}, single, err
	}
	if t.Op == protocol.OpMulti {
		var brief bool
		answer = ofEach
		if m.steps, brief, err = protocol.DecodeMulti(t.Body, m.steps); brief {
			answer = ofFault
		}
	} else {
		m.steps = slices.Grow(m.steps, 1)[:1]
		err = protocol.DecodeWrite(t.Op, t.Body, &m.steps[0])
	}
	if err != nil {
		m.steps = m.steps[:0]
	}
	actor.Session = t.Session
	return actor, answer, err
}

// forgetSteps lets go of the memory of an uncommonly large multi.
func (m *Machine) forgetSteps() {
	if cap(m.steps) > maxKeptSteps {
		m.steps = nil
	}
}

// answerBound returns a size that the encoded answer to steps never exceeds.
// It is computed before they run, since a session with no room for the answer
// must not run them.
func answerBound(steps []protocol.WriteOp, f form) int {
	bound := protocol.AnswerBytes
	if f == ofFault {
		return bound
	}
	for i := range steps {
		bound += steps[i].ResultBytes()
	}
	return bound
}

// run performs m.steps in one transaction of the tree: all or none.
func (m *Machine) run(a *znode.Actor, f form, answer *protocol.Message) []znode.Effect {
	var results []protocol.Message
	if f == ofEach {
		results = make([]protocol.Message, len(m.steps))
	}
	var untold protocol.Message
	m.tree.Begin(m.zxid+1, m.clockMs)
	deletable := m.maxDeleted
	for i := range m.steps {
		result := answer
		switch f {
		case ofFault:
			result = &untold
		case ofEach:
			result = &results[i]
			result.Op = m.steps[i].Op
		}
		if err := m.perform(a, &m.steps[i], &deletable, result); err != nil {
			effects := m.undo()
			fail(answer, protocol.CodeOf(err), err.Error())
			switch f {
			case ofFault:
				answer.More.Results = []protocol.Message{{Op: m.steps[i].Op, Code: answer.Code}}
				answer.More.Count = int64(i)
			case ofEach:
				answer.More.Results = m.undone(results, i, answer.Code)
			}
			return effects
		}
	}
	if f != single {
		answer.More = &protocol.More{Results: results}
	}
	return m.commit()
}

// undone rewrites the results of a multi of which one operation failed: none
// of them happened.
func (m *Machine) undone(results []protocol.Message, culprit int, code protocol.Code) []protocol.Message {
	for i := range results {
		results[i] = protocol.Message{Op: m.steps[i].Op}
		switch {
		case i == culprit:
			results[i].Code = code
		case i > culprit:
			results[i].Code = protocol.RuntimeInconsistency
		}
	}
	return results
}

// perform runs one operation of the transaction at hand.
func (m *Machine) perform(a *znode.Actor, w *protocol.WriteOp, deletable *int, result *protocol.Message) error {
	switch w.Op {
	case protocol.OpCreate:
		return m.create(a, w, result)
	case protocol.OpDelete:
		return m.delete(a, w, deletable, result)
	case protocol.OpSet:
		return m.set(a, w, result)
	case protocol.OpSetACL:
		return m.setACL(a, w, result)
	case protocol.OpCheck:
		return m.tree.Check(asking(a, w.Op), w.Path, w.Version)
	case protocol.OpGuard:
		return m.tree.Guard(a, w.Path, w.Czxid)
	case protocol.OpRaiseSequence:
		return m.tree.RaiseSequence(a, w.Path, w.AtLeast)
	}
	return fmt.Errorf("%w: no operation %d", znode.ErrBadArguments, w.Op)
}

func (m *Machine) set(a *znode.Actor, w *protocol.WriteOp, result *protocol.Message) error {
	stat, err := m.tree.Set(a, w.Path, w.Data, w.Version)
	if err == nil {
		err = countable(w, stat.Version)
	}
	if err == nil {
		result.Stat = stat
	}
	return err
}

func (m *Machine) setACL(a *znode.Actor, w *protocol.WriteOp, result *protocol.Message) error {
	stat, err := m.tree.SetACL(a, w.Path, w.ACL, w.Version)
	if err == nil {
		err = countable(w, stat.Aversion)
	}
	if err == nil {
		result.Stat = stat
	}
	return err
}

// countable refuses a version that the client cannot be told. What made it is
// taken back with the transaction, like everything before an error.
func countable(w *protocol.WriteOp, version int64) error {
	if !w.Narrow || version <= znode.MaxNarrow {
		return nil
	}
	return fmt.Errorf("%v %s: %w", w.Op, w.Path, znode.TooWide("version", uint64(version)))
}

func (m *Machine) create(a *znode.Actor, w *protocol.WriteOp, result *protocol.Message) error {
	if r, ok := m.sessions.Get(a.Session); ok {
		w.Create.MaxEphemerals = int(r.MaxEphemerals)
	}
	m.number(&w.Create)
	created, err := m.tree.Create(a, &w.Create)
	if err != nil {
		return err
	}
	result.Path, result.Stat = created.Path, created.Stat
	if created.Existed {
		result.More = &protocol.More{Existed: true}
	}
	return nil
}

func (m *Machine) delete(a *znode.Actor, w *protocol.WriteOp, deletable *int, result *protocol.Message) error {
	if !w.Recursive {
		return m.tree.Delete(a, w.Path, w.Version)
	}
	n, err := m.tree.DeleteAll(a, w.Path, w.Version, *deletable)
	if err != nil {
		return err
	}
	*deletable -= n
	result.More = &protocol.More{Count: int64(n)}
	return nil
}

// keep remembers the answer for a client that asks again. It is kept without
// the text of an error, so that no replica's state depends on the wording of
// its version.
func (m *Machine) keep(t *Txn, answer *protocol.Message) {
	if m.ranBefore(t) {
		return
	}
	wordless := *answer
	if answer.More != nil && answer.More.Detail != "" {
		more := *answer.More
		more.Detail = ""
		wordless.More = &more
	}
	m.scratch = protocol.AppendReplyBody(m.scratch[:0], &wordless)
	m.sessions.Keep(t.Session, session.Outcome{Xid: t.Xid, Zxid: m.zxid, Code: int32(answer.Code), Body: m.scratch})
	if answer.Code != protocol.OK {
		return // the first to hear of an error hears the words too
	}
	if kept, knowledge := m.sessions.Known(t.Session, t.Xid); knowledge == session.Kept {
		answer.Body = kept.Body
	}
}
