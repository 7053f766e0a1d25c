package jute

// ACL is one entry of an access control list as it is on the wire, with bits
// that may mean nothing.
type ACL struct {
	Perms      int32
	Scheme, ID string
}

// Call is a client's request. Which fields count depends on Op.
type Call struct {
	Op      OpCode
	Path    string
	Data    []byte // create, setData; nil is null
	ACL     []ACL  // create, setACL; nil is null
	Flags   int32  // create: a CreateMode
	TTLMs   int64  // createTTL
	Version int32  // delete, setData, setACL, check; -1 is any
	Watch   bool   // exists, getData, getChildren
	Mode    int32  // addWatch: 0 or 1; checkWatches, removeWatches: the watcherType
	Calls   []Call // multi, multiRead

	RelativeZxid int64       // setWatches: newest zxid the client has seen
	Watches      [5][]string // setWatches: data, exist, child; setWatches2: and persistent, recursive
}

func beginRequest(b []byte, xid int32, op OpCode) (frame []byte, start int) {
	b, start = beginFrame(b)
	return appendInt(appendInt(b, xid), int32(op)), start
}

// AppendCall appends the frame of c.
func AppendCall(b []byte, xid int32, c *Call) []byte {
	b, start := beginRequest(b, xid, c.Op)
	return endFrame(appendCall(b, c), start)
}

// appendCall appends the record of c; that of an operation without one is
// nothing.
func appendCall(b []byte, c *Call) []byte {
	switch c.Op {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
		b = appendBuffer(appendString(b, c.Path), c.Data)
		b = appendInt(appendACL(b, c.ACL), c.Flags)
		if c.Op == OpCreateTTL {
			b = appendLong(b, c.TTLMs)
		}
	case OpDelete, OpCheck:
		b = appendInt(appendString(b, c.Path), c.Version)
	case OpSetData:
		b = appendInt(appendBuffer(appendString(b, c.Path), c.Data), c.Version)
	case OpSetACL:
		b = appendInt(appendACL(appendString(b, c.Path), c.ACL), c.Version)
	case OpExists, OpGetData, OpGetChildren, OpGetChildren2:
		b = appendBool(appendString(b, c.Path), c.Watch)
	case OpGetACL, OpSync, OpGetEphemerals, OpGetAllChildrenNumber:
		b = appendString(b, c.Path)
	case OpCheckWatches, OpRemoveWatches, OpAddWatch:
		b = appendInt(appendString(b, c.Path), c.Mode)
	case OpMulti, OpMultiRead:
		b = appendCalls(b, c.Calls)
	case OpSetWatches:
		b = appendWatches(appendLong(b, c.RelativeZxid), c.Watches[:3])
	case OpSetWatches2:
		b = appendWatches(appendLong(b, c.RelativeZxid), c.Watches[:])
	}
	return b
}

func appendCalls(b []byte, calls []Call) []byte {
	r := record{b: b}
	for i := range calls {
		r.head(calls[i].Op, false, -1)
		r.b = appendCall(r.b, &calls[i])
	}
	r.endResults()
	return r.b
}

func appendWatches(b []byte, vectors [][]string) []byte {
	for _, paths := range vectors {
		b = appendStrings(b, paths)
	}
	return b
}

func appendACL(b []byte, acl []ACL) []byte {
	if acl == nil {
		return appendInt(b, -1)
	}
	b = appendInt(b, int32(len(acl)))
	for i := range acl {
		b = appendInt(b, acl[i].Perms)
		b = appendString(appendString(b, acl[i].Scheme), acl[i].ID)
	}
	return b
}
