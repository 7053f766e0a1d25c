package pipeline

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

func quotaOf(path string) protocol.WriteOp {
	return protocol.WriteOp{Op: protocol.OpCreate, Create: znode.CreateOp{Path: "/zookeeper/quota" + path + "/zookeeper_limits", ACL: znode.OpenACL, Parents: true}}
}

// quotasOf asks for n quotas below path, in one write.
func quotasOf(xid uint64, path string, n int) *protocol.Request {
	ops := make([]protocol.WriteOp, n)
	for i := range ops {
		ops[i] = quotaOf(fmt.Sprintf("%s/%d", path, i))
	}
	return &protocol.Request{Op: protocol.OpMulti, Xid: xid, Arg: xid, Body: protocol.AppendBriefMulti(nil, ops)}
}

func quotaRequest(xid uint64, path string) *protocol.Request {
	w := quotaOf(path)
	return &protocol.Request{Op: w.Op, Xid: xid, Arg: xid, Body: protocol.AppendWrite(nil, &w)}
}

// limitedLane returns the lane of a Core whose tree has room for so many quotas more.
func limitedLane(t *testing.T, room int) (*Core, *heldLog, *Lane, *lastSink) {
	c, log := newTestCore(t, Config{})
	sink := &lastSink{}
	l := openLane(t, c, log, "a", sink)
	require.NoError(t, l.Submit(quotasOf(1, "/there", maxQuotas-room)))
	applyAll(t, c, log)
	require.Equal(t, protocol.OK, sink.last.Code, sink.last.More)
	require.Equal(t, maxQuotas-room, c.machine.Tree().NumQuotas())
	return c, log, l, sink
}

func TestOneQuotaTooManyIsRefusedBeforeTheLog(t *testing.T) {
	c, log, l, sink := limitedLane(t, 1)
	require.NoError(t, l.Submit(quotaRequest(2, "/last")))
	applyAll(t, c, log)
	require.Equal(t, protocol.OK, sink.last.Code)
	require.Zero(t, c.Stats().QuotaRefused)

	require.NoError(t, l.Submit(quotaRequest(3, "/over")))
	require.Equal(t, protocol.TooManyQuotas, sink.last.Code)
	require.EqualValues(t, 3, sink.last.Xid)
	require.Equal(t, "there may be 10000 quotas", sink.last.More.Detail)
	require.EqualValues(t, 1, c.Stats().QuotaRefused)
	require.Empty(t, log.txns)

	// What makes none is none too many.
	there := quotaOf("/last").Create.Path
	for xid, r := range []*protocol.Request{
		quotaRequest(0, "/last"),
		setRequest(0, there, "count=1"),
		createRequest(0, "/zookeeper/quota/last/zookeeper_stats", ""),
		{Op: protocol.OpDelete, Body: protocol.AppendDelete(nil, there, znode.AnyVersion, false)},
		quotaRequest(0, "/over"),
	} {
		r.Xid = uint64(4 + xid)
		require.NoError(t, l.Submit(r))
		require.Len(t, log.txns, 1, r.Xid)
		applyAll(t, c, log)
		require.NotEqual(t, protocol.TooManyQuotas, sink.last.Code)
	}
	require.Equal(t, protocol.OK, sink.last.Code)
	require.EqualValues(t, 1, c.Stats().QuotaRefused)
	require.Equal(t, maxQuotas, c.machine.Tree().NumQuotas())
}

// A multi is told which of its operations is too much, as if it had failed when it ran.
func TestAMultiMakesNoMoreQuotasThanThereIsRoomFor(t *testing.T) {
	c, log, l, sink := limitedLane(t, 2)
	check := protocol.WriteOp{Op: protocol.OpCheck, Path: "/", Version: znode.AnyVersion}
	ops := []protocol.WriteOp{check, quotaOf("/a"), quotaOf("/there/0"), quotaOf("/b/zookeeper_limits/c"), check}
	for xid, body := range [][]byte{protocol.AppendMulti(nil, ops), protocol.AppendBriefMulti(nil, ops)} {
		require.NoError(t, l.Submit(&protocol.Request{Op: protocol.OpMulti, Xid: uint64(2 + xid), Body: body}))
		require.Equal(t, protocol.TooManyQuotas, sink.last.Code)
		more := sink.last.More
		if xid == 0 {
			require.Len(t, more.Results, len(ops))
			for i, code := range []protocol.Code{0, 0, 0, protocol.TooManyQuotas, protocol.RuntimeInconsistency} {
				require.Equal(t, protocol.Message{Op: ops[i].Op, Code: code}, more.Results[i])
			}
			continue
		}
		require.Equal(t, []protocol.Message{{Op: protocol.OpCreate, Code: protocol.TooManyQuotas}}, more.Results)
		require.EqualValues(t, 3, more.Count)
	}
	require.Empty(t, log.txns)
	require.NoError(t, l.Submit(&protocol.Request{Op: protocol.OpMulti, Xid: 4, Body: protocol.AppendMulti(nil, []protocol.WriteOp{check, quotaOf("/a"), quotaOf("/b")})}))
	applyAll(t, c, log)
	require.Equal(t, protocol.OK, sink.last.Code)
	require.Equal(t, maxQuotas, c.machine.Tree().NumQuotas())
}

func TestQuotasUnderWayCountUntilTheirWritesAreAnswered(t *testing.T) {
	c, log, l, sink := limitedLane(t, 10)
	otherSink := &lastSink{}
	other := openLane(t, c, log, "b", otherSink)
	require.NoError(t, l.Submit(quotasOf(2, "/a", 6)))
	require.NoError(t, other.Submit(quotasOf(1, "/b", 5)))
	require.Equal(t, protocol.TooManyQuotas, otherSink.last.Code)
	require.NoError(t, other.Submit(quotasOf(2, "/b", 4)))
	require.NoError(t, l.Submit(quotaRequest(3, "/c")))
	applyAll(t, c, log)
	require.Equal(t, protocol.TooManyQuotas, sink.last.Code, "in its turn")
	require.Equal(t, protocol.OK, otherSink.last.Code)
	require.Equal(t, maxQuotas, c.machine.Tree().NumQuotas())
	require.Zero(t, c.limits.Load())

	// A write that failed has made none, and of one whose connection is gone nothing is known.
	require.NoError(t, l.Submit(&protocol.Request{Op: protocol.OpDelete, Xid: 4, Arg: 4, Body: protocol.AppendDelete(nil, quotaOf("/a/0").Create.Path, znode.AnyVersion, false)}))
	applyAll(t, c, log)
	require.NoError(t, l.Submit(createRequest(5, "/zookeeper/quota/none/zookeeper_limits", "")))
	require.EqualValues(t, 1, c.limits.Load())
	applyAll(t, c, log)
	require.Equal(t, protocol.NoNode, sink.last.Code)
	require.NoError(t, other.Submit(quotaRequest(3, "/d")))
	require.EqualValues(t, 1, c.limits.Load())
	other.Detach()
	require.Zero(t, c.limits.Load())
}

// Each connection looks on a goroutine of its own.
func TestAQuotaIsCountedWhereItIsLookedFor(t *testing.T) {
	c, log, l, _ := limitedLane(t, 10)
	other := openLane(t, c, log, "b", &nullSink{})
	made, refusal := l.mayLimit(quotasOf(2, "/a", 6))
	require.Nil(t, refusal)
	require.Equal(t, 6, made)
	made, refusal = other.mayLimit(quotasOf(1, "/b", 5)) // before the first has its place in the order
	require.NotNil(t, refusal)
	require.Zero(t, made)
	require.EqualValues(t, 4, refusal.More.Count)
	made, refusal = other.mayLimit(quotasOf(1, "/b", 4))
	require.Nil(t, refusal)
	require.Equal(t, 4, made)
	require.EqualValues(t, 10, c.limits.Load())
}

func TestAQuotaForWhichThereIsNoCreditIsNeitherCountedNorRefusedYet(t *testing.T) {
	for name, over := range map[string]bool{"one that may be made": false, "one too many": true} {
		t.Run(name, func(t *testing.T) {
			c, log := newTestCore(t, Config{MaxLaneRequests: 1})
			sink := &lastSink{}
			l := openLane(t, c, log, "a", sink)
			r, want := quotasOf(2, "", 1), protocol.OK
			if over {
				r, want = quotasOf(2, "", maxQuotas+1), protocol.TooManyQuotas
			}
			require.True(t, l.TrySubmit(setRequest(1, "/", "")))
			require.False(t, l.TrySubmit(r))
			require.Zero(t, c.limits.Load())
			require.Zero(t, c.Stats().QuotaRefused)
			applyAll(t, c, log)
			require.True(t, l.TrySubmit(r))
			applyAll(t, c, log)
			require.Equal(t, want, sink.last.Code)
			require.Zero(t, c.limits.Load())
			require.Equal(t, over, c.Stats().QuotaRefused == 1)
		})
	}
}

// A create that comes again over a new connection has its answer in the log.
func TestACreateOfAQuotaThatMayHaveRunIsAnsweredThoughThereAreTooMany(t *testing.T) {
	c, log, l, _ := limitedLane(t, 1)
	again := quotaRequest(2, "/last")
	require.NoError(t, l.Submit(again))
	l.Detach()
	applyAll(t, c, log)
	sink := &lastSink{}
	var lane *Lane
	c.Attach(AttachParams{Session: l.session, PasswordHash: passwordHash("a"), Attempt: 1, TimeoutMs: 10_000}, sink,
		func(l *Lane, _ Opened, _ protocol.Code, _ string) { lane = l })
	applyAll(t, c, log)
	require.NoError(t, lane.Submit(&protocol.Request{Op: protocol.OpDelete, Xid: 3, Body: protocol.AppendDelete(nil, quotaOf("/last").Create.Path, znode.AnyVersion, false)}))
	applyAll(t, c, log)
	other := quotaRequest(4, "/other")
	other.Arg = 1
	require.NoError(t, lane.Submit(other))
	applyAll(t, c, log)
	require.Equal(t, maxQuotas, c.machine.Tree().NumQuotas())
	require.NoError(t, lane.Submit(again))
	applyAll(t, c, log)
	require.Equal(t, protocol.OK, sink.last.Code)
	require.EqualValues(t, 2, sink.last.Xid)
	require.EqualValues(t, 1, c.Stats().Repeated)
}
