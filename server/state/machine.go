package state

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
)

// Machine is the replicated state. Apply and Freeze need the caller's write
// lock, all else its read lock.
type Machine struct {
	zxid     uint64
	clockMs  int64
	tree     *znode.Tree
	sessions *session.Table

	maxDeleted   int // the constants, but for tests
	sharedFrom   int
	prefetchFrom int

	listings listings
	actors   actors
	steps    []protocol.WriteOp // of the transaction at hand, reused
	scratch  []byte
}

// New returns the machine that every log starts from.
func New() *Machine {
	return newMachine(znode.New(), session.NewTable())
}

func newMachine(tree *znode.Tree, sessions *session.Table) *Machine {
	return &Machine{tree: tree, sessions: sessions, maxDeleted: maxDeleted, sharedFrom: sharedFrom, prefetchFrom: prefetchFrom}
}

// Zxid returns the number of the newest transaction that changed something.
func (m *Machine) Zxid() uint64 { return m.zxid }

// Leap has the zxids go on behind a higher one. It is no transaction: only who makes a
// machine that no log has led on may call it.
func (m *Machine) Leap(zxid uint64) { m.zxid = zxid }

// ClockMs returns the machine's time: the highest stamp of any batch so far.
func (m *Machine) ClockMs() int64 { return m.clockMs }

// Len returns the number of znodes.
func (m *Machine) Len() int { return m.tree.Len() }

// Tree gives the tree for reading.
func (m *Machine) Tree() *znode.Tree { return m.tree }

// Sessions gives the session table for reading.
func (m *Machine) Sessions() *session.Table { return m.sessions }

// Digest returns a hash of all that Apply can change, in O(1). Machines that
// applied the same entries have the same.
func (m *Machine) Digest() uint64 {
	return digest(m.zxid, m.clockMs, m.tree.Digest(), m.sessions.Digest())
}

func digest(zxid uint64, clockMs int64, tree, sessions uint64) uint64 {
	var b [4 * 8]byte
	for i, word := range [...]uint64{zxid, uint64(clockMs), tree, sessions} {
		binary.LittleEndian.PutUint64(b[i*8:], word)
	}
	return xxhash.Sum64(b[:])
}

// Apply runs one transaction of a batch stamped stampMs, overwrites out with
// what became of it and returns what it changed; the effects are valid until
// the next Apply. It keeps nothing of t, and whatever out points at is never
// changed again.
func (m *Machine) Apply(t *Txn, stampMs int64, out *Outcome) []znode.Effect {
	m.clockMs = max(m.clockMs, stampMs)
	*out = Outcome{Verdict: Applied}
	var effects []znode.Effect
	switch t.Kind {
	case TxnWrite:
		effects = m.write(t, out)
	case TxnOpen:
		m.open(t, out)
	case TxnAttach:
		m.attach(t, out)
	case TxnExpire:
		effects = m.expire(t, out)
	case TxnReap:
		effects = m.reap(t, out)
	case TxnConfig:
		effects = m.configure(t)
	}
	if out.Verdict != Repeated || t.Kind != TxnWrite { // a kept answer has the zxid of its run
		out.Answer.Zxid = m.zxid
	}
	return effects
}

// configure has /zookeeper/config name the members.
func (m *Machine) configure(t *Txn) []znode.Effect {
	m.tree.Begin(m.zxid+1, m.clockMs)
	m.tree.Configure(t.Members)
	return m.commit()
}

// commit ends the tree's transaction. One that changed nothing takes no zxid.
func (m *Machine) commit() []znode.Effect {
	effects := m.tree.Commit()
	if len(effects) > 0 {
		m.zxid++
	}
	return effects
}

// fail makes the answer say why nothing was done.
func fail(answer *protocol.Message, code protocol.Code, detail string) {
	answer.Code = code
	if detail != "" {
		answer.More = &protocol.More{Detail: detail}
	}
}
