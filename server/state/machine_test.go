package state

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
	"github.com/stretchr/testify/require"
)

// Each step of a story says by how much the zxid rises.
func TestZxidRisesByOneForEachTransactionThatChangedSomething(t *testing.T) {
	b := newBench(t)
	second := [32]byte{2}
	ifAbsent := create("/a", "")
	ifAbsent.Create.IfAbsent = true
	for _, step := range []struct {
		name string
		txn  func() *Txn
		rise uint64
		code protocol.Code
	}{
		{"an open", func() *Txn { return &Txn{Kind: TxnOpen, PasswordHash: second, TimeoutMs: 1} }, 1, 0},
		{"a repeated open", func() *Txn { return &Txn{Kind: TxnOpen, PasswordHash: second, TimeoutMs: 1} }, 0, 0},
		{"an open without a timeout", func() *Txn { return &Txn{Kind: TxnOpen, PasswordHash: [32]byte{9}} }, 0, protocol.BadArguments},
		{"a create", func() *Txn { return b.txn(create("/a", "1")) }, 1, 0},
		{"a failed create", func() *Txn { return b.txn(create("/a", "1")) }, 0, protocol.NodeExists},
		{"a create if absent of what is there", func() *Txn { return b.txn(ifAbsent) }, 0, 0},
		{"a set", func() *Txn { return b.txn(set("/a", "2")) }, 1, 0},
		{"a set to the same data", func() *Txn { return b.txn(set("/a", "2")) }, 1, 0},
		{"a check", func() *Txn { return b.txn(check("/a", 2)) }, 0, 0},
		{"a failed check", func() *Txn { return b.txn(check("/a", 1)) }, 0, protocol.BadVersion},
		{"a multi of three changes", func() *Txn { return b.multiTxn(create("/b", ""), set("/b", "x"), remove("/b")) }, 1, 0},
		{"a multi of checks", func() *Txn { return b.multiTxn(check("/a", 2), check("/", -1)) }, 0, 0},
		{"an empty multi", func() *Txn { return b.multiTxn() }, 0, 0},
		{"a failed multi", func() *Txn { return b.multiTxn(create("/b", ""), check("/c", 1)) }, 0, protocol.NoNode},
		{"a duplicate", func() *Txn {
			return &Txn{Kind: TxnWrite, Session: b.id, Generation: 1, Seq: 1, Xid: 99, Op: protocol.OpSet}
		}, 0, 0},
		{"a gap", func() *Txn {
			return &Txn{Kind: TxnWrite, Session: b.id, Generation: 1, Seq: 99, Xid: 99, Op: protocol.OpSet}
		}, 0, 0},
		{"a fenced write", func() *Txn { return &Txn{Kind: TxnWrite, Session: b.id, Generation: 7, Seq: 1, Op: protocol.OpSet} }, 0, 0},
		{"a write of no session", func() *Txn { return &Txn{Kind: TxnWrite, Session: 77, Generation: 1, Seq: 1, Op: protocol.OpSet} }, 0, protocol.SessionExpired},
		{"a no-op", func() *Txn { return &Txn{Kind: TxnNoop} }, 0, 0},
		{"an attach", func() *Txn {
			return &Txn{Kind: TxnAttach, Session: b.id, PasswordHash: [32]byte{1}, Attempt: 2, TimeoutMs: 1}
		}, 1, 0},
		{"a repeated attach", func() *Txn {
			return &Txn{Kind: TxnAttach, Session: b.id, PasswordHash: [32]byte{1}, Attempt: 2, TimeoutMs: 1}
		}, 0, 0},
		{"a stale attach", func() *Txn {
			return &Txn{Kind: TxnAttach, Session: b.id, PasswordHash: [32]byte{1}, Attempt: 1, TimeoutMs: 1}
		}, 0, protocol.SessionMoved},
		{"an attach with a wrong password", func() *Txn { return &Txn{Kind: TxnAttach, Session: b.id, Attempt: 3, TimeoutMs: 1} }, 0, protocol.SessionExpired},
		{"an attach without a timeout", func() *Txn { return &Txn{Kind: TxnAttach, Session: b.id, PasswordHash: [32]byte{1}, Attempt: 3} }, 0, protocol.BadArguments},
		{"an expiry of an older generation", func() *Txn { return &Txn{Kind: TxnExpire, Session: b.id, Generation: 1} }, 0, protocol.SessionMoved},
		{"a configuration", func() *Txn { return &Txn{Kind: TxnConfig, Members: "server.1=a:1:1:participant\n"} }, 1, 0},
		{"the same one again", func() *Txn { return &Txn{Kind: TxnConfig, Members: "server.1=a:1:1:participant\n"} }, 0, 0},
		{"a failed reap", func() *Txn { return &Txn{Kind: TxnReap, Path: "/a"} }, 0, protocol.BadVersion},
		{"a reap of what is gone", func() *Txn { return &Txn{Kind: TxnReap, Path: "/none"} }, 0, protocol.NoNode},
		{"an expiry", func() *Txn { return &Txn{Kind: TxnExpire, Session: b.id, Generation: 2, Cause: "late"} }, 1, 0},
		{"an expiry of no session", func() *Txn { return &Txn{Kind: TxnExpire, Session: b.id, Generation: 2} }, 0, protocol.SessionExpired},
	} {
		before := b.m.Zxid()
		out := b.apply(step.txn())
		require.Equal(t, step.rise, b.m.Zxid()-before, "%s (%s)", step.name, detail(&out.Answer))
		require.Equal(t, step.code, out.Answer.Code, step.name)
		require.Equal(t, b.m.Zxid(), out.Answer.Zxid, "%s is answered with the machine's zxid", step.name)
	}
}

func (b *bench) txn(w protocol.WriteOp) *Txn {
	return b.next(w.Op, protocol.AppendWrite(nil, &w))
}

func (b *bench) multiTxn(steps ...protocol.WriteOp) *Txn {
	return b.next(protocol.OpMulti, protocol.AppendMulti(nil, steps))
}

func TestASessionIsNamedAfterTheZxidOfItsOpen(t *testing.T) {
	b := newBench(t)
	require.Equal(t, uint64(1), b.id)
	b.done(create("/a", ""))
	out := b.apply(&Txn{Kind: TxnOpen, PasswordHash: [32]byte{2}, TimeoutMs: 7})
	require.Equal(t, []any{uint64(3), uint64(1), int64(7)}, []any{out.Session, out.Generation, out.TimeoutMs})
	require.Equal(t, b.m.Zxid(), out.Session)
}

func TestTheClockIsTheHighestStampSoFar(t *testing.T) {
	b := newBench(t)
	b.stampMs = 500
	require.Equal(t, int64(1000), b.done(create("/a", "")).Answer.Stat.CtimeMs)
	b.stampMs = 2000
	b.apply(&Txn{Kind: TxnNoop})
	b.stampMs = 1500
	require.Equal(t, int64(2000), b.done(set("/a", "")).Answer.Stat.MtimeMs)
	require.Equal(t, int64(2000), b.m.ClockMs())
}

func TestAClosedSessionTakesItsEphemeralsWithItInOneStep(t *testing.T) {
	b := newBench(t)
	b.done(create("/p", ""))
	for _, path := range []string{"/p/b", "/z", "/p/a"} {
		b.done(ephemeral(path))
	}
	before := b.m.Zxid()
	out := b.apply(b.next(protocol.OpCloseSession, protocol.AppendCloseSession(nil)))
	require.Equal(t, []any{protocol.OK, true, "closed by the client", b.id}, []any{out.Answer.Code, out.Ended, out.Cause, out.Session})
	require.Equal(t, before+1, b.m.Zxid())
	var paths []string
	for _, e := range b.effects {
		require.Equal(t, []any{znode.NodeDeleted, before + 1}, []any{e.Type, e.Zxid})
		paths = append(paths, e.Path)
	}
	require.Equal(t, []string{"/p/a", "/p/b", "/z"}, paths)

	out = b.write(set("/p", ""))
	require.Equal(t, []any{protocol.SessionExpired, "closed by the client", false}, []any{out.Answer.Code, out.Cause, out.Ended})
	require.Contains(t, detail(&out.Answer), "closed by the client")
	info := b.read(protocol.Read{Op: protocol.OpSessionInfo, Session: b.id}).More.Session
	require.Equal(t, protocol.SessionInfo{ID: b.id, Cause: "closed by the client", EndedZxid: before + 1}, *info)
}

func TestAWrongPasswordLearnsNoCause(t *testing.T) {
	b := newBench(t)
	out := b.apply(&Txn{Kind: TxnAttach, Session: b.id, PasswordHash: [32]byte{9}, Attempt: 1, TimeoutMs: 5})
	require.Equal(t, []any{protocol.SessionExpired, "", ""}, []any{out.Answer.Code, out.Cause, detail(&out.Answer)})
	require.Equal(t, uint64(1), b.gen, "and moves nothing")
}

func TestAnOverlongCauseIsCut(t *testing.T) {
	b := newBench(t)
	out := b.apply(&Txn{Kind: TxnExpire, Session: b.id, Generation: 1, Cause: strings.Repeat("é", 300)})
	require.Equal(t, strings.Repeat("é", 128), out.Cause)
}

func TestAFailedMultiTellsEachOperationItsPart(t *testing.T) {
	b := newBench(t)
	digest := b.m.tree.Digest()
	w := create("/s-", "")
	w.Create.Sequential = true
	out := b.multi(w, create("/a", ""), remove("/none"), create("/b", ""))
	require.Equal(t, protocol.NoNode, out.Answer.Code)
	var codes []protocol.Code
	for _, r := range out.Answer.More.Results {
		codes = append(codes, r.Code)
		require.Empty(t, r.Path)
	}
	require.Equal(t, []protocol.Code{protocol.OK, protocol.OK, protocol.NoNode, protocol.RuntimeInconsistency}, codes)
	require.Equal(t, digest, b.m.tree.Digest())
	require.Equal(t, "/s-0000000000", b.done(w).Answer.Path, "the sequence did not move")
}

func TestAMultiSeesItsOwnEarlierOperationsUnderOneZxid(t *testing.T) {
	b := newBench(t)
	out := b.multi(create("/a", "0"), set("/a", "1"), check("/a", 1), create("/a/b", ""))
	require.Equal(t, protocol.OK, out.Answer.Code)
	results := out.Answer.More.Results
	require.Equal(t, []any{"/a", int64(1), "/a/b"}, []any{results[0].Path, results[1].Stat.Version, results[3].Path})
	for _, e := range b.effects {
		require.Equal(t, b.m.Zxid(), e.Zxid)
	}
	require.Equal(t, protocol.AppendReplyBody(nil, &protocol.Message{Op: protocol.OpMulti, More: out.Answer.More}), out.Answer.Body)
}

func TestARecursiveDeleteIsBoundedOverTheWholeTransaction(t *testing.T) {
	b := newBench(t)
	b.m.maxDeleted = 4
	for _, path := range []string{"/a", "/a/x", "/a/y", "/b", "/b/z"} {
		b.done(create(path, ""))
	}
	a, c := remove("/a"), remove("/b")
	a.Recursive, c.Recursive = true, true
	out := b.multi(a, c)
	require.Equal(t, protocol.TooLarge, out.Answer.Code)
	require.Contains(t, detail(&out.Answer), "at most 1 ")
	require.Equal(t, int64(3), b.done(a).Answer.More.Count)
	require.Equal(t, int64(2), b.done(c).Answer.More.Count)
	require.Equal(t, 100_000, New().maxDeleted)
}

func TestWhatDoesNotDecodeIsBadArgumentsAndNothingElse(t *testing.T) {
	b := newBench(t)
	for name, t2 := range map[string]*Txn{
		"an empty body":      b.next(protocol.OpSet, nil),
		"a body cut short":   b.next(protocol.OpCreate, []byte{0x96, 0xa2, '/'}),
		"a multi of rubbish": b.next(protocol.OpMulti, []byte{0x91, 0x92, 0x01}),
		"an unknown inner":   b.next(protocol.OpMulti, []byte{0x91, 0x91, 0x92, 0x30, 0x90}),
		"rubbish identities": func() *Txn {
			x := b.next(protocol.OpCheck, protocol.AppendCheck(nil, "/", -1))
			x.IDs = []byte{0xc1}
			return x
		}(),
	} {
		t2.Seq = 1
		m := New()
		var out Outcome
		m.Apply(&Txn{Kind: TxnOpen, PasswordHash: [32]byte{1}, TimeoutMs: 1}, 0, &out)
		require.Empty(t, m.Apply(t2, 0, &out), name)
		require.Equal(t, []any{Applied, protocol.BadArguments, uint64(1)}, []any{out.Verdict, out.Answer.Code, m.Zxid()}, name)
		require.NotEmpty(t, detail(&out.Answer), name)
		kept, _ := m.sessions.Get(1)
		require.Len(t, kept.Outcomes, 1, "%s: its failure is an outcome too", name)
	}
}

func TestAReapTakesOnlyWhatHasBeenLeftAlone(t *testing.T) {
	b := newBench(t)
	w := create("/ttl", "")
	w.Create.Kind, w.Create.TTLMs = znode.TTL, 5
	b.done(w)
	idle, _ := b.m.Tree().Mortals("", 10)
	require.Len(t, idle, 1)
	b.done(set("/ttl", "touched"))
	reap := &Txn{Kind: TxnReap, Path: idle[0].Path, Mzxid: idle[0].Mzxid, Pzxid: idle[0].Pzxid}
	require.Equal(t, protocol.BadVersion, b.apply(reap).Answer.Code)
	idle, _ = b.m.Tree().Mortals("", 10)
	reap.Mzxid = idle[0].Mzxid
	require.Equal(t, protocol.OK, b.apply(reap).Answer.Code)
	require.Len(t, b.effects, 1)
}

func TestEphemeralsPerSessionAreBoundedByWhatItsOpenSaid(t *testing.T) {
	b := newBench(t)
	b.apply(&Txn{Kind: TxnOpen, PasswordHash: [32]byte{2}, TimeoutMs: 5, MaxEphemerals: 2})
	b.id, b.seq = b.out.Session, 0
	b.done(ephemeral("/a"))
	b.done(ephemeral("/b"))
	require.Equal(t, protocol.TooManyEphemerals, b.write(ephemeral("/c")).Answer.Code)
	b.done(remove("/a"))
	b.done(ephemeral("/c"))
}

func TestManyIdentitiesOutgrowTheCacheAndAreStillRight(t *testing.T) {
	b := newBench(t)
	for i := range maxActors + 10 {
		user := znode.Identity{Scheme: "digest", ID: fmt.Sprintf("u%d:aGFzaA==", i)}
		b.ids = protocol.AppendIdentities(nil, []znode.Identity{user})
		w := create(fmt.Sprintf("/n%d", i), "")
		w.Create.ACL = znode.CreatorACL
		txn := b.txn(w)
		txn.Xid = 0
		require.Equal(t, protocol.OK, b.apply(txn).Answer.Code)
		_, acl, _ := b.m.Tree().Peek(w.Create.Path)
		require.Equal(t, user.ID, acl[0].ID)
	}
	require.LessOrEqual(t, len(b.m.actors.known), maxActors)
}
