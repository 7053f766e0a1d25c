package state

import (
	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/session"
)

// The session table's rules as a transaction meets them. They stand here by
// themselves so that a build for server/sim can switch each one off; in any
// other build a switch is the constant false.

func (m *Machine) admit(t *Txn) session.Admission {
	a := m.sessions.Admit(t.Session, t.Generation, t.Seq)
	switch {
	case mutant.On(mutant.NoAdmission) && (a == session.Duplicate || a == session.Gap),
		mutant.On(mutant.NoGenerations) && a == session.Fenced:
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
		mutant.On(mutant.NoAborted) && knowledge == session.Lost:
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
