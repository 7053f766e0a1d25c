package jute

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// translate decodes the request c as a server does.
func translate(t testing.TB, c Call) (protocol.Request, []Form, error) {
	xid, op, record, err := DecodeHeader(AppendCall(nil, 7, &c)[lengthBytes:])
	require.NoError(t, err)
	lim := protocol.DefaultLimits()
	var req protocol.Request
	_, forms, err := DecodeRequest(xid, op, record, &lim, &req, nil)
	return req, forms, err
}

func TestATagHoldsXidAndOperation(t *testing.T) {
	for op := range opNames {
		for _, xid := range []int32{0, 1, math.MaxInt32, math.MinInt32, XidEvent, XidPing, XidSetWatches} {
			tag := Tag(xid, op)
			require.Zero(t, tag>>TagBits)
			gotXid, gotOp := Untag(tag | 1<<TagBits | 1<<63)
			require.Equal(t, xid, gotXid)
			require.Equal(t, op, gotOp)
		}
	}
}

func TestWritesBecomeNativeOnes(t *testing.T) {
	data, acl := []byte("d"), znode.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}
	created := func(kind znode.Kind, sequential bool, ttl int64) protocol.WriteOp {
		return protocol.WriteOp{Op: protocol.OpCreate, Version: -1, Create: znode.CreateOp{
			Path: "/a", Data: data, ACL: acl, Kind: kind, Sequential: sequential, TTLMs: ttl, Narrow: true}}
	}
	of := func(op OpCode, flags int32) Call {
		return Call{Op: op, Path: "/a", Data: data, ACL: open, Flags: flags, TTLMs: 9}
	}
	cases := []struct {
		name string
		call Call
		want protocol.WriteOp
	}{
		{"persistent", of(OpCreate, 0), created(znode.Persistent, false, 0)},
		{"ephemeral", of(OpCreate, 1), created(znode.Ephemeral, false, 0)},
		{"sequential", of(OpCreate2, 2), created(znode.Persistent, true, 0)},
		{"ephemeral sequential", of(OpCreate2, 3), created(znode.Ephemeral, true, 0)},
		{"container", of(OpCreate, 4), created(znode.Container, false, 0)},
		{"container by its operation", of(OpCreateContainer, 4), created(znode.Container, false, 0)},
		{"container by its operation alone", of(OpCreateContainer, 0), created(znode.Container, false, 0)},
		{"TTL", of(OpCreateTTL, 5), created(znode.TTL, false, 9)},
		{"TTL sequential", of(OpCreateTTL, 6), created(znode.TTL, true, 9)},
		{"delete", Call{Op: OpDelete, Path: "/a", Version: 3}, protocol.WriteOp{Op: protocol.OpDelete, Path: "/a", Version: 3}},
		{"delete of any version", Call{Op: OpDelete, Path: "/a", Version: -1}, protocol.WriteOp{Op: protocol.OpDelete, Path: "/a", Version: -1}},
		{"setData", Call{Op: OpSetData, Path: "/a", Data: data, Version: 3}, protocol.WriteOp{Op: protocol.OpSet, Path: "/a", Data: data, Version: 3, Narrow: true}},
		{"setData to null", Call{Op: OpSetData, Path: "/a", Version: -1}, protocol.WriteOp{Op: protocol.OpSet, Path: "/a", Version: -1, Narrow: true}},
		{"setData to nothing", Call{Op: OpSetData, Path: "/a", Data: []byte{}, Version: -1}, protocol.WriteOp{Op: protocol.OpSet, Path: "/a", Data: []byte{}, Version: -1, Narrow: true}},
		{"setACL", Call{Op: OpSetACL, Path: "/a", ACL: open, Version: 2}, protocol.WriteOp{Op: protocol.OpSetACL, Path: "/a", ACL: acl, Version: 2, Narrow: true}},
		{"closeSession", Call{Op: OpCloseSession}, protocol.WriteOp{Op: protocol.OpCloseSession, Version: -1}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req, _, err := translate(t, c.call)
			require.NoError(t, err)
			require.True(t, req.Unkept)
			xid, op := Untag(req.Xid)
			require.EqualValues(t, 7, xid)
			require.Equal(t, c.call.Op, op)
			code, why := protocol.ValidateWrite(req.Op, req.Body, protocol.DefaultLimits())
			require.Equal(t, protocol.OK, code, why)
			require.Equal(t, protocol.AppendWrite(nil, &c.want), req.Body)
			var got protocol.WriteOp
			require.NoError(t, protocol.DecodeWrite(req.Op, req.Body, &got))
			require.Equal(t, c.want.Data == nil, got.Data == nil)
		})
	}
}

func TestAMultiBecomesANativeOne(t *testing.T) {
	req, forms, err := translate(t, Call{Op: OpMulti, Calls: []Call{
		create(OpCreate, "/a", 0), create(OpCreateTTL, "/b", 6), {Op: OpCheck, Path: "/", Version: 5}, {Op: OpDelete, Path: "/c", Version: -1},
		{Op: OpSetData, Path: "/zookeeper", Data: []byte("x"), Version: 1},
	}})
	require.NoError(t, err)
	require.True(t, req.Unkept)
	require.Equal(t, []Form{{Op: OpCreate}, {Op: OpCreate2}, {OpCheck, true, 1}, {Op: OpDelete}, {OpSetData, true, 2}}, forms)
	acl := znode.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}
	require.Equal(t, protocol.AppendMulti(nil, []protocol.WriteOp{
		{Op: protocol.OpCreate, Create: znode.CreateOp{Path: "/a", Data: []byte("data"), ACL: acl, Narrow: true}},
		{Op: protocol.OpCreate, Create: znode.CreateOp{Path: "/b", Data: []byte("data"), ACL: acl, Kind: znode.TTL, Sequential: true, TTLMs: 60_000, Narrow: true}},
		{Op: protocol.OpCheck, Path: "/", Version: 5},
		{Op: protocol.OpDelete, Path: "/c", Version: -1},
		{Op: protocol.OpSet, Path: "/zookeeper", Data: []byte("x"), Version: 1, Narrow: true},
	}), req.Body)
}

func TestAMultiOfTooManyOperationsIsRefusedWhole(t *testing.T) {
	lim := protocol.DefaultLimits()
	lim.MaxMultiOps = 2
	for _, op := range []OpCode{OpMulti, OpMultiRead} {
		inner := map[OpCode]OpCode{OpMulti: OpDelete, OpMultiRead: OpGetData}[op]
		three := Call{Op: op, Calls: []Call{{Op: inner, Path: "/a"}, {Op: inner, Path: "/a"}, {Op: inner, Path: "/a"}}}
		var req protocol.Request
		_, _, err := DecodeRequest(1, op, appendCall(nil, &three), &lim, &req, nil)
		require.ErrorIs(t, err, znode.ErrTooLarge)
		m := Refusal(&req, err)
		a, err := DecodeAnswer(AppendReply(nil, &m, nil)[lengthBytes:], op)
		require.NoError(t, err)
		require.Equal(t, errBadArguments, a.Err)

		three.Calls = three.Calls[:2]
		_, _, err = DecodeRequest(1, op, appendCall(nil, &three), &lim, &req, nil)
		require.NoError(t, err)
	}
}

func TestReadsBecomeNativeOnes(t *testing.T) {
	cases := []struct {
		name string
		call Call
		want protocol.Read
	}{
		{"exists", Call{Op: OpExists, Path: "/a", Watch: true}, protocol.Read{Op: protocol.OpExists, Path: "/a", Watch: true}},
		{"getData", Call{Op: OpGetData, Path: "/a"}, protocol.Read{Op: protocol.OpGet, Path: "/a"}},
		{"getData of an empty path is of the root", Call{Op: OpGetData}, protocol.Read{Op: protocol.OpGet, Path: "/"}},
		{"getChildren wants all", Call{Op: OpGetChildren, Path: "/a", Watch: true}, protocol.Read{Op: protocol.OpChildren, Path: "/a", Watch: true, Whole: true}},
		{"getChildren2 wants all", Call{Op: OpGetChildren2, Path: "/a"}, protocol.Read{Op: protocol.OpChildren, Path: "/a", Whole: true}},
		{"getACL", Call{Op: OpGetACL, Path: "/a"}, protocol.Read{Op: protocol.OpGetACL, Path: "/a"}},
		{"getAllChildrenNumber", Call{Op: OpGetAllChildrenNumber, Path: "/a"}, protocol.Read{Op: protocol.OpCount, Path: "/a"}},
		{"getEphemerals", Call{Op: OpGetEphemerals, Path: "/e"}, protocol.Read{Op: protocol.OpEphemerals, Path: "/e", Whole: true}},
		{"sync", Call{Op: OpSync, Path: "x"}, protocol.Read{Op: protocol.OpSync, Path: "x"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req, _, err := translate(t, c.call)
			require.NoError(t, err)
			require.Equal(t, c.want, req.Read)
			require.Equal(t, c.want.Op, req.Op)
			require.False(t, req.Unkept)
		})
	}
	req, forms, err := translate(t, Call{Op: OpMultiRead, Calls: []Call{{Op: OpGetData, Path: "", Watch: true}, {Op: OpGetChildren, Path: "/a"}}})
	require.NoError(t, err)
	require.Equal(t, []Form{{OpGetData, true, 1}, {Op: OpGetChildren}}, forms)
	require.Equal(t, []protocol.Read{{Op: protocol.OpGet, Path: "/"}, {Op: protocol.OpChildren, Path: "/a", Whole: true}}, req.Read.Reads)
}

func TestWatchesBecomeNativeOnes(t *testing.T) {
	const (
		data, exists, children, staying, below = protocol.WatchData, protocol.WatchExists, protocol.WatchChildren, protocol.WatchPersistent, protocol.WatchRecursive
	)
	cases := []struct {
		op   OpCode
		mode int32
		want []protocol.WatchMode
	}{
		{OpAddWatch, 0, []protocol.WatchMode{staying}},
		{OpAddWatch, 1, []protocol.WatchMode{below}},
		{OpRemoveWatches, 1, []protocol.WatchMode{children}},
		{OpRemoveWatches, 2, []protocol.WatchMode{data, exists}},
		{OpCheckWatches, 3, []protocol.WatchMode{data, exists, children, staying, below}},
		{OpCheckWatches, 4, []protocol.WatchMode{staying}},
		{OpRemoveWatches, 5, []protocol.WatchMode{below}},
	}
	for _, c := range cases {
		req, _, err := translate(t, Call{Op: c.op, Path: "/a", Mode: c.mode})
		require.NoError(t, err)
		var got []protocol.WatchMode
		for _, w := range req.Watches {
			require.Equal(t, "/a", w.Path)
			got = append(got, w.Mode)
		}
		require.Equal(t, c.want, got)
	}
}

func TestSetWatchesTakesUpWhereItsClientStands(t *testing.T) {
	req, _, err := translate(t, Call{Op: OpSetWatches2, RelativeZxid: 9, Watches: [5][]string{{"/d", ""}, {"/e"}, {"/c"}, {"/p"}, {"/r"}}})
	require.NoError(t, err)
	require.Equal(t, []protocol.Watch{
		{Path: "/d", Mode: protocol.WatchData, Since: 9}, {Path: "/", Mode: protocol.WatchData, Since: 9},
		{Path: "/e", Mode: protocol.WatchExists, Since: 9}, {Path: "/c", Mode: protocol.WatchChildren, Since: 9},
		{Path: "/p", Mode: protocol.WatchPersistent, Since: 9}, {Path: "/r", Mode: protocol.WatchRecursive, Since: 9},
	}, req.Watches)

	req, _, err = translate(t, Call{Op: OpSetWatches, RelativeZxid: -1, Watches: [5][]string{{"/d"}, {longPath, "/a//b"}}})
	require.NoError(t, err, "a path that no node can have costs no other watch")
	require.Equal(t, []protocol.Watch{{Path: "/d", Mode: protocol.WatchData}}, req.Watches)
	require.True(t, req.Compare)
}

func TestNothingOfARequestButAWritesBodyAliasesTheFrame(t *testing.T) {
	for _, c := range []Call{
		{Op: OpGetData, Path: "/a"}, {Op: OpSync, Path: "/a"}, {Op: OpAddWatch, Path: "/a"}, {Op: OpSetWatches, Watches: [5][]string{{"/a"}}},
		{Op: OpMultiRead, Calls: []Call{{Op: OpGetData, Path: "/a"}}}, {Op: OpSetData, Path: "/a", Version: -1},
	} {
		lim := protocol.DefaultLimits()
		frame := appendCall(nil, &c)
		var req, want protocol.Request
		_, _, err := DecodeRequest(1, c.Op, frame, &lim, &req, nil)
		require.NoError(t, err)
		clear(frame)
		_, _, err = DecodeRequest(1, c.Op, appendCall(nil, &c), &lim, &want, nil)
		require.NoError(t, err)
		require.Equal(t, want, req)
	}
}

func TestNamesThatAreSharedAreEncodedAsOthersAre(t *testing.T) {
	names := []string{"a", "", "ключ"}
	together := protocol.ShareNames(names)
	native := protocol.AppendMessage(nil, &protocol.Message{Op: protocol.OpChildren, More: together})
	for _, op := range []OpCode{OpGetChildren, OpGetChildren2} {
		want := AppendReply(nil, &protocol.Message{Xid: Tag(5, op), More: &protocol.More{Names: names}}, nil)
		for range 3 {
			require.Equal(t, want, AppendReply(nil, &protocol.Message{Xid: Tag(5, op), More: together}, nil))
		}
	}
	require.Equal(t, native, protocol.AppendMessage(nil, &protocol.Message{Op: protocol.OpChildren, More: together}), "each protocol has its own")
}

func TestAnEventThatIsSharedIsEncodedOnceAndAsOthersAre(t *testing.T) {
	m := &protocol.Message{Kind: protocol.Event, Event: protocol.EventDeleted, Zxid: 7, Path: "/pack/member"}
	jute, native := AppendEvent(nil, m), protocol.AppendMessage(nil, m)
	m.More = protocol.ShareEvent()
	for range 3 {
		require.Equal(t, jute, AppendEvent(nil, m))
		require.Equal(t, native, protocol.AppendMessage(nil, m), "each protocol has its own")
		m.Path = "/else"
	}
}

func TestWhatDoesNotFitIntoAStatIsAnError(t *testing.T) {
	reply := func(op OpCode, m protocol.Message) Answer {
		m.Xid = Tag(5, op)
		a, err := DecodeAnswer(AppendReply(nil, &m, []Form{{Op: OpGetData}, {Op: OpGetData}})[lengthBytes:], op)
		require.NoError(t, err)
		return a
	}
	wide := znode.Stat{Version: 1 << 31}
	require.Equal(t, errMarshalling, reply(OpExists, protocol.Message{Stat: wide}).Err)
	require.Equal(t, errMarshalling, reply(OpGetData, protocol.Message{Stat: znode.Stat{Aversion: 1 << 31}}).Err)
	require.Equal(t, errMarshalling, reply(OpGetChildren2, protocol.Message{Stat: znode.Stat{NumChildren: 1 << 31}}).Err)
	require.Equal(t, errMarshalling, reply(OpGetAllChildrenNumber, protocol.Message{More: &protocol.More{Count: 1 << 31}}).Err)
	require.Equal(t, errMarshalling, reply(OpGetChildren, protocol.Message{More: &protocol.More{Names: []string{"a"}, Truncated: true}}).Err)
	require.Equal(t, errMarshalling, reply(OpMulti, protocol.Message{More: &protocol.More{Results: []protocol.Message{{Stat: wide}}}}).Err)
	require.Equal(t, int32(math.MaxInt32), reply(OpExists, protocol.Message{Stat: znode.Stat{Version: math.MaxInt32}}).Stat.Version)
	require.Equal(t, int32(math.MinInt32), reply(OpExists, protocol.Message{Stat: znode.Stat{Cversion: 1 << 31}}).Stat.Cversion, "a cversion wraps")

	a := reply(OpMultiRead, protocol.Message{More: &protocol.More{Results: []protocol.Message{{Stat: wide}, {Stat: znode.Stat{Version: 2}}}}})
	require.Zero(t, a.Err)
	require.Equal(t, errMarshalling, a.Results[0].Err)
	require.EqualValues(t, 2, a.Results[1].Stat.Version)
}

func TestAMessageThatLacksItsPartsIsStillAFrame(t *testing.T) {
	for op := range opNames {
		m := protocol.Message{Xid: Tag(5, op), Zxid: 9}
		a, err := DecodeAnswer(AppendReply(nil, &m, nil)[lengthBytes:], op)
		require.NoError(t, err, op)
		require.Equal(t, Header{Xid: 5, Zxid: 9}, a.Header)
		m.More = &protocol.More{Results: make([]protocol.Message, 1)}
		_, err = DecodeAnswer(AppendReply(nil, &m, nil)[lengthBytes:], op)
		require.NoError(t, err, op)
	}
}

func TestContainersAndTTLNodesShowNoOwner(t *testing.T) {
	for kind, owner := range map[znode.Kind]uint64{znode.Persistent: 0, znode.Ephemeral: 77, znode.Container: 0, znode.TTL: 0} {
		m := protocol.Message{Xid: Tag(5, OpExists), Stat: znode.Stat{Kind: kind, Owner: owner, TTLMs: 5}}
		a, err := DecodeAnswer(AppendReply(nil, &m, nil)[lengthBytes:], OpExists)
		require.NoError(t, err)
		require.EqualValues(t, owner, a.Stat.EphemeralOwner)
	}
}

func TestAUserIsShownWithoutItsProof(t *testing.T) {
	m := protocol.Message{Xid: Tag(5, OpWhoAmI), More: &protocol.More{Identities: []znode.Identity{{Scheme: "ip", ID: "::1"}, {Scheme: "digest", ID: "u:hash"}, {Scheme: "super"}}}}
	a, err := DecodeAnswer(AppendReply(nil, &m, nil)[lengthBytes:], OpWhoAmI)
	require.NoError(t, err)
	require.Equal(t, []User{{"ip", "::1"}, {"digest", "u"}, {"super", ""}}, a.Identities)
}

func TestTheSuperuserHasNoName(t *testing.T) {
	m := protocol.Message{Xid: Tag(1, OpWhoAmI), More: &protocol.More{Identities: []znode.Identity{{Scheme: "super", ID: "super"}}}}
	a, err := DecodeAnswer(AppendReply(nil, &m, nil)[lengthBytes:], OpWhoAmI)
	require.NoError(t, err)
	require.Equal(t, []User{{"super", ""}}, a.Identities)
}

func TestAPathThatIsOnlyReadBreaksNoRule(t *testing.T) {
	m := protocol.Message{Xid: Tag(1, OpMultiRead), More: &protocol.More{Results: []protocol.Message{{Code: protocol.BadArguments}}}}
	a, err := DecodeAnswer(AppendReply(nil, &m, []Form{{Op: OpGetData}})[lengthBytes:], OpMultiRead)
	require.NoError(t, err)
	require.Equal(t, []Result{{Op: opError, Err: int32(protocol.NoNode)}}, a.Results)
}

func TestAVectorThatIsNullIsNotAnEmptyOne(t *testing.T) {
	for _, op := range []OpCode{OpGetChildren, OpGetACL, OpWhoAmI} {
		header := appendReplyHeader(nil, 1, 1, 0)
		stat := make([]byte, 68)
		null, err := DecodeAnswer(append(appendInt(header, -1), stat...), op)
		require.NoError(t, err)
		empty, err := DecodeAnswer(append(appendInt(header, 0), stat...), op)
		require.NoError(t, err)
		require.NotEqual(t, null, empty, op)
	}
}

func TestEventsThatZooKeeperDoesNotHaveAreNotSaid(t *testing.T) {
	for _, e := range []protocol.EventType{protocol.EventGap, protocol.EventReplayDone, protocol.EventProgress} {
		require.Empty(t, AppendEvent(nil, &protocol.Message{Kind: protocol.Event, Event: e}))
	}
	e, err := DecodeEvent(AppendEvent(nil, &protocol.Message{Kind: protocol.Event, Event: protocol.EventDeleted, Path: "/a", Zxid: 4})[lengthBytes:])
	require.NoError(t, err)
	require.Equal(t, Event{Zxid: -1, Type: 2, State: 3, Path: "/a"}, e)
}

func TestEveryCodeHasANumberThatOldClientsKnow(t *testing.T) {
	classic := []int32{0, -1, -2, -3, -4, -5, -6, -7, -8, -100, -101, -102, -103, -108, -110, -111, -112, -113, -114, -115, -118, -119, -121}
	young := []protocol.Code{protocol.QuotaExceeded, NewConfigNoQuorum, ReconfigInProgress, ReconfigDisabled, SessionClosedRequireSASLAuth}
	named := len(young)
	for c := protocol.Code(0); c > -1000; c-- {
		_, listed := codes[c]
		if slices.Contains(young, c) {
			require.Equal(t, int32(c), Code(c), "met only by those who ask for what is as young")
			continue
		}
		if isNamed := !strings.HasPrefix(c.String(), "code "); isNamed {
			require.True(t, listed, "%v has no row", c)
			named++
		} else {
			require.False(t, listed, "%v is no code", c)
			require.Equal(t, errSystem, Code(c), c)
		}
		require.Contains(t, classic, Code(c), c)
		if c > protocol.TooLarge && c != protocol.Throttled && listed {
			require.Equal(t, int32(c), Code(c), "ZooKeeper's own number")
		}
	}
	require.Len(t, codes, named)
}

func TestHandshakesWithAndWithoutReadOnly(t *testing.T) {
	for _, has := range []bool{true, false} {
		want := ConnectRequest{LastZxid: 1 << 40, TimeoutMs: 30_000, Session: -5, Password: []byte("0123456789abcdef"), ReadOnly: has, HasReadOnly: has}
		frame := AppendConnectRequest(nil, &want)[lengthBytes:]
		require.Len(t, frame, map[bool]int{true: 45, false: 44}[has])
		got, err := DecodeConnectRequest(frame)
		require.NoError(t, err)
		require.Equal(t, want, got)
		_, err = DecodeConnectRequest(frame[:43])
		require.ErrorIs(t, err, protocol.ErrMarshalling)

		answer := ConnectResponse{TimeoutMs: 1000, Session: 7, Password: want.Password, ReadOnly: has}
		frame = AppendConnectResponse(nil, &answer, has)
		require.Len(t, frame, map[bool]int{true: 41, false: 40}[has])
		gotAnswer, err := DecodeConnectResponse(frame[lengthBytes:])
		require.NoError(t, err)
		require.Equal(t, answer, gotAnswer)
	}
}

// The Java client reads a token behind the header of each answer to its sasl. One
// that finds none there takes the connection for broken, and comes again for ever
// instead of being told that its password is wrong.
func TestAFailedSASLHasANullTokenBehindItsHeader(t *testing.T) {
	m := protocol.Message{Op: protocol.OpAuth, Xid: Tag(3, OpSASL), Code: protocol.AuthFailed}
	frame := AppendReply(nil, &m, nil)
	want := endFrame(appendInt(appendReplyHeader([]byte{0, 0, 0, 0}, 3, 0, -115), -1), 0)
	require.Equal(t, want, frame)
	answer, err := DecodeAnswer(frame[lengthBytes:], OpSASL)
	require.NoError(t, err)
	require.EqualValues(t, -115, answer.Err)
}

func TestProofsAndMembersGoBothWays(t *testing.T) {
	auth := Auth{Scheme: "digest", Data: []byte("u:p")}
	_, op, record, err := DecodeHeader(AppendAuth(nil, &auth)[lengthBytes:])
	require.NoError(t, err)
	require.Equal(t, OpAuth, op)
	gotAuth, err := DecodeAuth(record)
	require.NoError(t, err)
	require.Equal(t, auth, gotAuth)

	_, _, record, err = DecodeHeader(AppendSASL(nil, 3, []byte{})[lengthBytes:])
	require.NoError(t, err)
	token, err := DecodeSASL(record)
	require.NoError(t, err)
	require.Equal(t, []byte{}, token, "an empty token is not null")

	for _, r := range []Reconfig{{CurConfigID: -1}, {Joining: "server.1=a", HasJoining: true, HasLeaving: true, CurConfigID: 1 << 40}, {NewMembers: "x", HasNewMembers: true}} {
		_, _, record, err := DecodeHeader(AppendReconfig(nil, 3, &r)[lengthBytes:])
		require.NoError(t, err)
		got, err := DecodeReconfig(record)
		require.NoError(t, err)
		require.Equal(t, r, got)
	}
}

func TestANodeThatWasThereFromTheStartHasEmptyData(t *testing.T) {
	t.Parallel()
	lim := protocol.DefaultLimits()
	for path, null := range map[string]bool{"/": false, "/zookeeper/config": false, "/zookeeper/quota": false, "/a": true} {
		var req protocol.Request
		record := AppendCall(nil, 1, &Call{Op: OpGetData, Path: path})[lengthBytes+requestHeaderBytes:]
		_, _, err := DecodeRequest(1, OpGetData, record, &lim, &req, nil)
		require.NoError(t, err)
		a, err := DecodeAnswer(AppendReply(nil, &protocol.Message{Op: req.Op, Xid: req.Xid}, nil)[lengthBytes:], OpGetData)
		require.NoError(t, err)
		require.Equal(t, null, a.Data == nil, path)
		set := protocol.Message{Op: req.Op, Xid: req.Xid, Stat: znode.Stat{Mzxid: 5}}
		a, err = DecodeAnswer(AppendReply(nil, &set, nil)[lengthBytes:], OpGetData)
		require.NoError(t, err)
		require.Nil(t, a.Data, "null again once it was set to that")
	}
}
