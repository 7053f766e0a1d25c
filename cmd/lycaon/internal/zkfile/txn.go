package zkfile

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/lycaon-io/lycaon/znode"
)

// The types of transactions in a log (ZooDefs.java OpCode).
const (
	opCreate          = 1
	opDelete          = 2
	opSetData         = 5
	opSetACL          = 7
	opCheck           = 13
	opMulti           = 14
	opCreate2         = 15
	opReconfig        = 16
	opCreateContainer = 19
	opDeleteContainer = 20
	opCreateTTL       = 21
	opError           = -1
	opCreateSession   = -10
	opCloseSession    = -11
)

// digestBytes is what from 3.6 on follows a transaction: a version and the
// digest of the tree after it.
const digestBytes = 4 + 8

// txn is a transaction's head.
type txn struct {
	session int64
	zxid    int64
	op      int32
}

func recordInput(record []byte) *input {
	return &input{r: bytes.NewReader(record), left: int64(len(record))}
}

func (in *input) txn() txn {
	h := txn{session: in.int64()}
	in.int32() // cxid
	h.zxid = in.int64()
	in.int64() // time
	h.op = in.int32()
	return h
}

// apply does what a transaction did. Errors are of its bytes; see create about
// changes that cannot be made.
func (t *Tree) apply(h txn, in *input) {
	switch h.op {
	case opCreateSession:
		t.sessions[h.session] = true
	case opCloseSession:
		t.applyClose(h, in)
	case opMulti:
		t.applyMulti(h, in)
	default:
		t.applyChange(h, in)
	}
}

// applyChange does what may be part of a multi too.
func (t *Tree) applyChange(h txn, in *input) {
	switch h.op {
	case opCreate, opCreate2:
		t.applyCreate(h, in)
	case opCreateContainer:
		path, n := in.newNode()
		n.owner = containerOwner
		t.applyNew(in, path, n, in.int32())
	case opCreateTTL:
		path, n := in.newNode()
		parentCversion, ttlMs := in.int32(), in.int64()
		if in.err == nil && (ttlMs < 1 || ttlMs > znode.MaxTTLMs) {
			in.fail(damaged("node %.200q has a TTL of %d ms", path, ttlMs))
		}
		n.owner = ttlOwner(ttlMs)
		t.applyNew(in, path, n, parentCversion)
	case opDelete, opDeleteContainer:
		if path := in.path(); in.err == nil {
			t.remove(path)
		}
	case opSetData, opReconfig:
		path, data := in.text(), in.buffer()
		if n := t.find(path); in.err == nil && n != nil {
			n.data = data
		}
	case opSetACL:
		path, acl := in.text(), in.acl()
		if n := t.find(path); in.err == nil && n != nil {
			n.acl = acl
		}
	case opError, opCheck: // changed nothing
	default:
		in.fail(damaged("a transaction of the unknown type %d", h.op))
	}
}

func (in *input) newNode() (path string, n *node) {
	return in.path(), &node{data: in.buffer(), acl: in.acl()}
}

// path is of a node below the root.
func (in *input) path() string {
	path := in.text()
	if in.err == nil && (!strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/")) {
		in.fail(damaged("%.200q is no path", path))
	}
	return path
}

func (t *Tree) applyNew(in *input, path string, n *node, parentCversion int32) {
	if in.err == nil {
		t.create(path, n, parentCversion)
	}
}

// applyCreate knows two forms: that of 3.3 ends before the parent's count.
func (t *Tree) applyCreate(h txn, in *input) {
	path, n := in.newNode()
	ephemeral := in.bool()
	parentCversion := int32(-1)
	if in.err == nil && in.left > 0 {
		parentCversion = in.int32()
	}
	if ephemeral {
		n.owner = h.session
		t.sessions[h.session] = true
	}
	t.applyNew(in, path, n, parentCversion)
}

// applyClose knows two forms: from 3.6 on the ephemeral nodes are named. A
// digest in their place begins with its version, 2, and is too short for two
// names.
func (t *Tree) applyClose(h txn, in *input) {
	var paths []string
	if left := in.left; left > 0 {
		n := in.count()
		for ; n > 0 && in.err == nil && !(n == 2 && left == digestBytes); n-- {
			paths = append(paths, in.path())
		}
	}
	if in.err == nil {
		t.closeSession(h.session, paths)
	}
}

// applyMulti does all parts of a multi, or nothing if one of them is an error:
// then it failed.
func (t *Tree) applyMulti(h txn, in *input) {
	type part struct {
		op     int32
		record []byte
	}
	var parts []part
	failed := false
	for n := in.count(); n > 0 && in.err == nil; n-- {
		p := part{in.int32(), in.buffer()}
		parts = append(parts, p)
		failed = failed || p.op == opError
	}
	if in.err != nil || failed {
		return
	}
	for i, p := range parts {
		of := recordInput(p.record)
		t.applyChange(txn{h.session, h.zxid, p.op}, of)
		if of.err != nil {
			in.fail(fmt.Errorf("operation %d of a multi: %w", i, of.err))
			return
		}
	}
}
