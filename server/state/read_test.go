package state

import (
	"fmt"
	"slices"
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

// A machine whose node /d has ephemeral children of session 1 with names of
// 1000 bytes.
func longNames(t *testing.T, children int) *Machine {
	m := New()
	system := slices.Collect(m.tree.Freeze().All())
	root := &system[0]
	root.Sequence, root.Stat.NumChildren, root.Stat.Cversion = 1, 2, 1
	records := []znode.Record{*root, {Path: "/d", ACL: open, Sequence: uint64(children), Stat: znode.Stat{NumChildren: children, Cversion: int64(children)}}}
	for i := range children {
		records = append(records, znode.Record{Path: fmt.Sprintf("/d/%01000d", i), ACL: open, Stat: znode.Stat{Kind: znode.Ephemeral, Owner: 1}})
	}
	m.tree = treeOf(t, append(records, system[1:]...))
	return m
}

func TestAWholeListingIsAllOfItOrTooLarge(t *testing.T) {
	const fits = maxWhole / (1000 + wholeNameRoom)
	children := protocol.Read{Op: protocol.OpChildren, Path: "/d", Whole: true, Limit: 3, After: "00001"}
	for _, c := range []struct {
		name     string
		r        protocol.Read
		children int
		want     string // nothing: all names
	}{
		{"children", children, fits, ""},
		{"a child more", children, fits + 1, "children /d: too large: the names take more than 16777216 bytes, and no page was asked for"},
		{"ephemerals", protocol.Read{Op: protocol.OpEphemerals, Whole: true}, maxWhole / (1003 + wholeNameRoom), ""},
		{"an ephemeral more", protocol.Read{Op: protocol.OpEphemerals, Path: "/d", Whole: true}, maxWhole/(1003+wholeNameRoom) + 1,
			"ephemerals /d: too large: the names take more than 16777216 bytes, and no page was asked for"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := longNames(t, c.children)
			var out protocol.Message
			m.Read(&znode.Actor{Session: 1}, &c.r, &out)
			if c.want != "" {
				require.Equal(t, protocol.TooLarge, out.Code)
				require.Equal(t, &protocol.More{Detail: c.want}, out.More)
				return
			}
			require.Equal(t, protocol.OK, out.Code)
			require.Len(t, out.More.Names, c.children)
			require.False(t, out.More.Truncated)
			require.LessOrEqual(t, out.Size(), maxWhole+replyRoom)
		})
	}
}

func TestWholeListingsOfAMultiReadShareItsFrame(t *testing.T) {
	m := longNames(t, 600)
	whole := protocol.Read{Op: protocol.OpChildren, Path: "/d", Whole: true}
	root := protocol.Read{Op: protocol.OpChildren, Path: "/", Whole: true}
	var out protocol.Message
	m.Read(&znode.Actor{}, &protocol.Read{Op: protocol.OpMultiRead, Reads: []protocol.Read{whole, whole, root}}, &out)
	results := out.More.Results
	require.Equal(t, []protocol.Code{protocol.OK, protocol.TooLarge, protocol.OK}, []protocol.Code{results[0].Code, results[1].Code, results[2].Code})
	require.Len(t, results[0].More.Names, 600)
	require.Nil(t, results[1].More.Names)
	require.Contains(t, detail(&results[1]), "children /d: too large")
	require.Equal(t, []string{"d", "zookeeper"}, results[2].More.Names)
	require.LessOrEqual(t, frame(out), int(protocol.DefaultLimits().MaxFrame))
}

// A listing that does not fit takes nothing of the frame, and a multi of a
// thousand of them would hold the lock for seconds.
func TestAMultiReadGathersOnlySoMuchInVain(t *testing.T) {
	m := longNames(t, 1200)
	root := protocol.Read{Op: protocol.OpChildren, Path: "/", Whole: true}
	reads := []protocol.Read{root}
	for range 100 {
		reads = append(reads, protocol.Read{Op: protocol.OpChildren, Path: "/d", Whole: true})
	}
	reads = append(reads, root, protocol.Read{Op: protocol.OpExists, Path: "/d"})
	var out protocol.Message
	m.Read(&znode.Actor{}, &protocol.Read{Op: protocol.OpMultiRead, Reads: reads}, &out)
	results := out.More.Results
	require.Equal(t, protocol.OK, results[0].Code)
	require.Equal(t, protocol.TooLarge, results[1].Code)
	require.Equal(t, protocol.TooLarge, results[101].Code)
	require.Equal(t, "children /: too large: too much was gathered for listings before it that did not fit", detail(&results[101]))
	require.Equal(t, protocol.OK, results[102].Code)
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
