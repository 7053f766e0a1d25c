package state

import (
	"testing"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
	"github.com/stretchr/testify/require"
)

// bench is a machine with a session, for tests that tell a story.
type bench struct {
	t       testing.TB
	m       *Machine
	id      uint64
	gen     uint64
	seq     uint64
	xid     uint64
	ids     []byte
	stampMs int64
	out     Outcome
	effects []znode.Effect
}

var plainIDs = protocol.AppendIdentities(nil, []znode.Identity{near})

func newBench(t testing.TB) *bench {
	b := &bench{t: t, m: New(), ids: plainIDs, stampMs: 1000}
	b.apply(&Txn{Kind: TxnOpen, PasswordHash: [32]byte{1}, TimeoutMs: 5000})
	require.Equal(t, Applied, b.out.Verdict)
	b.id, b.gen = b.out.Session, b.out.Generation
	return b
}

func (b *bench) apply(t *Txn) *Outcome {
	b.effects = b.m.Apply(t, b.stampMs, &b.out)
	return &b.out
}

// next is the session's next write, not yet applied.
func (b *bench) next(op protocol.Op, body []byte) *Txn {
	b.seq++
	b.xid++
	return &Txn{Kind: TxnWrite, Session: b.id, Generation: b.gen, Seq: b.seq, Xid: b.xid, Op: op, IDs: b.ids, Body: body}
}

func (b *bench) write(w protocol.WriteOp) *Outcome {
	return b.apply(b.next(w.Op, protocol.AppendWrite(nil, &w)))
}

func (b *bench) multi(steps ...protocol.WriteOp) *Outcome {
	return b.apply(b.next(protocol.OpMulti, protocol.AppendMulti(nil, steps)))
}

// done is write for what must succeed.
func (b *bench) done(w protocol.WriteOp) *Outcome {
	b.t.Helper()
	out := b.write(w)
	require.Equal(b.t, protocol.OK, out.Answer.Code, detail(&out.Answer))
	return out
}

func (b *bench) attach(attempt uint64) *Outcome {
	out := b.apply(&Txn{Kind: TxnAttach, Session: b.id, PasswordHash: [32]byte{1}, Attempt: attempt, TimeoutMs: 6000})
	if out.Verdict == Applied && out.Answer.Code == protocol.OK {
		b.gen, b.seq = out.Generation, 0
	}
	return out
}

func (b *bench) read(r protocol.Read) protocol.Message {
	var out protocol.Message
	b.m.Read(&znode.Actor{Session: b.id, IDs: []znode.Identity{near}}, &r, &out)
	return out
}

func create(path string, data string) protocol.WriteOp {
	return protocol.WriteOp{Op: protocol.OpCreate, Create: znode.CreateOp{Path: path, Data: []byte(data), ACL: open}}
}

func ephemeral(path string) protocol.WriteOp {
	w := create(path, "")
	w.Create.Kind = znode.Ephemeral
	return w
}

func set(path string, data string) protocol.WriteOp {
	return protocol.WriteOp{Op: protocol.OpSet, Path: path, Data: []byte(data), Version: znode.AnyVersion}
}

func remove(path string) protocol.WriteOp {
	return protocol.WriteOp{Op: protocol.OpDelete, Path: path, Version: znode.AnyVersion}
}

func check(path string, version int64) protocol.WriteOp {
	return protocol.WriteOp{Op: protocol.OpCheck, Path: path, Version: version}
}

func treeOf(t testing.TB, records []znode.Record) *znode.Tree {
	l := znode.NewLoader()
	var run znode.Run
	run.Begin(l)
	for i := range records {
		require.NoError(t, run.Add(&records[i]))
	}
	_, err := l.Attach(&run)
	require.NoError(t, err)
	tree, err := l.Tree()
	require.NoError(t, err)
	return tree
}
