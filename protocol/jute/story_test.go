package jute

import (
	"strconv"
	"strings"
)

// tell is what a real ZooKeeper is asked for the golden file: each operation
// well and badly.
func tell() []exchange {
	var s story
	s.nodes()
	s.reads()
	s.multis()
	s.watches()
	s.badPaths()
	s.badRecords()
	s.badCreates()
	s.badMultis()
	s.identities()
	return s.all
}

type story struct {
	all []exchange
	xid int32
}

func (s *story) call(name string, c Call) {
	s.xid++
	s.all = append(s.all, exchange{name: name, request: AppendCall(nil, s.xid, &c)[lengthBytes:]})
}

func (s *story) raw(name string, op OpCode, record ...[]byte) {
	s.xid++
	b, _ := beginRequest(nil, s.xid, op)
	for _, part := range record {
		b = append(b, part...)
	}
	s.all = append(s.all, exchange{name: name, request: b[lengthBytes:]})
}

var (
	open     = []ACL{{31, "world", "anyone"}}
	longPath = "/" + strings.Repeat("x", 2000)
	null     = appendInt(nil, -1)
)

func create(op OpCode, path string, flags int32) Call {
	return Call{Op: op, Path: path, Data: []byte("data"), ACL: open, Flags: flags, TTLMs: 60_000}
}

func (s *story) nodes() {
	s.call("create", create(OpCreate, "/a", 0))
	s.call("create with null data", Call{Op: OpCreate, Path: "/null", ACL: open})
	s.call("create with empty data", Call{Op: OpCreate, Path: "/empty", Data: []byte{}, ACL: open})
	s.call("create a sequential node", create(OpCreate, "/a/s-", 2))
	s.call("create an ephemeral node", create(OpCreate2, "/eph", 1))
	s.call("create an ephemeral sequential node", create(OpCreate2, "/a/es-", 3))
	s.call("create a container", create(OpCreateContainer, "/container", 4))
	s.call("create a container by a plain create2", create(OpCreate2, "/container2", 4))
	s.call("createContainer without its flag", create(OpCreateContainer, "/container3", 0))
	s.call("create a TTL node", create(OpCreateTTL, "/ttl", 5))
	s.call("create a sequential TTL node", create(OpCreateTTL, "/ttl-", 6))
	s.call("create of a node that is there", create(OpCreate, "/a", 0))
	s.call("create below nothing", create(OpCreate, "/none/a", 0))
	s.call("create below an ephemeral", create(OpCreate, "/eph/a", 0))
	s.call("create of the root", create(OpCreate, "/", 0))
	s.call("create with an ip ACL", Call{Op: OpCreate, Path: "/ip", ACL: []ACL{{31, "ip", "127.0.0.0/8"}, {1, "digest", "u:hash"}}})
	s.call("setData", Call{Op: OpSetData, Path: "/a", Data: []byte("other"), Version: 0})
	s.call("setData with a wrong version", Call{Op: OpSetData, Path: "/a", Version: 7})
	s.call("setData of nothing", Call{Op: OpSetData, Path: "/none", Version: -1})
	s.call("setData of the root", Call{Op: OpSetData, Path: "/", Data: []byte("root"), Version: -1})
	s.call("setACL", Call{Op: OpSetACL, Path: "/empty", ACL: []ACL{{31, "world", "anyone"}, {3, "digest", "u:hash"}}, Version: 0})
	s.call("setACL with a wrong version", Call{Op: OpSetACL, Path: "/empty", ACL: open, Version: 7})
	s.call("delete", Call{Op: OpDelete, Path: "/null", Version: 0})
	s.call("delete of a node with children", Call{Op: OpDelete, Path: "/a", Version: -1})
	s.call("delete with a wrong version", Call{Op: OpDelete, Path: "/empty", Version: 7})
	s.call("delete of the root", Call{Op: OpDelete, Path: "/", Version: -1})
}

func (s *story) reads() {
	for _, path := range []string{"/", "", "/zookeeper", "/a", "/empty", "/eph", "/container", "/ttl", "/ip", "/none"} {
		s.call("exists "+path, Call{Op: OpExists, Path: path})
		s.call("getData "+path, Call{Op: OpGetData, Path: path})
		s.call("getACL "+path, Call{Op: OpGetACL, Path: path})
		s.call("getChildren2 "+path, Call{Op: OpGetChildren2, Path: path})
		s.call("getAllChildrenNumber "+path, Call{Op: OpGetAllChildrenNumber, Path: path})
	}
	s.call("getChildren", Call{Op: OpGetChildren, Path: "/a"})
	s.call("getEphemerals of all", Call{Op: OpGetEphemerals, Path: "/"})
	s.call("getEphemerals below a path", Call{Op: OpGetEphemerals, Path: "/e"})
	s.call("getEphemerals below no path", Call{Op: OpGetEphemerals, Path: "e"})
	s.call("getEphemerals of an empty prefix", Call{Op: OpGetEphemerals})
	s.raw("getEphemerals of a null prefix", OpGetEphemerals, null)
	s.call("sync", Call{Op: OpSync, Path: "/a"})
	s.call("sync of no path", Call{Op: OpSync, Path: "no//path"})
	s.call("whoAmI", Call{Op: OpWhoAmI})
	s.all = append(s.all, exchange{name: "ping", request: AppendCall(nil, XidPing, &Call{Op: OpPing})[lengthBytes:]})
	s.raw("bytes after a record", OpExists, appendString(nil, "/a"), []byte{0, 9, 9})
	s.raw("a boolean of 2", OpExists, appendString(nil, "/a"), []byte{2})
}

func (s *story) multis() {
	s.call("multi", Call{Op: OpMulti, Calls: []Call{
		create(OpCreate, "/m", 0), create(OpCreate2, "/m/c2", 0), create(OpCreateContainer, "/m/container", 4),
		create(OpCreateTTL, "/m/ttl", 5), create(OpCreate, "/m/s-", 2), create(OpCreate, "/m/container1", 4), create(OpCreate2, "/m/container2", 4),
		create(OpCreate2, "/m/eph", 1),
		{Op: OpSetData, Path: "/m", Data: []byte("x"), Version: 0}, {Op: OpCheck, Path: "/m", Version: 1}, {Op: OpDelete, Path: "/m/c2", Version: -1},
		{Op: OpSetData, Path: "/", Version: -1},
	}})
	s.call("multi of nothing", Call{Op: OpMulti})
	s.call("multi that fails in its middle", Call{Op: OpMulti, Calls: []Call{
		create(OpCreate, "/m/x", 0), {Op: OpCheck, Path: "/none", Version: -1}, {Op: OpDelete, Path: "/m/x", Version: -1},
	}})
	s.call("multi with a wrong version", Call{Op: OpMulti, Calls: []Call{{Op: OpCheck, Path: "/m", Version: 9}, create(OpCreate, "/m/x", 0)}})
	s.call("multiRead", Call{Op: OpMultiRead, Calls: []Call{
		{Op: OpGetData, Path: "/"}, {Op: OpGetChildren, Path: "/zookeeper"}, {Op: OpGetData, Path: "/none"}, {Op: OpGetChildren, Path: "/none"}, {Op: OpGetData, Path: "/empty"},
	}})
	s.call("multiRead of nothing", Call{Op: OpMultiRead})
	s.raw("bytes after a multi", OpMulti, appendCalls(nil, nil), []byte{1, 2, 3})
}

func (s *story) watches() {
	s.call("checkWatches without one", Call{Op: OpCheckWatches, Path: "/a", Mode: watcherAny})
	s.call("removeWatches without one", Call{Op: OpRemoveWatches, Path: "/a", Mode: watcherData})
	s.call("getData with a watch", Call{Op: OpGetData, Path: "/a", Watch: true})
	s.call("checkWatches with one", Call{Op: OpCheckWatches, Path: "/a", Mode: watcherData})
	s.call("setData that fires", Call{Op: OpSetData, Path: "/a", Version: -1})
	s.call("getChildren with a watch", Call{Op: OpGetChildren, Path: "/a", Watch: true})
	s.call("removeWatches with one", Call{Op: OpRemoveWatches, Path: "/a", Mode: watcherAny})
	s.call("addWatch", Call{Op: OpAddWatch, Path: "/w", Mode: modePersistent})
	s.call("create that fires", create(OpCreate, "/w", 0))
	s.call("create that fires for the children", create(OpCreate, "/w/c", 0))
	s.call("delete that fires for the children", Call{Op: OpDelete, Path: "/w/c", Version: -1})
	s.call("delete that fires", Call{Op: OpDelete, Path: "/w", Version: -1})
	s.call("addWatch, recursive", Call{Op: OpAddWatch, Path: "/r", Mode: modeRecursive})
	s.call("addWatch in an unknown mode", Call{Op: OpAddWatch, Path: "/r", Mode: 2})
	s.call("addWatch at an impossible path", Call{Op: OpAddWatch, Path: "/a//b"})
	s.call("addWatch at an empty path", Call{Op: OpAddWatch})
	s.call("removeWatches of an unknown kind", Call{Op: OpRemoveWatches, Path: "/r", Mode: 0})
	s.call("checkWatches of an unknown kind", Call{Op: OpCheckWatches, Path: "/r", Mode: 6})
	s.call("checkWatches, persistent", Call{Op: OpCheckWatches, Path: "/r", Mode: watcherPersistent})
	s.call("removeWatches, recursive", Call{Op: OpRemoveWatches, Path: "/r", Mode: watcherRecursive})
	s.call("checkWatches at an impossible path", Call{Op: OpCheckWatches, Path: "/a//b", Mode: watcherAny})
	s.call("checkWatches at a path without a slash", Call{Op: OpCheckWatches, Path: "a", Mode: watcherAny})
	s.raw("removeWatches at a null path", OpRemoveWatches, null, appendInt(nil, watcherAny))
	s.call("setWatches", Call{Op: OpSetWatches, RelativeZxid: -5, Watches: [5][]string{{"/none"}, {"/a"}, {"/"}}})
	s.call("setWatches2", Call{Op: OpSetWatches2, RelativeZxid: 1 << 40, Watches: [5][]string{{"/a"}, {"/none"}, {"/"}, {"/p"}, {"/r"}}})
	s.raw("setWatches without vectors", OpSetWatches, appendLong(nil, 5), null, null, null)
	s.raw("setWatches2 with three vectors", OpSetWatches2, appendLong(nil, 5), appendStrings(nil, nil), appendStrings(nil, nil), appendStrings(nil, nil))
	s.raw("setWatches of a null path", OpSetWatches, appendLong(nil, 5), appendInt(nil, 1), null, appendStrings(nil, nil), appendStrings(nil, nil))
}

func (s *story) badPaths() {
	bad := []string{"/a\x00b", "abc", "/a/", "/a//b", "/a/./b", "/a/..", "/a\x01b", "/\U0001f600", "/a\xff", "/a\ue000", "/a\ufff5"}
	for _, op := range []OpCode{OpExists, OpGetData, OpGetACL, OpGetChildren, OpGetChildren2, OpGetAllChildrenNumber, OpDelete, OpSetData, OpSetACL} {
		for _, path := range bad {
			s.call(op.String()+" of "+visible(path), Call{Op: op, Path: path, ACL: open, Version: -1})
		}
	}
	for _, op := range []OpCode{OpExists, OpGetData, OpGetACL, OpGetChildren, OpGetChildren2, OpGetAllChildrenNumber} {
		s.raw(op.String()+" of null", op, null, []byte{0})
	}
	for _, path := range []string{"", "abc", "/a\x00b", "/a\x01b", "/\U0001f600", "/a\xff", "/a\ue000"} {
		s.call("create of "+visible(path), create(OpCreate, path, 0))
		s.call("multi with a create of "+visible(path), Call{Op: OpMulti, Calls: []Call{create(OpCreate, "/ok", 0), create(OpCreate, path, 0), create(OpCreate, "/ok2", 0)}})
	}
	s.call("delete of an empty path", Call{Op: OpDelete, Version: -1})
	s.call("setData of an empty path", Call{Op: OpSetData, Version: -1})
	s.call("setACL of an empty path", Call{Op: OpSetACL, ACL: open, Version: -1})
	s.call("create at an impossible path", create(OpCreate, "/none//b", 0))
	s.call("create at a path longer than ours", create(OpCreate, longPath, 0))
	s.call("getData of a path longer than ours", Call{Op: OpGetData, Path: longPath})
	s.call("getACL of a path longer than ours", Call{Op: OpGetACL, Path: longPath})
	s.call("multi with a path longer than ours", Call{Op: OpMulti, Calls: []Call{create(OpCreate, longPath, 0), {Op: OpDelete, Path: longPath, Version: -1}}})
	s.raw("create at a null path", OpCreate, null, appendInt(nil, 0), appendInt(nil, 0), appendInt(nil, 0))
	s.raw("delete at a null path", OpDelete, null, appendInt(nil, 0))
	s.raw("setData at a null path", OpSetData, null, appendInt(nil, 0), appendInt(nil, 0))
}

func visible(path string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(path, "\x00", "NUL"), "?")
}

func (s *story) badRecords() {
	for _, op := range []OpCode{
		OpCreate, OpDelete, OpExists, OpGetData, OpSetData, OpGetACL, OpSetACL, OpGetChildren, OpSync, OpGetChildren2,
		OpMulti, OpCreate2, OpCheckWatches, OpRemoveWatches, OpCreateContainer, OpCreateTTL, OpMultiRead, OpSetWatches,
		OpGetEphemerals, OpGetAllChildrenNumber, OpSetWatches2, OpAddWatch,
	} {
		s.raw(op.String()+" without a record", op)
	}
	for _, op := range []OpCode{0, 10, 23, 99, 108, -1, 1 << 20} {
		s.raw(op.String(), op)
	}
	s.raw("createSession", OpCreateSession)
	s.raw("deleteContainer", OpDeleteContainer)
	s.raw("a path of a negative length", OpExists, appendInt(nil, -2), []byte{0})
	s.raw("a path beyond the end", OpExists, appendInt(nil, 100), []byte("/a"))
	s.raw("data of a negative length", OpSetData, appendString(nil, "/a"), appendInt(nil, -2), appendInt(nil, -1))
	s.raw("data beyond the end", OpSetData, appendString(nil, "/a"), appendInt(nil, 100_000_000), appendInt(nil, -1))
	s.raw("an ACL beyond the end", OpSetACL, appendString(nil, "/a"), appendInt(nil, 100_000_000), appendInt(nil, -1))
}

func (s *story) badCreates() {
	for _, flags := range []int32{-1, 5, 6, 7, 100} {
		c := create(OpCreate, "/f", flags)
		s.call("create with flags "+strconv.Itoa(int(flags)), c)
		c.Op = OpCreate2
		s.call("create2 with flags "+strconv.Itoa(int(flags)), c)
	}
	for _, flags := range []int32{-1, 0, 1, 2, 3, 4, 7} {
		s.call("createTTL with flags "+strconv.Itoa(int(flags)), create(OpCreateTTL, "/f", flags))
	}
	s.call("createContainer of a sequential one", create(OpCreateContainer, "/f", 2))
	for _, ttl := range []int64{-1, 0, 1 << 40, 1 << 62} {
		c := create(OpCreateTTL, "/f", 5)
		c.TTLMs = ttl
		s.call("createTTL with a TTL out of range", c)
	}
	acls := []struct {
		name string
		acl  []ACL
	}{
		{"without an ACL", []ACL{}},
		{"with an unknown scheme", []ACL{{31, "foo", "x"}}},
		{"with an empty scheme", []ACL{{31, "", "x"}}},
		{"with somebody of the world", []ACL{{31, "world", "x"}}},
		{"with a digest without a colon", []ACL{{31, "digest", "x"}}},
		{"with a digest of two colons", []ACL{{31, "digest", "a:b:c"}}},
		{"with a digest without a hash", []ACL{{31, "digest", "a:"}}},
		{"with a bad address", []ACL{{31, "ip", "1.2.3"}}},
		{"with too many bits", []ACL{{31, "ip", "1.2.3.4/40"}}},
		{"with a super entry", []ACL{{31, "super", ""}}},
	}
	for _, c := range acls {
		s.call("create "+c.name, Call{Op: OpCreate, Path: "/acl", ACL: c.acl})
		s.call("setACL "+c.name, Call{Op: OpSetACL, Path: "/a", ACL: c.acl, Version: -1})
	}
	s.call("create with unknown permission bits", Call{Op: OpCreate, Path: "/bits", ACL: []ACL{{63, "world", "anyone"}}})
	s.call("setACL with an unknown permission bit", Call{Op: OpSetACL, Path: "/bits", ACL: []ACL{{-1, "world", "anyone"}}, Version: -1})
	many := make([]ACL, 70)
	for i := range many {
		many[i] = ACL{31, "digest", "u" + strconv.Itoa(i) + ":x"}
	}
	s.call("create with too many entries in its ACL", Call{Op: OpCreate, Path: "/many", ACL: many})
	s.raw("create with a null ACL", OpCreate, appendString(nil, "/acl"), null, null, appendInt(nil, 0))
	s.raw("create with fewer entries than none", OpCreate, appendString(nil, "/acl"), null, appendInt(nil, -2), appendInt(nil, 0))
	s.raw("create with a null scheme", OpCreate, appendString(nil, "/acl"), null, appendInt(nil, 1), appendInt(nil, 31), null, appendString(nil, "x"), appendInt(nil, 0))
}

func (s *story) badMultis() {
	s.raw("multi without an end", OpMulti, multiHead(OpDelete), appendString(nil, "/none"), appendInt(nil, -1))
	s.raw("multi that ends too early", OpMulti, multiHead(OpDelete), appendString(nil, "/none"))
	s.raw("multi with -1 for an operation", OpMulti, multiHead(opError), appendCalls(nil, nil))
	for _, op := range []OpCode{OpExists, OpGetData, OpSetACL, OpGetChildren2, 99} {
		s.call("multi with "+op.String(), Call{Op: OpMulti, Calls: []Call{{Op: op, Path: "/a", ACL: []ACL{}}}})
	}
	s.call("multi of reads and writes", Call{Op: OpMulti, Calls: []Call{create(OpCreate, "/x", 0), {Op: OpGetData, Path: "/"}}})
	s.call("multiRead with a write", Call{Op: OpMultiRead, Calls: []Call{{Op: OpGetData, Path: "/"}, create(OpCreate, "/x", 0)}})
	s.call("multiRead with exists", Call{Op: OpMultiRead, Calls: []Call{{Op: OpExists, Path: "/"}}})
	s.call("multi that begins with an unknown flag", Call{Op: OpMulti, Calls: []Call{create(OpCreate, "/x", 77), create(OpCreate, "/y", 0)}})
	s.call("multi with an unknown flag", Call{Op: OpMulti, Calls: []Call{create(OpCreate, "/x", 0), create(OpCreate, "/y", 77), create(OpCreate, "/z", 0)}})
	s.call("multi with a bad ACL", Call{Op: OpMulti, Calls: []Call{{Op: OpCreate, Path: "/x", ACL: []ACL{}}}})
	s.call("multi with a TTL of nothing", Call{Op: OpMulti, Calls: []Call{{Op: OpCreateTTL, Path: "/x", ACL: open, Flags: 5}}})
	s.call("multi with a bad path", Call{Op: OpMulti, Calls: []Call{create(OpCreate, "/x", 0), {Op: OpSetData, Path: "bad", Version: -1}, {Op: OpCheck, Path: "/x", Version: -1}}})
	s.raw("multi with a null path", OpMulti, multiHead(OpSetData), null, null, appendInt(nil, -1), appendCalls(nil, nil))
}

func multiHead(op OpCode) []byte {
	var r record
	r.head(op, false, -1)
	return r.b
}

func (s *story) identities() {
	auth := func(name, scheme string, data []byte) {
		s.all = append(s.all, exchange{name: name, request: AppendAuth(nil, &Auth{Scheme: scheme, Data: data})[lengthBytes:]})
	}
	auth("auth", "digest", []byte("user:secret"))
	s.call("whoAmI of a user", Call{Op: OpWhoAmI})
	s.call("create for a user", Call{Op: OpCreate, Path: "/mine", ACL: []ACL{{31, "auth", ""}}})
	s.call("getACL with ADMIN", Call{Op: OpGetACL, Path: "/mine"})
	s.raw("reconfig of nothing", OpReconfig, null, null, null, appendLong(nil, -1))
	auth("auth with a wrong scheme", "foo", []byte("user:secret"))
	s.call("getData without READ", Call{Op: OpGetData, Path: "/mine"})
	s.call("closeSession", Call{Op: OpCloseSession})
}
