package protocol

import (
	"bytes"
	"math"
	"strings"

	"github.com/lycaon-io/lycaon/znode"
)

// The samples hold one of everything that goes over the wire, and the edges of
// its fields. Golden files, round trips, the msgpack twin and the seeds of the
// fuzz targets are all made of them.

var (
	sampleACL = znode.ACL{
		{Perms: znode.AllPerms, Scheme: znode.SchemeWorld, ID: "anyone"},
		{Perms: znode.Read | znode.Admin, Scheme: znode.SchemeDigest, ID: "ann:D/InIHSb7yEEbrWz8b9l71RjZJU="},
	}
	sampleIDs  = []znode.Identity{{Scheme: znode.SchemeIP, ID: "10.0.0.7"}, {Scheme: znode.SchemeDigest, ID: "ann:D/InIHSb7yEEbrWz8b9l71RjZJU="}}
	sampleStat = znode.Stat{
		Czxid: 5, Mzxid: 300, Pzxid: 70_000, CtimeMs: 1_700_000_000_000, MtimeMs: 1_700_000_000_001,
		Version: 2, Cversion: 130, Aversion: 1, Owner: 1 << 40, TTLMs: 0, Kind: znode.Ephemeral, DataLength: 5, NumChildren: 0,
	}
	sampleStatus = Status{
		ServerID: 1, Role: "leader", Zxid: 4711, Term: 3, CommitIndex: 5000, AppliedIndex: 4999, Sessions: 12, Connections: 10, Watches: 400,
		Nodes: 100_000, DataBytes: 1 << 30, Digest: math.MaxUint64, Version: "0.1.0", UptimeMs: 86_400_000, Ready: true, Disk: "ok", LogBytes: 1 << 20,
		LeaderID: 1, ContactMs: 250, Lag: 1,
	}
	sampleMember = Member{ID: 1, Role: "leader", PeerAddr: "a:2888", ClientAddr: "a:2181", Version: "0.1.0"}
	extremeStat  = znode.Stat{
		Czxid: math.MaxUint64, Mzxid: math.MaxUint64, Pzxid: math.MaxUint64, CtimeMs: math.MinInt64, MtimeMs: math.MaxInt64,
		Version: math.MaxInt64, Cversion: math.MinInt32, Aversion: -1, Owner: math.MaxUint64, TTLMs: -33, Kind: znode.TTL,
		DataLength: math.MaxInt64, NumChildren: -129,
	}
)

type requestSample struct {
	name string
	req  Request
}

func writeSamples() []WriteOp {
	return []WriteOp{
		{Op: OpCreate, Version: -1, Create: znode.CreateOp{Path: "/a/b", Data: []byte("hello"), ACL: sampleACL}},
		{Op: OpCreate, Version: -1, Create: znode.CreateOp{Path: "/null", ACL: sampleACL[:1], Kind: znode.Ephemeral, Sequential: true, Parents: true}},
		{Op: OpCreate, Version: -1, Create: znode.CreateOp{Path: "/empty", Data: []byte{}, ACL: sampleACL[:1], Kind: znode.TTL, IfAbsent: true, TTLMs: 60_000}},
		{Op: OpCreate, Version: -1, Create: znode.CreateOp{Path: "/container", ACL: sampleACL[:1], Kind: znode.Container}},
		{Op: OpDelete, Path: "/a/b", Version: 7},
		{Op: OpDelete, Path: "/a", Version: -1, Recursive: true},
		{Op: OpSet, Path: "/a/b", Data: []byte{0, 1, 2, 0xff}, Version: 3},
		{Op: OpSet, Path: "/a/b", Data: nil, Version: -1},
		{Op: OpSet, Path: "/a/b", Data: bytes.Repeat([]byte{'x'}, 300), Version: math.MaxInt64},
		{Op: OpSetACL, Path: "/a/b", ACL: sampleACL, Version: 1},
		{Op: OpCheck, Path: "/a/b", Version: 200},
		{Op: OpCheck, Path: "/ключ/鍵", Version: math.MinInt64},
		{Op: OpCreate, Version: -1, Create: znode.CreateOp{Path: "/narrow", ACL: sampleACL[:1], Sequential: true, Narrow: true}},
		{Op: OpSet, Path: "/narrow", Version: -1, Narrow: true},
		{Op: OpSetACL, Path: "/narrow", ACL: sampleACL, Version: 1, Narrow: true},
	}
}

func requestSamples() []requestSample {
	samples := []requestSample{
		{"multi", Request{Op: OpMulti, Xid: 9, Arg: 4, Body: AppendMulti(nil, writeSamples()[:8])}},
		{"brief multi", Request{Op: OpMulti, Xid: 14, Arg: 4, Body: AppendBriefMulti(nil, writeSamples()[:2])}},
		{"multi of nothing", Request{Op: OpMulti, Xid: 10, Arg: 10, Body: AppendMulti(nil, nil)}},
		{"closeSession", Request{Op: OpCloseSession, Xid: 11, Arg: 11, Body: AppendCloseSession(nil)}},
		{"guard", Request{Op: OpGuard, Xid: 13, Arg: 12, Body: AppendGuard(nil, "/lock", 1<<40)}},
		{"raiseSequence", Request{Op: OpRaiseSequence, Xid: 12, Arg: 11, Body: AppendRaiseSequence(nil, "/a", 1<<31)}},
		{"get", Request{Op: OpGet, Xid: 1, Read: Read{Path: "/a/b"}}},
		{"get with a watch, linearizable", Request{Op: OpGet, Consistency: Linearizable, Xid: 2, Read: Read{Path: "/a/b", Watch: true}}},
		{"exists at least at zxid 77", Request{Op: OpExists, Consistency: AtLeast, Xid: 3, Arg: 77, Read: Read{Path: "/"}}},
		{"children, a page", Request{Op: OpChildren, Xid: 4, Read: Read{Path: "/a", After: "m", Limit: 100}}},
		{"children with a watch", Request{Op: OpChildren, Xid: 5, Read: Read{Path: "/a", Watch: true}}},
		{"getACL", Request{Op: OpGetACL, Xid: 6, Read: Read{Path: "/a"}}},
		{"count", Request{Op: OpCount, Xid: 7, Read: Read{Path: "/a"}}},
		{"ephemerals", Request{Op: OpEphemerals, Xid: 8, Read: Read{Path: "/a", After: "/a/b", Limit: 3}}},
		{"ephemerals, all", Request{Op: OpEphemerals, Xid: 8}},
		{"multiRead", Request{Op: OpMultiRead, Xid: 9, Read: Read{Reads: []Read{
			{Op: OpGet, Path: "/a"}, {Op: OpExists, Path: "/b"}, {Op: OpChildren, Path: "/c", After: "x", Limit: 1},
			{Op: OpGetACL, Path: "/d"}, {Op: OpCount, Path: "/e"},
		}}}},
		{"sync", Request{Op: OpSync, Xid: 10}},
		{"whoAmI", Request{Op: OpWhoAmI, Xid: 11}},
		{"sessionInfo", Request{Op: OpSessionInfo, Xid: 12, Read: Read{Session: 1 << 33}}},
		{"watch", Request{Op: OpWatch, Xid: 13, Watches: []Watch{{Path: "/a", Mode: WatchRecursive}}}},
		{"unwatch", Request{Op: OpUnwatch, Xid: 14, Watches: []Watch{{Path: "/a", Mode: WatchData}}}},
		{"resume", Request{Op: OpResume, Xid: 15, Watches: []Watch{
			{Path: "/a", Mode: WatchData, Since: 300}, {Path: "/b", Mode: WatchExists}, {Path: "/c", Mode: WatchChildren, Since: math.MaxUint64}, {Path: "/d", Mode: WatchPersistent, Since: 1},
		}}},
		{"resume of nothing", Request{Op: OpResume, Xid: 16}},
		{"ping", Request{Op: OpPing, Xid: 17}},
		{"auth", Request{Op: OpAuth, Xid: 18, Body: AppendAuth(nil, Credential{Scheme: "digest", Data: Secret("ann:secret")})}},
		{"snapshot", Request{Op: OpSnapshot, Xid: 19}},
		{"status", Request{Op: OpStatus, Xid: 20}},
		{"expireSession", Request{Op: OpExpireSession, Xid: 21, Body: AppendExpireSession(nil, 1<<33, "stuck in a bad state")}},
		{"members", Request{Op: OpMembers, Xid: 22}},
		{"clusterStatus", Request{Op: OpClusterStatus, Xid: 23}},
		{"memberChange, add", Request{Op: OpMemberChange, Xid: 24, Body: AppendMemberChange(nil, &MemberChange{Action: AddMember, ID: 4, Addr: "10.0.0.4:2888"})}},
		{"memberChange, replace where it is", Request{Op: OpMemberChange, Xid: 25, Body: AppendMemberChange(nil, &MemberChange{Action: ReplaceMember, ID: 2})}},
		{"transferLeader", Request{Op: OpTransferLeader, Xid: 26, Body: AppendTransferLeader(nil, 3)}},
		{"sessions, a page", Request{Op: OpSessions, Xid: 27, Body: AppendSessionQuery(nil, &SessionQuery{After: 1 << 33, Limit: 100})}},
		{"sessions, one", Request{Op: OpSessions, Xid: 28, Body: AppendSessionQuery(nil, &SessionQuery{Session: 1 << 33})}},
	}
	for i, w := range writeSamples() {
		name := w.Op.String() + " " + w.Path + w.Create.Path
		samples = append(samples, requestSample{name, Request{Op: w.Op, Xid: uint64(100 + i), Arg: 90, Body: AppendWrite(nil, &w)}})
	}
	for i := range samples {
		if samples[i].req.Op.IsRead() {
			samples[i].req.Read.Op = samples[i].req.Op
		}
	}
	return samples
}

type messageSample struct {
	name string
	msg  Message
}

func messageSamples() []messageSample {
	reply := func(name string, m Message) messageSample {
		m.Xid, m.Zxid = 12, 4711
		return messageSample{name, m}
	}
	detail := func(s string) *More { return &More{Detail: s} }
	return []messageSample{
		reply("create", Message{Op: OpCreate, Path: "/q/0000000003", Stat: sampleStat}),
		reply("create, existed", Message{Op: OpCreate, Path: "/a", Stat: sampleStat, More: &More{Existed: true}}),
		reply("create, failed", Message{Op: OpCreate, Code: NodeExists, More: detail("create /a: node already exists")}),
		reply("delete", Message{Op: OpDelete}),
		reply("delete, recursive", Message{Op: OpDelete, More: &More{Count: 12}}),
		reply("delete, failed without a text", Message{Op: OpDelete, Code: NotEmpty}),
		reply("set", Message{Op: OpSet, Stat: sampleStat}),
		reply("setACL", Message{Op: OpSetACL, Stat: extremeStat}),
		reply("check", Message{Op: OpCheck}),
		reply("multi", Message{Op: OpMulti, More: &More{Results: []Message{
			{Op: OpCreate, Path: "/a", Stat: sampleStat}, {Op: OpDelete}, {Op: OpSet, Stat: sampleStat}, {Op: OpSetACL, Stat: sampleStat}, {Op: OpCheck},
		}}}),
		reply("multi of nothing", Message{Op: OpMulti, More: &More{}}),
		reply("multi, failed", Message{Op: OpMulti, Code: BadVersion, More: &More{Detail: "multi: operation 1: check /a: version does not match", Results: []Message{
			{Op: OpDelete}, {Op: OpCheck, Code: BadVersion, More: detail("check /a: version does not match")}, {Op: OpSet, Code: RuntimeInconsistency},
		}}}),
		reply("brief multi", Message{Op: OpMulti, More: &More{}}),
		reply("brief multi, failed", Message{Op: OpMulti, Code: BadVersion, More: &More{
			Detail: "check /a: version does not match", Results: []Message{{Op: OpCheck, Code: BadVersion}}, Count: 4711,
		}}),
		reply("closeSession", Message{Op: OpCloseSession}),
		reply("raiseSequence", Message{Op: OpRaiseSequence}),
		reply("guard", Message{Op: OpGuard}),
		reply("get", Message{Op: OpGet, Data: []byte("hello"), Stat: sampleStat}),
		reply("get, null", Message{Op: OpGet, Stat: sampleStat}),
		reply("get, empty", Message{Op: OpGet, Data: []byte{}, Stat: sampleStat}),
		reply("get, failed", Message{Op: OpGet, Code: NoNode, More: detail("get /a: node does not exist")}),
		reply("exists", Message{Op: OpExists, Stat: sampleStat}),
		reply("children", Message{Op: OpChildren, Stat: sampleStat, More: &More{Names: []string{"a", "b", "ключ"}, Truncated: true}}),
		reply("children, none", Message{Op: OpChildren, Stat: sampleStat, More: &More{}}),
		reply("getACL", Message{Op: OpGetACL, Stat: sampleStat, More: &More{ACL: sampleACL}}),
		reply("count", Message{Op: OpCount, More: &More{Count: 1 << 33}}),
		reply("ephemerals", Message{Op: OpEphemerals, More: &More{Names: []string{"/a/1", "/a/2"}}}),
		reply("multiRead", Message{Op: OpMultiRead, More: &More{Results: []Message{
			{Op: OpGet, Data: []byte("x"), Stat: sampleStat}, {Op: OpExists, Code: NoNode, More: detail("exists /b: node does not exist")},
			{Op: OpChildren, Stat: sampleStat, More: &More{Names: []string{"n"}}}, {Op: OpGetACL, Stat: sampleStat, More: &More{ACL: sampleACL[:1]}},
			{Op: OpCount, More: &More{Count: 3}},
		}}}),
		reply("sync", Message{Op: OpSync}),
		reply("whoAmI", Message{Op: OpWhoAmI, More: &More{Identities: sampleIDs}}),
		reply("sessionInfo, alive", Message{Op: OpSessionInfo, More: &More{Session: &SessionInfo{ID: 9, Alive: true, TimeoutMs: 10_000, Generation: 3, Ephemerals: 2}}}),
		reply("sessionInfo, ended", Message{Op: OpSessionInfo, More: &More{Session: &SessionInfo{ID: 9, Cause: "no frame for 10s", EndedZxid: 99}}}),
		reply("watch", Message{Op: OpWatch}),
		reply("unwatch, failed", Message{Op: OpUnwatch, Code: NoWatcher}),
		reply("resume", Message{Op: OpResume}),
		reply("ping", Message{Op: OpPing}),
		reply("ping, of a follower", Message{Op: OpPing, More: &More{Count: 300}}),
		reply("auth", Message{Op: OpAuth, More: &More{Identities: sampleIDs}}),
		reply("snapshot, a piece", Message{Op: OpSnapshot, Partial: true, Data: []byte{1, 2, 3}}),
		reply("snapshot, the last", Message{Op: OpSnapshot, Data: []byte{4, 5}, More: &More{Count: 5}}),
		reply("status", Message{Op: OpStatus, More: &More{Status: &sampleStatus}}),
		reply("expireSession", Message{Op: OpExpireSession}),
		reply("members", Message{Op: OpMembers, More: &More{Members: []Member{
			sampleMember, {ID: 2, Role: "follower", PeerAddr: "[fd00::2]:2888", ClientAddr: "[fd00::2]:2181", Version: "0.1.0"}, {ID: 3, Role: "unreachable", PeerAddr: "c:2888"},
		}}}),
		reply("clusterStatus", Message{Op: OpClusterStatus, More: &More{Cluster: []MemberStatus{
			{Member: sampleMember, Status: &sampleStatus}, {Member: Member{ID: 3, Role: "unreachable", PeerAddr: "c:2888"}, Error: "connection refused"},
		}}}),
		reply("memberChange", Message{Op: OpMemberChange}),
		reply("memberChange, failed", Message{Op: OpMemberChange, Code: BadArguments, More: detail("server 4 is 1000 entries behind")}),
		reply("transferLeader", Message{Op: OpTransferLeader}),
		reply("sessions", Message{Op: OpSessions, More: &More{Sessions: &SessionPage{
			Sessions: []LiveSession{
				{ID: 9, TimeoutMs: 10_000, Generation: 3, Ephemerals: 2, ServerID: 1, ClientAddr: "[fd00::7]:41234", ConnectedMs: 86_400_000, HeardMs: 250, Watches: 400, Paths: []string{"/a", "/a/b"}},
				{ID: 1 << 33, TimeoutMs: 4000, Generation: 1},
			},
			More: true, Silent: []uint64{2, 300},
		}}}),
		reply("sessions, none", Message{Op: OpSessions, More: &More{Sessions: &SessionPage{}}}),
		reply("an operation this version does not know", Message{Op: 200, Code: Unimplemented, More: detail("operation 200: not known to this server")}),
		{"created", Message{Kind: Event, Event: EventCreated, Zxid: 5, Path: "/a"}},
		{"deleted", Message{Kind: Event, Event: EventDeleted, Zxid: 6, Path: "/a"}},
		{"data changed", Message{Kind: Event, Event: EventDataChanged, Zxid: 7, Path: "/a"}},
		{"children changed", Message{Kind: Event, Event: EventChildrenChanged, Zxid: 8, Path: "/"}},
		{"gap", Message{Kind: Event, Event: EventGap, Zxid: 9, Path: "/a"}},
		{"replay done", Message{Kind: Event, Event: EventReplayDone, Zxid: 10}},
		{"progress", Message{Kind: Event, Event: EventProgress, Zxid: 11}},
		{"goodbye", Message{Kind: Goodbye, Code: SessionMoved, Zxid: 12, More: detail("attached from another connection")}},
		{"goodbye without a text", Message{Kind: Goodbye, Code: Closing}},
	}
}

func helloSamples() []Hello {
	return []Hello{
		{MinVersion: 1, MaxVersion: 1, Mode: HelloOpen, Client: "lycaon-go/0.1", TimeoutMs: 10_000,
			Credentials: []Credential{{Scheme: "digest", Data: Secret("ann:secret")}}},
		{MinVersion: 1, MaxVersion: 3, Mode: HelloAttach, Client: strings.Repeat("n", maxClientBytes), TimeoutMs: 10_000, Session: 1 << 33,
			Password: bytes.Repeat([]byte{7}, 16), Attempt: 2, LastZxid: 4711, Ack: 12},
		{MinVersion: 1, MaxVersion: 1, Mode: HelloGuest},
		{MinVersion: 2, MaxVersion: 9}, // nothing in common: the rest does not count
	}
}

func welcomeSamples() []Welcome {
	return []Welcome{
		{Version: 1, ServerID: 1, Server: "lycaon/0.1", Session: 1 << 33, Password: bytes.Repeat([]byte{7}, 16), Generation: 2,
			TimeoutMs: 10_000, Zxid: 4711, Limits: DefaultLimits(), Identities: sampleIDs, HighXid: 1 << 50},
		{Version: 1, Code: SessionExpired, Detail: "no frame for 10s", Zxid: 4712},
		{Version: 1, Code: UnsupportedVersion},
	}
}
