package jute

import "fmt"

// OpCode is the type of a request, numbered as in ZooKeeper's ZooDefs.OpCode.
type OpCode int32

const (
	OpCreate               OpCode = 1
	OpDelete               OpCode = 2
	OpExists               OpCode = 3
	OpGetData              OpCode = 4
	OpSetData              OpCode = 5
	OpGetACL               OpCode = 6
	OpSetACL               OpCode = 7
	OpGetChildren          OpCode = 8
	OpSync                 OpCode = 9
	OpPing                 OpCode = 11
	OpGetChildren2         OpCode = 12
	OpCheck                OpCode = 13
	OpMulti                OpCode = 14
	OpCreate2              OpCode = 15
	OpReconfig             OpCode = 16
	OpCheckWatches         OpCode = 17
	OpRemoveWatches        OpCode = 18
	OpCreateContainer      OpCode = 19
	OpDeleteContainer      OpCode = 20
	OpCreateTTL            OpCode = 21
	OpMultiRead            OpCode = 22
	OpAuth                 OpCode = 100
	OpSetWatches           OpCode = 101
	OpSASL                 OpCode = 102
	OpGetEphemerals        OpCode = 103
	OpGetAllChildrenNumber OpCode = 104
	OpSetWatches2          OpCode = 105
	OpAddWatch             OpCode = 106
	OpWhoAmI               OpCode = 107
	OpCreateSession        OpCode = -10
	OpCloseSession         OpCode = -11
	opError                OpCode = -1 // of a result in a multi; also what ends one
)

// Xids that are no count of requests.
const (
	XidEvent      int32 = -1
	XidPing       int32 = -2
	XidAuth       int32 = -4
	XidSetWatches int32 = -8
)

var opNames = map[OpCode]string{
	OpCreate: "create", OpDelete: "delete", OpExists: "exists", OpGetData: "getData", OpSetData: "setData",
	OpGetACL: "getACL", OpSetACL: "setACL", OpGetChildren: "getChildren", OpSync: "sync", OpPing: "ping",
	OpGetChildren2: "getChildren2", OpCheck: "check", OpMulti: "multi", OpCreate2: "create2", OpReconfig: "reconfig",
	OpCheckWatches: "checkWatches", OpRemoveWatches: "removeWatches", OpCreateContainer: "createContainer",
	OpDeleteContainer: "deleteContainer", OpCreateTTL: "createTTL", OpMultiRead: "multiRead", OpAuth: "auth",
	OpSetWatches: "setWatches", OpSASL: "sasl", OpGetEphemerals: "getEphemerals",
	OpGetAllChildrenNumber: "getAllChildrenNumber", OpSetWatches2: "setWatches2", OpAddWatch: "addWatch",
	OpWhoAmI: "whoAmI", OpCreateSession: "createSession", OpCloseSession: "closeSession",
}

// String returns ZooKeeper's name of op.
func (op OpCode) String() string {
	if name, ok := opNames[op]; ok {
		return name
	}
	return fmt.Sprintf("opcode %d", int32(op))
}

// Form is the part of a request that its answer depends on: which of the
// operations that do the same was asked for, and whether the node is one that
// was there from the start.
type Form struct {
	Op      OpCode
	system  bool  // the node has been there from the start
	atStart uint8 // and so have that many of its children
}

func formOf(op OpCode, path string) Form {
	for i := range systemPaths {
		if systemPaths[i].path == path {
			return Form{op, true, systemPaths[i].children}
		}
	}
	return Form{Op: op}
}

// A tag holds, from the lowest bit: xid (32), opcode (16), atStart (2), system (1).
const (
	tagOpShift      = 32
	tagAtStartShift = 48
	tagAtStartMask  = 3
	tagSystem       = 1 << 50

	// TagBits are the bits of a tag; those above are its user's.
	TagBits = 51
)

// Tag is what a request is known by on its way through the pipeline, as
// protocol.Request.Xid, so that AppendReply knows what to answer. DecodeRequest
// makes one of every request; others make it of what they answer themselves.
func Tag(xid int32, op OpCode) uint64 { return tagOf(xid, Form{Op: op}) }

// Untag is the inverse of Tag; bits above TagBits do not matter.
func Untag(tag uint64) (xid int32, op OpCode) {
	xid, form := formOfTag(tag)
	return xid, form.Op
}

func tagOf(xid int32, f Form) uint64 {
	tag := uint64(uint32(xid)) | uint64(uint16(f.Op))<<tagOpShift | uint64(f.atStart)<<tagAtStartShift
	if f.system {
		tag |= tagSystem
	}
	return tag
}

func formOfTag(tag uint64) (xid int32, f Form) {
	return int32(uint32(tag)), Form{
		Op:      OpCode(int16(uint16(tag >> tagOpShift))),
		system:  tag&tagSystem != 0,
		atStart: uint8(tag >> tagAtStartShift & tagAtStartMask),
	}
}
