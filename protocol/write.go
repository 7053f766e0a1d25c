package protocol

import (
	"fmt"

	"github.com/lycaon-io/lycaon/znode"
)

// Flags of a create, as its body has them. A bit that is not known is refused:
// it would change what the client meant.
const (
	createSequential = 1 << iota
	createParents
	createIfAbsent
	createNarrow

	createFlags = createSequential | createParents | createIfAbsent | createNarrow
)

// WriteOp is one decoded write. Of a create only Create counts; its
// MaxEphemerals is not the client's to say and stays 0. Strings, data and ACLs
// alias the body and the WriteOp itself: they are good until either is used
// again, and whoever keeps them copies them.
type WriteOp struct {
	Op        Op
	Create    znode.CreateOp
	Path      string
	Data      []byte // set; nil is null
	Version   int64  // set, delete: of the data; setACL: of the ACL; check: of the data
	ACL       znode.ACL
	Recursive bool   // delete: with everything below
	AtLeast   int64  // raiseSequence
	Czxid     uint64 // guard
	Narrow    bool   // set, setACL: its client counts versions in 32 bits; a create has its own

	acl znode.ACL // memory for the entries of the next decode
}

// AppendWrite appends the body of w, which may be of any write but a multi.
func AppendWrite(b []byte, w *WriteOp) []byte {
	switch w.Op {
	case OpCreate:
		return AppendCreate(b, &w.Create)
	case OpDelete:
		return AppendDelete(b, w.Path, w.Version, w.Recursive)
	case OpSet:
		return appendNarrow(AppendSet(b, w.Path, w.Data, w.Version), len(b), w.Narrow)
	case OpSetACL:
		return appendNarrow(AppendSetACL(b, w.Path, w.ACL, w.Version), len(b), w.Narrow)
	case OpCheck:
		return AppendCheck(b, w.Path, w.Version)
	case OpCloseSession:
		return AppendCloseSession(b)
	case OpRaiseSequence:
		return AppendRaiseSequence(b, w.Path, w.AtLeast)
	case OpGuard:
		return AppendGuard(b, w.Path, w.Czxid)
	}
	panic(fmt.Sprintf("protocol: %v is not a single write", w.Op))
}

// AppendCreate appends the body of a create.
func AppendCreate(b []byte, c *znode.CreateOp) []byte {
	b = appendArray(b, 6)
	b = appendStr(b, c.Path)
	b = appendBin(b, c.Data)
	b = appendACL(b, c.ACL)
	b = appendUint(b, uint64(c.Kind))
	b = appendUint(b, flagsOf(c))
	return appendInt(b, c.TTLMs)
}

func flagsOf(c *znode.CreateOp) (flags uint64) {
	if c.Sequential {
		flags |= createSequential
	}
	if c.Parents {
		flags |= createParents
	}
	if c.IfAbsent {
		flags |= createIfAbsent
	}
	if c.Narrow {
		flags |= createNarrow
	}
	return flags
}

// AppendDelete appends the body of a delete.
func AppendDelete(b []byte, path string, version int64, recursive bool) []byte {
	b = appendArray(b, 3)
	b = appendStr(b, path)
	b = appendInt(b, version)
	return appendBool(b, recursive)
}

// AppendSet appends the body of a set.
func AppendSet(b []byte, path string, data []byte, version int64) []byte {
	b = appendArray(b, 3)
	b = appendStr(b, path)
	b = appendBin(b, data)
	return appendInt(b, version)
}

// AppendSetACL appends the body of a setACL.
func AppendSetACL(b []byte, path string, acl znode.ACL, version int64) []byte {
	b = appendArray(b, 3)
	b = appendStr(b, path)
	b = appendACL(b, acl)
	return appendInt(b, version)
}

// appendNarrow makes the array of three fields that begins at start one of
// four, if that says anything.
func appendNarrow(b []byte, start int, narrow bool) []byte {
	if !narrow {
		return b
	}
	b[start]++
	return appendBool(b, true)
}

// AppendCheck appends the body of a check.
func AppendCheck(b []byte, path string, version int64) []byte {
	b = appendArray(b, 2)
	b = appendStr(b, path)
	return appendInt(b, version)
}

// AppendCloseSession appends the body of a closeSession, which says nothing.
func AppendCloseSession(b []byte) []byte { return appendArray(b, 0) }

// AppendRaiseSequence appends the body of a raiseSequence.
func AppendRaiseSequence(b []byte, path string, atLeast int64) []byte {
	b = appendArray(b, 2)
	b = appendStr(b, path)
	return appendInt(b, atLeast)
}

// AppendGuard appends the body of a guard.
func AppendGuard(b []byte, path string, czxid uint64) []byte {
	return appendUint(appendStr(appendArray(b, 2), path), czxid)
}

// DecodeWrite decodes the body of any write but a multi. It checks the form
// alone: what ValidateWrite checks beyond that, a body in the log has passed.
func DecodeWrite(op Op, body []byte, into *WriteOp) error {
	d := newDecoder(body)
	d.write(op, into)
	return d.done()
}

// PathOf returns the path that the body of a write names first, as part of body; ""
// of one that names none or does not decode, and of a multi.
func PathOf(op Op, body []byte) string {
	if op == OpMulti || op == OpCloseSession {
		return ""
	}
	d := newDecoder(body)
	t := d.tuple()
	return t.str()
}

func (d *decoder) write(op Op, w *WriteOp) {
	*w = WriteOp{Op: op, Version: znode.AnyVersion, acl: w.acl[:0]}
	t := d.tuple()
	switch op {
	case OpCreate:
		t.create(w)
	case OpDelete:
		w.Path = t.str()
		w.Version = t.optInt(znode.AnyVersion)
		w.Recursive = t.optBool()
	case OpSet:
		w.Path = t.str()
		w.Data = t.optBin()
		w.Version = t.optInt(znode.AnyVersion)
		w.Narrow = t.optBool()
	case OpSetACL:
		w.Path = t.str()
		w.ACL = t.writeACL(w)
		w.Version = t.optInt(znode.AnyVersion)
		w.Narrow = t.optBool()
	case OpCheck:
		w.Path = t.str()
		w.Version = t.optInt(znode.AnyVersion)
	case OpCloseSession:
	case OpRaiseSequence:
		w.Path = t.str()
		w.AtLeast = t.int()
	case OpGuard:
		w.Path = t.str()
		w.Czxid = t.uint()
	default:
		d.failWith(fmt.Errorf("%w: %v as a single write", ErrUnimplemented, op))
	}
	t.end()
}

func (t *tuple) create(w *WriteOp) {
	c := &w.Create
	c.Path = t.str()
	c.Data = t.optBin()
	c.ACL = t.writeACL(w)
	c.Kind = znode.Kind(t.optUintUpTo(0xff))
	flags := t.optUint()
	c.Sequential = flags&createSequential != 0
	c.Parents = flags&createParents != 0
	c.IfAbsent = flags&createIfAbsent != 0
	c.Narrow = flags&createNarrow != 0
	c.TTLMs = t.optInt(0)
	if flags&^createFlags != 0 {
		t.d.failWith(fmt.Errorf("%w: create flags %#x", ErrUnimplemented, flags&^createFlags))
	}
}

// writeACL reads an ACL into w's memory; one without entries is nil, whatever
// that memory is.
func (t *tuple) writeACL(w *WriteOp) znode.ACL {
	w.acl = t.optACL(w.acl)
	if len(w.acl) == 0 {
		return nil
	}
	return w.acl
}
