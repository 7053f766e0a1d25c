package state

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
	"github.com/stretchr/testify/require"
)

func TestAResentWriteIsAnsweredFromItsOutcomeAndDoesNotRun(t *testing.T) {
	b := newBench(t)
	w := create("/n-", "")
	w.Create.Sequential = true
	first := b.done(w).Answer
	failed := b.write(set("/none", "")).Answer
	b.done(set("/", "moves the zxid on"))
	b.attach(1)

	b.xid = 0
	out := b.write(w)
	require.Equal(t, Repeated, out.Verdict)
	require.Equal(t, protocol.Message{Op: protocol.OpCreate, Xid: 1, Zxid: first.Zxid, Body: first.Body}, out.Answer)
	out = b.write(set("/none", ""))
	require.Equal(t, Repeated, out.Verdict)
	require.Equal(t, []any{protocol.NoNode, failed.Zxid}, []any{out.Answer.Code, out.Answer.Zxid})
	require.Equal(t, 5, b.m.Len(), "one node was made")
}

func TestAKeptErrorHasNoWords(t *testing.T) {
	b := newBench(t)
	first := b.multi(create("/a", ""), set("/none", "")).Answer
	require.NotEmpty(t, first.More.Detail)
	require.Nil(t, first.Body)
	b.attach(1)
	b.xid = 0
	out := b.multi(create("/a", ""), set("/none", ""))
	require.Equal(t, Repeated, out.Verdict)
	bare := first
	bare.More = &protocol.More{Results: first.More.Results}
	require.Equal(t, protocol.AppendReplyBody(nil, &bare), out.Answer.Body)
}

func TestAResentWriteWithoutAnOutcomeIsAborted(t *testing.T) {
	b := newBench(t)
	b.done(create("/a", ""))
	acknowledging := b.txn(set("/a", "1"))
	acknowledging.Ack = 2
	require.Equal(t, protocol.OK, b.apply(acknowledging).Answer.Code)
	b.attach(1)
	b.xid = 0
	out := b.write(create("/a", ""))
	require.Equal(t, []any{Applied, protocol.Aborted}, []any{out.Verdict, out.Answer.Code})
}

// Its origin refused it, and the answer was lost with the connection.
func TestAResentWriteThatNeverRanIsNoAbortedOne(t *testing.T) {
	b := newBench(t)
	b.done(create("/a", ""))
	b.xid++
	b.done(set("/a", "later"))
	b.attach(1)
	before := b.m.Zxid()
	for _, ack := range []uint64{1, 2, 3} {
		w := b.txn(set("/a", "refused"))
		w.Xid, w.Ack = 2, ack
		out, want := b.apply(w), protocol.TooManyOutcomes
		if ack > w.Xid {
			want = protocol.Aborted // it could have run
		}
		require.Equal(t, []any{Applied, want, before}, []any{out.Verdict, out.Answer.Code, b.m.Zxid()})
	}
	b.xid = 3
	b.done(set("/a", "under a new xid"))
}

func TestAWriteWithXidZeroKeepsNoOutcome(t *testing.T) {
	b := newBench(t)
	w := b.txn(create("/a", ""))
	w.Xid = 0
	require.Nil(t, b.apply(w).Answer.Body)
	r, _ := b.m.Sessions().Get(b.id)
	require.Empty(t, r.Outcomes)
	require.Zero(t, r.HighXid)
}

func TestAFullSessionIsRefusedBeforeTheWriteRuns(t *testing.T) {
	b := newBench(t)
	for range 1024 {
		b.done(set("/", ""))
	}
	before := b.m.Zxid()
	out := b.write(set("/", ""))
	require.Equal(t, []any{Applied, protocol.TooManyOutcomes, before}, []any{out.Verdict, out.Answer.Code, b.m.Zxid()})

	freed := b.txn(set("/", ""))
	freed.Ack = 2
	require.Equal(t, protocol.OK, b.apply(freed).Answer.Code, "an acknowledgement makes room at once")
	closing := b.next(protocol.OpCloseSession, protocol.AppendCloseSession(nil))
	require.True(t, b.apply(closing).Ended, "a full session can be closed")
}

// The bound is part of the format: every replica must refuse the same writes.
func TestAnAnswerNeverOutgrowsTheBoundComputedBeforeItsRun(t *testing.T) {
	long := create("/"+strings.Repeat("n", znode.MaxPathBytes-11), "")
	long.Create.Sequential = true
	b := newBench(t)
	for _, c := range []struct {
		steps []protocol.WriteOp
		bound int
	}{
		{nil, 64},
		{[]protocol.WriteOp{set("/", "")}, 64 + 192},
		{[]protocol.WriteOp{long}, 64 + 192 + 1014 + 20},
		{[]protocol.WriteOp{long, check("/", -1), long}, 64 + 3*192 + 2*(1014+20)},
	} {
		require.Equal(t, c.bound, answerBound(c.steps, ofEach))
		require.Equal(t, c.bound, protocol.AnswerBound(protocol.OpMulti, protocol.AppendMulti(nil, c.steps)), "as the origin sees it")
		require.Equal(t, answerBound(c.steps, ofFault), protocol.AnswerBound(protocol.OpMulti, protocol.AppendBriefMulti(nil, c.steps)))
		if len(c.steps) == 1 {
			require.Equal(t, c.bound, protocol.AnswerBound(c.steps[0].Op, protocol.AppendWrite(nil, &c.steps[0])))
		}
		b.stampMs = math.MaxInt64
		b.m.zxid = math.MaxUint64 - 100
		out := b.multi(c.steps...)
		require.Equal(t, protocol.OK, out.Answer.Code, detail(&out.Answer))
		require.LessOrEqual(t, len(out.Answer.Body), c.bound, "with the longest numbers there are")
	}
}

func TestOutcomesAreBoundedByBytesWithTheLongestAnswerInMind(t *testing.T) {
	b := newBench(t)
	var steps []protocol.WriteOp
	for range 500 {
		steps = append(steps, set("/", ""))
	}
	for {
		before := b.m.Zxid()
		out := b.multi(steps...)
		r, _ := b.m.Sessions().Get(b.id)
		require.LessOrEqual(t, r.OutcomeBytes, 256<<10)
		if out.Answer.Code != protocol.OK {
			require.Equal(t, protocol.TooManyOutcomes, out.Answer.Code)
			require.Equal(t, before, b.m.Zxid())
			require.Greater(t, r.OutcomeBytes, 256<<10-500*steps[0].ResultBytes()-protocol.AnswerBytes)
			return
		}
	}
}

func TestABriefAnswerIsSmallAndKept(t *testing.T) {
	b := newBench(t)
	var steps []protocol.WriteOp
	for i := range 10_000 {
		steps = append(steps, create(fmt.Sprintf("/%d", i), "data"))
	}
	b.m.sessions.Acknowledge(b.id, 1)
	for _, c := range []struct {
		name  string
		steps []protocol.WriteOp
		want  protocol.Message
	}{
		{"done", steps, protocol.Message{More: &protocol.More{}}},
		{"undone", append(steps[:0:0], append([]protocol.WriteOp{set("/", ""), check("/none", 1)}, steps...)...), protocol.Message{
			Code: protocol.NoNode, More: &protocol.More{Results: []protocol.Message{{Op: protocol.OpCheck, Code: protocol.NoNode}}, Count: 1},
		}},
	} {
		nodes := b.m.Len()
		first := b.next(protocol.OpMulti, protocol.AppendBriefMulti(nil, c.steps))
		out := b.apply(first)
		require.Equal(t, Applied, out.Verdict, c.name)
		require.Equal(t, c.want.Code, out.Answer.Code, c.name)
		if c.want.Code == protocol.OK {
			nodes += len(c.steps)
		}
		require.Equal(t, nodes, b.m.Len(), c.name)
		r, _ := b.m.Sessions().Get(b.id)
		kept := r.Outcomes[len(r.Outcomes)-1]
		c.want.Op = protocol.OpMulti
		require.Equal(t, protocol.AppendReplyBody(nil, &c.want), kept.Body, c.name)
		require.LessOrEqual(t, len(kept.Body), protocol.AnswerBytes, c.name)

		require.Equal(t, protocol.OK, b.attach(uint64(b.gen)+1).Answer.Code)
		again := *first
		b.seq++
		again.Generation, again.Seq = b.gen, b.seq
		out = b.apply(&again)
		require.Equal(t, Repeated, out.Verdict, c.name)
		require.Equal(t, kept.Body, out.Answer.Body, c.name)
		require.Equal(t, nodes, b.m.Len(), c.name)
	}
}

func TestANarrowClientIsToldNoVersionThatItCannotCount(t *testing.T) {
	const path = "/zookeeper/quota"
	narrow := set(path, "x")
	narrow.Narrow = true
	narrowACL := protocol.WriteOp{Op: protocol.OpSetACL, Path: path, ACL: open, Version: znode.AnyVersion, Narrow: true}
	b := newBench(t)
	b.m.tree = aged(t).tree
	for _, c := range []struct {
		w       protocol.WriteOp
		version func(*znode.Stat) int64
	}{
		{narrow, func(s *znode.Stat) int64 { return s.Version }},
		{narrowACL, func(s *znode.Stat) int64 { return s.Aversion }},
	} {
		for v := int64(agedVersion + 1); v <= znode.MaxNarrow; v++ {
			stat := b.done(c.w).Answer.Stat
			require.Equal(t, v, c.version(&stat))
		}
		before := b.m.tree.Digest()
		out := b.write(c.w)
		require.Equal(t, protocol.TooLarge, out.Answer.Code)
		require.Equal(t, c.w.Op.String()+" /zookeeper/quota: too large: version 2147483648, and the client counts to 2147483647", detail(&out.Answer))
		require.Zero(t, out.Answer.Stat)
		require.Equal(t, before, b.m.tree.Digest())
		require.Equal(t, protocol.TooLarge, b.multi(create("/a", ""), c.w).Answer.Code, "nor in a multi")
		require.Equal(t, before, b.m.tree.Digest())

		wide := c.w
		wide.Narrow = false
		stat := b.done(wide).Answer.Stat
		require.Equal(t, int64(znode.MaxNarrow+1), c.version(&stat))
	}
}

func TestARaisedSequenceTakesAZxidOnlyIfItChangesSomething(t *testing.T) {
	b := newBench(t)
	b.done(create("/a", ""))
	raise := protocol.WriteOp{Op: protocol.OpRaiseSequence, Path: "/a", AtLeast: 7}
	require.Equal(t, protocol.NoAuth, b.write(raise).Answer.Code)
	b.ids = protocol.AppendIdentities(nil, []znode.Identity{root})
	zxid := b.m.Zxid()
	require.Equal(t, zxid+1, b.done(raise).Answer.Zxid)
	require.Len(t, b.effects, 1)
	require.Equal(t, zxid+1, b.done(raise).Answer.Zxid)
	require.Empty(t, b.effects)
	w := create("/a/n-", "")
	w.Create.Sequential = true
	require.Equal(t, "/a/n-0000000007", b.done(w).Answer.Path)
}

// The server of a connection bounds the quotas, before the log: what is in one was taken
// by a program that knew no bound, and runs the same by all.
func TestALogOfAnyNumberOfQuotasRunsAsItAlwaysDid(t *testing.T) {
	const many = 10_001
	b := newBench(t)
	quota := func(i int) protocol.WriteOp {
		w := create(fmt.Sprintf("/zookeeper/quota/%d/zookeeper_limits", i), "count=1")
		w.Create.Parents = true
		return w
	}
	var log []byte
	record := func(op protocol.Op, body []byte) {
		txn := b.next(op, body)
		txn.Xid = 0
		log = AppendTxn(log, txn)
	}
	log = AppendBatchHeader(log, 2000)
	for i := range many {
		w := quota(i)
		record(protocol.OpCreate, protocol.AppendWrite(nil, &w))
	}
	record(protocol.OpMulti, protocol.AppendMulti(nil, []protocol.WriteOp{quota(many), quota(many + 1)}))

	batch, err := DecodeBatch(log)
	require.NoError(t, err)
	var txn Txn
	for {
		more, err := batch.Next(&txn)
		require.NoError(t, err)
		if !more {
			break
		}
		b.m.Apply(&txn, batch.StampMs(), &b.out)
		require.Equal(t, protocol.OK, b.out.Answer.Code, b.out.Answer.More)
	}
	require.Len(t, b.m.Tree().Quotas(), many+2)
	require.Equal(t, uint64(0xc883356e59eda24), b.m.Digest(), "as of the programs before there was a bound")
}
