package pipeline

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
)

// What clients of other protocols ask for.

func TestAnUnkeptWriteIsAnsweredByItsXidAndLeavesNoOutcome(t *testing.T) {
	t.Parallel()
	c, log := newTestCore(t, Config{})
	var out strings.Builder
	l := openLane(t, c, log, "a", &heldSink{name: "a", out: &out})
	r := createRequest(1<<40, "/a", "x")
	r.Unkept = true
	require.NoError(t, l.Submit(r))
	r.Xid = 7 // xids of an unkept write need not rise
	require.NoError(t, l.Submit(r))
	c.Resend()
	applyAll(t, c, log)
	require.Contains(t, out.String(), "a: create xid 1099511627776 zxid 2 OK")
	require.Contains(t, out.String(), "a: create xid 7 zxid 2 NodeExists")
	require.Equal(t, 2, strings.Count(out.String(), "create xid"), "a second copy is not answered")
	c.View(func(m *state.Machine) {
		s, ok := m.Sessions().Get(l.session)
		require.True(t, ok)
		require.Empty(t, s.Outcomes)
		require.Zero(t, s.HighXid)
	})
}

func TestAnyOfSeveralWatchesIsEnough(t *testing.T) {
	t.Parallel()
	c, log := newTestCore(t, Config{})
	var out strings.Builder
	l := openLane(t, c, log, "a", &heldSink{name: "a", out: &out})
	watches := []protocol.Watch{{Path: "/a", Mode: protocol.WatchData}, {Path: "/a", Mode: protocol.WatchExists}}
	ask := func(xid uint64, op protocol.Op) string {
		out.Reset()
		require.NoError(t, l.Submit(&protocol.Request{Op: op, Xid: xid, Watches: watches}))
		return out.String()
	}
	exists := readRequest(protocol.OpExists, 1, "/a")
	exists.Read.Watch = true
	require.NoError(t, l.Submit(exists))

	require.Contains(t, ask(2, protocol.OpHasWatch), "xid 2 zxid 1 OK")
	require.Contains(t, ask(3, protocol.OpUnwatch), "xid 3 zxid 1 OK")
	require.Contains(t, ask(4, protocol.OpHasWatch), "xid 4 zxid 1 NoWatcher")
	require.Contains(t, ask(5, protocol.OpUnwatch), "xid 5 zxid 1 NoWatcher")
}

func TestAnOnlookerReadsAndWatchesAndWritesNothing(t *testing.T) {
	t.Parallel()
	c, log := newTestCore(t, Config{})
	var writer, out strings.Builder
	w := openLane(t, c, log, "w", &heldSink{name: "w", out: &writer})
	l := c.Onlooker(&heldSink{name: "o", out: &out}, nil)
	exists := readRequest(protocol.OpExists, 1, "/a")
	exists.Read.Watch = true
	require.NoError(t, l.Submit(exists))
	require.NoError(t, l.Submit(createRequest(2, "/b", "")))
	require.Contains(t, out.String(), "create xid 2 zxid 1 NotReadOnly")

	require.NoError(t, w.Submit(createRequest(1, "/a", "")))
	applyAll(t, c, log)
	require.Contains(t, out.String(), "event created /a zxid 2")
	l.Detach()
	require.Zero(t, c.Stats().Watches)
}

func TestSyncGivesItsPathBack(t *testing.T) {
	t.Parallel()
	c, log := newTestCore(t, Config{})
	sink := &finalSink{}
	l := openLane(t, c, log, "a", sink)
	require.NoError(t, l.Submit(readRequest(protocol.OpSync, 1, "/not/there")))
	applyAll(t, c, log)
	require.Equal(t, protocol.OpSync, sink.last.Op)
	require.Equal(t, "/not/there", sink.last.Path)
}

// finalSink keeps the newest message.
type finalSink struct{ last protocol.Message }

func (s *finalSink) Push(m *protocol.Message)    { s.last = *m }
func (s *finalSink) Wake()                       {}
func (s *finalSink) Close(protocol.Code, string) {}

func TestWritesThatAQuotaRefusesAreCounted(t *testing.T) {
	t.Parallel()
	c, log := newTestCore(t, Config{})
	var out strings.Builder
	l := openLane(t, c, log, "a", &heldSink{name: "a", out: &out})
	for _, r := range []*protocol.Request{
		setRequest(1, "/zookeeper/quota", "enforce=on"),
		createRequest(2, "/a", ""),
		createRequest(3, "/zookeeper/quota/a", ""),
		createRequest(4, "/zookeeper/quota/a/zookeeper_limits", "countHardLimit=1"),
		createRequest(5, "/a/b", ""),
	} {
		require.NoError(t, l.Submit(r))
	}
	applyAll(t, c, log)
	require.Contains(t, out.String(), "create xid 5 zxid 5 QuotaExceeded")
	require.EqualValues(t, 1, c.Stats().QuotaRefused)
}

func TestWhichSessionsAreHeldHere(t *testing.T) {
	c, log := newTestCore(t, Config{})
	sink := &finalSink{}
	a := openLane(t, c, log, "a", sink)
	b := openLane(t, c, log, "b", &finalSink{})
	require.NoError(t, a.Submit(&protocol.Request{Op: protocol.OpWatch, Xid: 1, Watches: []protocol.Watch{{Path: "/a", Mode: protocol.WatchPersistent}}}))
	require.Equal(t, []Held{{a.Session(), 1, 1, sink}}, c.Held([]uint64{a.Session(), 99}))
	require.Len(t, c.Held([]uint64{a.Session(), b.Session()}), 2)
	a.Detach()
	require.Empty(t, c.Held([]uint64{a.Session()}))
}
