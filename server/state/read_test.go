package state

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
	"github.com/stretchr/testify/require"
)

// frame is the size of the answer on the wire.
func frame(m protocol.Message) int { return len(protocol.AppendMessage(nil, &m)) }

func TestAListingWithoutALimitFillsAFrameAndSaysThatItIsCut(t *testing.T) {
	b := newBench(t)
	b.done(create("/d", ""))
	const children = 3 * pageStep
	var steps []protocol.WriteOp
	for i := range children {
		steps = append(steps, create(fmt.Sprintf("/d/%s%06d", strings.Repeat("n", 100), i), ""))
		if len(steps) == 400 || i == children-1 {
			w := b.multiTxn(steps...)
			w.Xid = 0
			require.Equal(t, protocol.OK, b.apply(w).Answer.Code)
			steps = steps[:0]
		}
	}
	max := int(protocol.DefaultLimits().MaxFrame)
	seen, after := 0, ""
	for {
		page := b.read(protocol.Read{Op: protocol.OpChildren, Path: "/d", After: after})
		require.Equal(t, protocol.OK, page.Code)
		require.LessOrEqual(t, frame(page), max)
		for i, name := range page.More.Names {
			require.Equal(t, fmt.Sprintf("%s%06d", strings.Repeat("n", 100), seen+i), name)
		}
		seen += len(page.More.Names)
		if !page.More.Truncated {
			break
		}
		require.Greater(t, frame(page), max*9/10, "a page that is cut is nearly full")
		after = page.More.Names[len(page.More.Names)-1]
	}
	require.Equal(t, children, seen)

	page := b.read(protocol.Read{Op: protocol.OpChildren, Path: "/d", Limit: 2 * pageStep})
	require.Less(t, len(page.More.Names), 2*pageStep)
	require.True(t, page.More.Truncated)
	page = b.read(protocol.Read{Op: protocol.OpChildren, Path: "/d", Limit: 7})
	require.Len(t, page.More.Names, 7)
	require.True(t, page.More.Truncated)
}

func TestAMultiReadKeepsWithinAFrame(t *testing.T) {
	b := newBench(t)
	big := b.txn(create("/big", strings.Repeat("x", 400<<10)))
	require.Equal(t, protocol.OK, b.apply(big).Answer.Code)
	b.done(create("/small", "s"))
	get := func(path string) protocol.Read { return protocol.Read{Op: protocol.OpGet, Path: path} }
	out := b.read(protocol.Read{Op: protocol.OpMultiRead, Reads: []protocol.Read{get("/big"), get("/big"), get("/big"), get("/small"), get("/none")}})
	var codes []protocol.Code
	for _, r := range out.More.Results {
		codes = append(codes, r.Code)
	}
	require.Equal(t, []protocol.Code{protocol.OK, protocol.OK, protocol.TooLarge, protocol.OK, protocol.NoNode}, codes)
	require.Nil(t, out.More.Results[2].Data)
	require.LessOrEqual(t, frame(out), int(protocol.DefaultLimits().MaxFrame))
}

func TestAMultiReadOfErrorsDropsTheirWordsBeforeItOutgrowsAFrame(t *testing.T) {
	b := newBench(t)
	long := "/" + strings.Repeat("n", znode.MaxPathBytes-1)
	w := create(long, "")
	w.Create.ACL = znode.ACL{{Perms: znode.Admin, Scheme: "world", ID: "anyone"}}
	b.done(w)
	reads := make([]protocol.Read, protocol.DefaultLimits().MaxMultiOps+100)
	for i := range reads {
		reads[i] = protocol.Read{Op: protocol.OpGet, Path: long}
	}
	out := b.read(protocol.Read{Op: protocol.OpMultiRead, Reads: reads})
	require.LessOrEqual(t, frame(out), int(protocol.DefaultLimits().MaxFrame))
	for _, r := range out.More.Results {
		require.Equal(t, protocol.NoAuth, r.Code)
	}
	require.NotEmpty(t, detail(&out.More.Results[0]))
	require.Empty(t, detail(&out.More.Results[len(reads)-1]))
}

func TestSessionInfoOfZeroIsTheAsker(t *testing.T) {
	b := newBench(t)
	b.done(ephemeral("/e"))
	out := b.read(protocol.Read{Op: protocol.OpSessionInfo})
	require.Equal(t, protocol.SessionInfo{ID: b.id, Alive: true, TimeoutMs: 5000, Generation: 1, Ephemerals: 1}, *out.More.Session)
	out = b.read(protocol.Read{Op: protocol.OpSessionInfo, Session: 12345})
	require.Equal(t, protocol.SessionInfo{ID: 12345}, *out.More.Session)
}

func TestAReadThatStateDoesNotKnowIsUnimplemented(t *testing.T) {
	b := newBench(t)
	require.Equal(t, protocol.Unimplemented, b.read(protocol.Read{Op: protocol.OpWhoAmI}).Code)
}

func TestReadLeavesKindAndXidToItsCaller(t *testing.T) {
	b := newBench(t)
	out := protocol.Message{Xid: 9}
	b.m.Read(&znode.Actor{}, &protocol.Read{Op: protocol.OpGet, Path: "/none"}, &out)
	require.Equal(t, protocol.Message{Op: protocol.OpGet, Code: protocol.NoNode, Xid: 9, Zxid: 1}, out)
}
