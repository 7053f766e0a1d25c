package zk_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/lycaon-io/lycaon/server/state"
)

func TestPipelinedRequestsAreAnsweredInTheirOrder(t *testing.T) {
	t.Parallel()
	p := start(t).connect()
	const n = 500
	var calls []*jute.Call
	for i := range n {
		path := fmt.Sprintf("/n%d", i)
		calls = append(calls, create(path), get(path, false), set(path, "y"), get(path, false))
	}
	first := p.send(calls...)
	zxid := int64(0)
	for i, c := range calls {
		_, a := p.said(c.Op)
		require.Equal(t, first+int32(i), a.Xid)
		require.Zero(t, a.Err)
		require.GreaterOrEqual(t, a.Zxid, zxid)
		zxid = a.Zxid
		if i%4 == 3 {
			require.Equal(t, "y", string(a.Data), "a read sees the writes before it")
		}
	}
}

func TestAMultiIsBoundedInOperations(t *testing.T) {
	t.Parallel()
	p := start(t).connect()
	calls := slices.Repeat([]jute.Call{{Op: jute.OpCheck, Path: "/", Version: -1}}, 20_001)
	calls[20_000] = *create("/a")
	a := p.call(&jute.Call{Op: jute.OpMulti, Calls: calls})
	require.EqualValues(t, badArguments, a.Err)
	a = p.call(&jute.Call{Op: jute.OpMulti, Calls: calls[1:]})
	require.Zero(t, a.Err)
	require.Len(t, a.Results, 20_000)
	require.Equal(t, "/a", a.Results[19_999].Path)
}

func TestNoMultiIsTakenThatAServerOfAnOlderVersionCannotDecode(t *testing.T) {
	t.Parallel()
	p := start(t, func(cfg *config) {
		cfg.front.AllKnow = func(_ context.Context, what int) bool { return what < state.KnowsBrief }
	}).connect()
	calls := slices.Repeat([]jute.Call{{Op: jute.OpCheck, Path: "/", Version: -1}}, 10_001)
	a := p.call(&jute.Call{Op: jute.OpMulti, Calls: calls})
	require.EqualValues(t, badArguments, a.Err)
	a = p.call(&jute.Call{Op: jute.OpMulti, Calls: calls[1:]})
	require.Zero(t, a.Err)
}

func TestMultisAreAnsweredAsTheyWereAskedFor(t *testing.T) {
	t.Parallel()
	p := start(t).connect()
	create2 := create("/b")
	create2.Op = jute.OpCreate2
	container := create("/c")
	container.Op, container.Flags = jute.OpCreateContainer, 4
	good := &jute.Call{Op: jute.OpMulti, Calls: []jute.Call{*create("/a"), *container, *set("/a", "y"), {Op: jute.OpCheck, Path: "/a", Version: 1}}}
	bad := &jute.Call{Op: jute.OpMulti, Calls: []jute.Call{*create("/d"), *create("/a"), *set("/a", "z")}}
	reads := &jute.Call{Op: jute.OpMultiRead, Calls: []jute.Call{*get("/a", false), *get("/none", false), {Op: jute.OpGetChildren, Path: "/"}}}
	p.send(good, bad, reads, create2)

	_, a := p.said(jute.OpMulti)
	require.Zero(t, a.Err)
	require.Len(t, a.Results, 4)
	require.Equal(t, "/a", a.Results[0].Path)
	require.Equal(t, jute.OpCreate2, a.Results[1].Op)
	require.NotZero(t, a.Results[1].Stat.Czxid)
	require.EqualValues(t, 1, a.Results[2].Stat.Version)
	_, a = p.said(jute.OpMulti)
	require.Zero(t, a.Err)
	require.Equal(t, []int32{0, nodeExists, notRun}, []int32{a.Results[0].Err, a.Results[1].Err, a.Results[2].Err})
	_, a = p.said(jute.OpMultiRead)
	require.Equal(t, "y", string(a.Results[0].Data))
	require.EqualValues(t, noNode, a.Results[1].Err)
	require.Equal(t, []string{"a", "c", "zookeeper"}, a.Results[2].Names)
	_, a = p.said(jute.OpCreate2)
	require.Equal(t, "/b", a.Path)
	require.NotZero(t, a.Stat.Czxid)
}

// Clients pass over the error of a setWatches, and would wait for events that
// never come.
func TestWatchesThatCannotBeSetAgainCostTheConnection(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := s.connect()
	many := &jute.Call{Op: jute.OpSetWatches}
	for range 50_001 {
		many.Watches[0] = append(many.Watches[0], "/")
	}
	require.EqualValues(t, badArguments, p.call(many).Err)
	p.ended()
	s.reattach(p)
}

// What was asked before it is answered; what comes after it is not heard.
func TestAnUnknownOperationEndsTheConnectionInItsTurn(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := s.connect()
	p.send(create("/before"), &jute.Call{Op: 77}, create("/after"))
	_, a := p.said(jute.OpCreate)
	require.Zero(t, a.Err)
	_, a = p.said(77)
	require.EqualValues(t, unimplemented, a.Err)
	p.ended()
	q := s.reattach(p)
	require.Zero(t, q.call(get("/before", false)).Err)
	require.EqualValues(t, noNode, q.call(get("/after", false)).Err)
}

func TestAnEventComesBeforeTheAnswerThatShowsItsChange(t *testing.T) {
	t.Parallel()
	s := start(t)
	p, other := s.connect(), s.connect()
	require.Zero(t, other.call(create("/a")).Err)
	for i := range 200 {
		require.Zero(t, p.call(get("/a", true)).Err)
		want := fmt.Sprint("v", i)
		other.send(set("/a", want))
		told := false
		for {
			p.send(get("/a", false))
			event, a := p.said(jute.OpGetData)
			if event != nil {
				require.EqualValues(t, dataChanged, event.Type)
				told = true
				_, a = p.said(jute.OpGetData)
			}
			if string(a.Data) == want {
				require.True(t, told, "the change was seen before its event")
				break
			}
		}
		_, a := other.said(jute.OpSetData)
		require.Zero(t, a.Err)
	}
}

func TestWatchesOfEveryKindLiveSideBySide(t *testing.T) {
	t.Parallel()
	s := start(t)
	p, other := s.connect(), s.connect()
	require.Zero(t, other.call(create("/a")).Err)
	require.Zero(t, p.call(get("/a", true)).Err)
	require.Zero(t, p.call(&jute.Call{Op: jute.OpGetChildren, Path: "/a", Watch: true}).Err)
	require.Zero(t, p.call(&jute.Call{Op: jute.OpAddWatch, Path: "/a"}).Err)
	require.Zero(t, p.call(&jute.Call{Op: jute.OpAddWatch, Path: "/a", Mode: 1}).Err)

	require.Zero(t, other.call(create("/a/b")).Err)
	require.Equal(t, [2]any{int32(created), "/a/b"}, kindOf(p.event()))
	require.Equal(t, [2]any{int32(childrenChange), "/a"}, kindOf(p.event()))
	require.Zero(t, other.call(set("/a", "y")).Err)
	e := p.event()
	require.Equal(t, [2]any{int32(dataChanged), "/a"}, kindOf(e))
	require.EqualValues(t, -1, e.Zxid)

	// The data watch is used up, the staying ones are not.
	require.EqualValues(t, noWatcher, p.call(&jute.Call{Op: jute.OpCheckWatches, Path: "/a", Mode: 2}).Err)
	require.Zero(t, p.call(&jute.Call{Op: jute.OpRemoveWatches, Path: "/a", Mode: 5}).Err)
	require.Zero(t, other.call(set("/a/b", "y")).Err)
	require.Zero(t, other.call(set("/a", "z")).Err)
	require.Equal(t, [2]any{int32(dataChanged), "/a"}, kindOf(p.event()), "the recursive one is gone, the persistent one stays")
	require.Zero(t, p.call(&jute.Call{Op: jute.OpRemoveWatches, Path: "/a", Mode: 3}).Err)
	require.EqualValues(t, noWatcher, p.call(&jute.Call{Op: jute.OpRemoveWatches, Path: "/a", Mode: 3}).Err)
}

func kindOf(e jute.Event) [2]any { return [2]any{e.Type, e.Path} }

func TestMissedEventsComeWithSetWatches(t *testing.T) {
	t.Parallel()
	s := start(t)
	p, other := s.connect(), s.connect()
	for _, path := range []string{"/changed", "/gone", "/parent", "/quiet"} {
		require.Zero(t, other.call(create(path)).Err)
	}
	seen := p.call(get("/changed", true)).Zxid
	p.Close()
	other.send(set("/changed", "y"), &jute.Call{Op: jute.OpDelete, Path: "/gone", Version: -1}, create("/made"), create("/parent/child"))
	for _, op := range []jute.OpCode{jute.OpSetData, jute.OpDelete, jute.OpCreate, jute.OpCreate} {
		_, a := other.said(op)
		require.Zero(t, a.Err)
	}
	q := s.reattach(p)
	answer := q.sendAs(jute.XidSetWatches, &jute.Call{
		Op: jute.OpSetWatches2, RelativeZxid: seen,
		Watches: [5][]string{{"/changed", "/gone", "/quiet"}, {"/made", "/never"}, {"/parent"}, {"/parent"}, {"/"}},
	})
	require.Equal(t, [][2]any{
		{int32(dataChanged), "/changed"}, {int32(deleted), "/gone"}, {int32(created), "/made"}, {int32(childrenChange), "/parent"},
	}, answer, "in the order of the watches, and nothing for the staying ones")
	// Those that were not used up stand, and so do the staying ones.
	require.Zero(t, other.call(create("/parent/more")).Err)
	require.Equal(t, [2]any{int32(created), "/parent/more"}, kindOf(q.event()))
	require.Equal(t, [2]any{int32(childrenChange), "/parent"}, kindOf(q.event()))
	require.Zero(t, other.call(set("/quiet", "y")).Err)
	require.Equal(t, [2]any{int32(dataChanged), "/quiet"}, kindOf(q.event()))
	require.Zero(t, other.call(create("/never")).Err)
	require.Equal(t, [2]any{int32(created), "/never"}, kindOf(q.event()))
}

// sendAs sends one request under an xid of its own and returns the events that
// come before its answer.
func (p *peer) sendAs(xid int32, c *jute.Call) (events [][2]any) {
	p.t.Helper()
	_, err := p.Write(jute.AppendCall(nil, xid, c))
	require.NoError(p.t, err)
	for {
		event, answer := p.said(c.Op)
		if event == nil {
			require.Equal(p.t, xid, answer.Xid)
			require.Zero(p.t, answer.Err)
			return events
		}
		events = append(events, kindOf(*event))
	}
}

func TestPingsAreAnsweredWhateverWaits(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := s.connect()
	s.Log.Hold(true)
	p.send(create("/a"))
	require.Empty(t, p.sendAs(jute.XidPing, &jute.Call{Op: jute.OpPing}))
	s.Log.Hold(false)
	_, a := p.said(jute.OpCreate)
	require.Zero(t, a.Err)
}

func TestTenThousandNamesComeWhole(t *testing.T) {
	t.Parallel()
	p := start(t).connect()
	const n, name = 10_000, "a-name-that-is-long-enough-that-all-of-them-together-are-more-than-a-megabyte-of-names-to-be-sent-back-in-one-frame-"
	require.Zero(t, p.call(create("/dir")).Err)
	for range n / 500 {
		var ops []jute.Call
		for range 500 {
			c := create("/dir/" + name)
			c.Flags = 2
			ops = append(ops, *c)
		}
		require.Zero(t, p.call(&jute.Call{Op: jute.OpMulti, Calls: ops}).Err)
	}
	a := p.call(&jute.Call{Op: jute.OpGetChildren, Path: "/dir"})
	require.Zero(t, a.Err)
	require.Len(t, a.Names, n)
	require.Equal(t, name+"0000000000", a.Names[0])
}
