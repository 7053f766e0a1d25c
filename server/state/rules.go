package state

import (
	"fmt"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
)

// The session table's rules as a transaction meets them. They stand here by
// themselves so that a build for server/sim can switch each one off; in any
// other build a switch is the constant false.

func (m *Machine) admit(t *Txn) session.Admission {
	a := m.sessions.Admit(t.Session, t.Generation, t.Seq)
	switch {
	case mutant.On(mutant.NoAdmission) && (a == session.Duplicate || a == session.Gap),
		mutant.On(mutant.NoGenerations) && a == session.Fenced,
		mutant.On(mutant.ClosedWrites) && a == session.NoSession && t.Op != protocol.OpCloseSession:
		return session.Accept
	}
	return a
}

func (m *Machine) acknowledge(t *Txn) { m.sessions.Acknowledge(t.Session, m.ack(t)) }

func (m *Machine) ack(t *Txn) uint64 {
	switch {
	case mutant.On(mutant.NoPruning):
		return 0
	case mutant.On(mutant.EagerPruning):
		return max(t.Ack, t.Xid)
	}
	return t.Ack
}

func (m *Machine) known(t *Txn) (*session.Outcome, session.Knowledge) {
	kept, knowledge := m.sessions.Known(t.Session, t.Xid)
	switch {
	case mutant.On(mutant.NoReplay) && knowledge == session.Kept,
		mutant.On(mutant.NoAborted) && (knowledge == session.Lost || knowledge == session.Overtaken):
		return nil, session.New
	}
	return kept, knowledge
}

// ranBefore is true only of what known let run a second time.
func (m *Machine) ranBefore(t *Txn) bool {
	if !mutant.On(mutant.NoReplay) && !mutant.On(mutant.NoAborted) {
		return false
	}
	_, knowledge := m.sessions.Known(t.Session, t.Xid)
	return knowledge != session.New
}

func (m *Machine) attempt(t *Txn) uint64 {
	if r, ok := m.sessions.Get(t.Session); ok && mutant.On(mutant.NoAttempt) {
		return max(t.Attempt, r.Attempt+1)
	}
	return t.Attempt
}

// undo takes a failed transaction of the tree back.
func (m *Machine) undo() []znode.Effect {
	if mutant.On(mutant.HalfMulti) {
		return m.commit()
	}
	m.tree.Rollback()
	return nil
}

func (m *Machine) deleteEphemerals(session uint64) {
	if mutant.On(mutant.KeepEphemeral) {
		paths, _ := m.tree.Ephemerals(session, "", "", 0)
		for _, path := range paths[min(1, len(paths)):] {
			_ = m.tree.Delete(anybody, path, znode.AnyVersion)
		}
		return
	}
	m.tree.DeleteEphemerals(session)
}

// anybody may do anything.
var anybody = superuser()

func superuser() *znode.Actor {
	a := znode.NewActor(0, []znode.Identity{{Scheme: znode.SchemeSuper}})
	return &a
}

// asking is who asks, as far as an operation's ACL check is concerned.
func asking(a *znode.Actor, op protocol.Op) *znode.Actor {
	switch {
	case mutant.On(mutant.NoChildrenACL) && op == protocol.OpChildren,
		mutant.On(mutant.NoStatACL) && op == protocol.OpExists,
		mutant.On(mutant.NoCheckACL) && op == protocol.OpCheck:
		return anybody
	}
	return a
}

// number gives a sequential create the name that only mutants give it.
func (m *Machine) number(op *znode.CreateOp) {
	if mutant.On(mutant.ReuseNumbers) && op.Sequential {
		stat, _, _ := m.tree.Peek(znode.Parent(op.Path))
		op.Path, op.Sequential = fmt.Sprintf("%s%010d", op.Path, stat.NumChildren), false
	}
}
