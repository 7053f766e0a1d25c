package pipeline

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
)

const leastKept = 4 << 10 // KeptLeastBytes, unless it is set

// theLongName is that of a node of which every answer that tells it is long.
var theLongName = "/" + strings.Repeat("n", 1000)

// longAnswer asks n times for a node that is there, and acknowledges nothing.
func longAnswer(xid uint64, n int) *protocol.Request {
	ops := make([]protocol.WriteOp, n)
	for i := range ops {
		ops[i] = protocol.WriteOp{Op: protocol.OpCreate, Path: theLongName, Create: znode.CreateOp{Path: theLongName, ACL: znode.OpenACL, IfAbsent: true}}
	}
	return &protocol.Request{Op: protocol.OpMulti, Xid: xid, Body: protocol.AppendMulti(nil, ops)}
}

// crowded returns a Core whose sessions keep so much that each may keep the least,
// and the lanes of those that do.
func crowded(t *testing.T) (c *Core, log *heldLog, hoarders []*Lane) {
	c, log = newTestCore(t, Config{KeptStepBytes: 64 << 10})
	first := openLane(t, c, log, "first", &nullSink{})
	require.True(t, first.TrySubmit(createRequest(1, theLongName, "")))
	applyAll(t, c, log)
	for limit := c.Stats().KeepLimit; limit > leastKept; limit = c.Stats().KeepLimit {
		require.Less(t, len(hoarders), 50)
		lane := openLane(t, c, log, fmt.Sprint("hoarder", len(hoarders)), &nullSink{})
		require.True(t, lane.TrySubmit(longAnswer(1, limit/1400)))
		applyAll(t, c, log)
		hoarders = append(hoarders, lane)
	}
	return c, log, hoarders
}

// A session keeps its answers for as long as it lives, on every server, and one
// client may open any number of them.
func TestOneClientWithManySessionsDoesNotFillAllServers(t *testing.T) {
	c, log, _ := crowded(t)
	before := c.Stats().Kept
	const sessions = 20
	for i := range sessions {
		sink := &lastSink{}
		lane := openLane(t, c, log, fmt.Sprint(i), sink)
		require.True(t, lane.TrySubmit(longAnswer(1, 200)))
		require.Equal(t, protocol.TooManyOutcomes, sink.last.Code)
		require.Contains(t, sink.last.More.Detail, fmt.Sprint(leastKept))
		for xid := range uint64(100) { // many small ones, before the first is applied
			r := createRequest(2+xid, theLongName, "")
			r.Arg = 1
			require.True(t, lane.TrySubmit(r))
		}
		applyAll(t, c, log)
		record, _ := c.machine.Sessions().Get(lane.session)
		require.NotEmpty(t, record.Outcomes)
		require.LessOrEqual(t, record.Keeps(0), leastKept)
	}
	require.LessOrEqual(t, c.Stats().Kept, before+sessions*leastKept)
	require.Greater(t, c.Stats().KeepsRefused, uint64(sessions))
}

func TestAClientThatAcknowledgesIsNotHurtByThoseThatDoNot(t *testing.T) {
	c, log, _ := crowded(t)
	sink := &lastSink{}
	lane := openLane(t, c, log, "honest", sink)
	for xid := uint64(1); xid < 1000; xid++ {
		require.True(t, lane.TrySubmit(setRequest(xid, "/", "x")))
		if xid%4 == 0 { // some are under way at a time
			applyAll(t, c, log)
			require.Equal(t, protocol.OK, sink.last.Code)
			require.Equal(t, xid, sink.last.Xid)
		}
	}
	require.Zero(t, c.Stats().KeepsRefused)
}

// What keeps nothing, or next to nothing, needs no room.
func TestABriefAnswerHasRoomWhereALongOneHasNot(t *testing.T) {
	c, log, _ := crowded(t)
	sink := &lastSink{}
	lane := openLane(t, c, log, "a", sink)
	long, brief, unkept, unnumbered := longAnswer(1, 100), longAnswer(2, 100), longAnswer(3, 100), longAnswer(0, 100)
	ops, _, err := protocol.DecodeMulti(brief.Body, nil)
	require.NoError(t, err)
	brief.Body = protocol.AppendBriefMulti(nil, ops)
	unkept.Unkept = true
	require.True(t, lane.TrySubmit(long))
	require.Equal(t, protocol.TooManyOutcomes, sink.last.Code)
	for _, r := range []*protocol.Request{brief, unkept, unnumbered} {
		require.True(t, lane.TrySubmit(r))
		applyAll(t, c, log)
		require.Equal(t, protocol.OK, sink.last.Code)
		require.Equal(t, r.Xid, sink.last.Xid)
	}
}

func TestAnAcknowledgementMakesRoomForOthers(t *testing.T) {
	c, log, hoarders := crowded(t)
	sink := &lastSink{}
	lane := openLane(t, c, log, "a", sink)
	require.True(t, lane.TrySubmit(longAnswer(1, 50)))
	require.Equal(t, protocol.TooManyOutcomes, sink.last.Code)
	for _, hoarder := range hoarders {
		require.True(t, hoarder.TrySubmit(setRequest(2, "/", "")), "acknowledges the first")
	}
	applyAll(t, c, log)
	require.Less(t, c.Stats().Kept, int64(len(hoarders)+1)*leastKept)
	require.Equal(t, session.MaxOutcomeBytes, c.Stats().KeepLimit)
	require.True(t, lane.TrySubmit(longAnswer(2, 50)))
	applyAll(t, c, log)
	require.Equal(t, protocol.OK, sink.last.Code)
}

// A write that comes again over a new connection may have run, whatever others keep.
func TestAWriteThatMayHaveRunIsAnsweredThoughOthersKeepMuch(t *testing.T) {
	c, log, hoarders := crowded(t)
	hoarders[0].Detach()
	sink := &lastSink{}
	var lane *Lane
	c.Attach(AttachParams{Session: hoarders[0].session, PasswordHash: passwordHash("hoarder0"), Attempt: 1, TimeoutMs: 10_000}, sink,
		func(l *Lane, _ Opened, _ protocol.Code, _ string) { lane = l })
	applyAll(t, c, log)
	require.NotNil(t, lane)
	require.True(t, lane.TrySubmit(longAnswer(1, session.MaxOutcomeBytes/1400)))
	applyAll(t, c, log)
	require.Equal(t, protocol.OK, sink.last.Code)
	require.NotEmpty(t, sink.last.Body)
	require.EqualValues(t, 1, c.Stats().Repeated)
}

// Later writes may have run when a refusal is lost with its connection. The refused one has not, and its client can
// send it as a new one.
func TestARefusalThatWasLostWithItsConnectionIsNoUnknownOutcome(t *testing.T) {
	c, log, _ := crowded(t)
	for name, refuse := range map[string]func(refused bool){
		"no room for its answer": func(bool) {},
		"no room on the disk": func(refused bool) {
			code := protocol.OK
			if refused {
				code = protocol.DiskFull
			}
			c.RefuseWrites(code, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			first, second := longAnswer(1, 100), setRequest(2, "/", "")
			second.Arg = 1
			lane, sink := openLane(t, c, log, name, &nullSink{}), &lastSink{}
			refuse(true)
			require.True(t, lane.TrySubmit(first))
			require.Empty(t, log.txns)
			refuse(false)
			require.True(t, lane.TrySubmit(second))
			applyAll(t, c, log)
			lane.Detach()
			c.Attach(AttachParams{Session: lane.session, PasswordHash: passwordHash(name), Attempt: 1, TimeoutMs: 10_000, Ack: 1}, sink,
				func(l *Lane, _ Opened, _ protocol.Code, _ string) { lane = l })
			applyAll(t, c, log)
			for r, want := range map[*protocol.Request]protocol.Code{first: protocol.TooManyOutcomes, second: protocol.OK} {
				require.True(t, lane.TrySubmit(r))
				applyAll(t, c, log)
				require.Equal(t, r.Xid, sink.last.Xid)
				require.Equal(t, want, sink.last.Code)
			}
			record, _ := c.machine.Sessions().Get(lane.session)
			require.EqualValues(t, 2, record.HighXid, "neither ran again")
		})
	}
}

// A restart finds what sessions keep in its image.
func TestAnImageBringsTheAnswersThatAreKept(t *testing.T) {
	c, _, _ := crowded(t)
	other, _ := newTestCore(t, Config{KeptStepBytes: 64 << 10})
	other.Install(c.machine)
	require.Equal(t, c.Stats().Kept, other.Stats().Kept)
	require.Equal(t, leastKept, other.Stats().KeepLimit)
}

// Sessions that keep much and ask for more than there is room for would refuse each
// other for ever if what is refused acknowledged nothing.
func TestWhatIsRefusedAcknowledgesAllTheSame(t *testing.T) {
	c, log, hoarders := crowded(t)
	before, ran := c.Stats().Kept, map[*Lane]bool{}
	const ops = 4 // whose answer has no room beside so much
	for round := range uint64(2) {
		for i, lane := range hoarders {
			sink := &lastSink{}
			lane.sink = sink
			r := longAnswer(2+round, ops)
			r.Arg = r.Xid
			if !ran[lane] {
				require.True(t, lane.TrySubmit(r))
				applyAll(t, c, log)
				require.Equal(t, r.Xid, sink.last.Xid)
				require.Equal(t, r.Op, sink.last.Op)
				ran[lane] = sink.last.Code == protocol.OK
			}
			require.True(t, i > 0 || ran[lane] == (round > 0), "the first is refused at first")
		}
		require.Less(t, c.Stats().Kept, before/2)
	}
	for _, lane := range hoarders {
		require.True(t, ran[lane])
	}
	require.Positive(t, c.Stats().KeepsRefused)
}

func TestARefusalReachesTheLogOnlyIfItAcknowledgesSomething(t *testing.T) {
	c, log, hoarders := crowded(t)
	lane, sink := hoarders[0], &lastSink{}
	lane.sink = sink
	refuse := func(xid, ack uint64) {
		r := longAnswer(xid, 100)
		r.Arg = ack
		require.True(t, lane.TrySubmit(r))
	}
	refuse(2, 1)
	require.Equal(t, protocol.TooManyOutcomes, sink.last.Code)
	require.Empty(t, log.txns, "what it keeps stays kept")
	for xid := uint64(3); xid < 50; xid++ {
		refuse(xid, xid)
	}
	require.Len(t, log.txns, 1, "one is enough, and the others wait for their turn")
	require.EqualValues(t, 2, sink.last.Xid)
	require.EqualValues(t, 3, log.txns[0].Ack)
	require.Zero(t, log.txns[0].Xid, "it keeps nothing itself")
	c.Resend() // as on any doubt
	applyAll(t, c, log)
	require.EqualValues(t, 1, c.Stats().Duplicates)
	require.EqualValues(t, 49, sink.last.Xid)
	require.Equal(t, protocol.OpMulti, sink.last.Op)
	require.Equal(t, protocol.TooManyOutcomes, sink.last.Code)
	record, _ := c.machine.Sessions().Get(lane.session)
	require.Zero(t, record.Keeps(0))
	require.EqualValues(t, 1, record.HighXid, "none ran")
	for xid := uint64(50); xid < 100; xid++ {
		refuse(xid, xid)
	}
	require.Empty(t, log.txns, "there is nothing more to acknowledge")
	require.True(t, lane.TrySubmit(setRequest(100, "/", "")))
	applyAll(t, c, log)
	require.Equal(t, protocol.OK, sink.last.Code)
}
