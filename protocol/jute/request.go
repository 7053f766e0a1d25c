package jute

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// DecodeHeader splits a frame without its length into the header and the
// request's record, which aliases the frame. After an error the connection
// cannot go on.
func DecodeHeader(frame []byte) (xid int32, op OpCode, record []byte, err error) {
	d := decoder{record: frame}
	xid, op = d.int(), OpCode(d.int())
	return xid, op, d.record[d.at:], d.err
}

// DecodeRequest makes req of the record of a request: what the pipeline is to
// do, known by a tag. A write's body is made in scratch, which is grown as needed
// and returned, and has been validated against lim; it is good until scratch is
// used again. Everything else of req is in memory of its own. forms says how
// each operation of a multi was asked for, for AppendReply.
//
// An error says what is wrong with the request alone: Refusal is its answer, and
// the connection goes on. But one that wraps protocol.ErrUnimplemented is for an
// operation that nobody here answers, after which ZooKeeper closes. Auth,
// sasl and reconfig are not the pipeline's, and are such operations here.
func DecodeRequest(xid int32, op OpCode, record []byte, lim *protocol.Limits, req *protocol.Request, scratch []byte) (_ []byte, forms []Form, err error) {
	*req = protocol.Request{Op: nativeOp(op), Xid: Tag(xid, op)}
	d := decoder{record: record}
	switch req.Op {
	case 0:
		err = protocol.ErrUnimplemented
	case protocol.OpPing, protocol.OpWhoAmI:
	case protocol.OpCloseSession:
		req.Unkept = true
		scratch = protocol.AppendCloseSession(scratch[:0])
		req.Body = scratch
	case protocol.OpMulti:
		scratch, forms, err = d.multi(lim, req, scratch)
	case protocol.OpMultiRead:
		forms, err = d.multiRead(lim, req)
	case protocol.OpWatch, protocol.OpUnwatch, protocol.OpHasWatch:
		err = d.watch(op, req)
	case protocol.OpResume:
		err = d.resume(op, req)
	default:
		if req.Op.IsWrite() {
			scratch, err = d.single(op, lim, req, scratch)
		} else {
			err = d.read(xid, op, req)
		}
	}
	if err != nil {
		err = fmt.Errorf("%v: %w", op, err)
	}
	return scratch, forms, err
}

// nativeOp returns what the pipeline does for op as a request of its own, 0 for
// nothing. Check is one only inside a multi: alone, ZooKeeper 3.8 logs it as a
// transaction that it cannot read again.
func nativeOp(op OpCode) protocol.Op {
	switch op {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
		return protocol.OpCreate
	case OpDelete:
		return protocol.OpDelete
	case OpSetData:
		return protocol.OpSet
	case OpSetACL:
		return protocol.OpSetACL
	case OpMulti:
		return protocol.OpMulti
	case OpCloseSession:
		return protocol.OpCloseSession
	case OpGetData:
		return protocol.OpGet
	case OpExists:
		return protocol.OpExists
	case OpGetChildren, OpGetChildren2:
		return protocol.OpChildren
	case OpGetACL:
		return protocol.OpGetACL
	case OpGetAllChildrenNumber:
		return protocol.OpCount
	case OpGetEphemerals:
		return protocol.OpEphemerals
	case OpMultiRead:
		return protocol.OpMultiRead
	case OpSync:
		return protocol.OpSync
	case OpWhoAmI:
		return protocol.OpWhoAmI
	case OpAddWatch:
		return protocol.OpWatch
	case OpRemoveWatches:
		return protocol.OpUnwatch
	case OpCheckWatches:
		return protocol.OpHasWatch
	case OpSetWatches, OpSetWatches2:
		return protocol.OpResume
	case OpPing:
		return protocol.OpPing
	}
	return 0
}

// Refusal is the answer to a request that DecodeRequest refused with err. That
// of a multi with one bad operation says which, as one that failed when it ran.
func Refusal(req *protocol.Request, err error) protocol.Message {
	m := protocol.Message{Op: req.Op, Xid: req.Xid, Code: protocol.CodeOf(err)}
	if culprit := culpritOf(err); culprit != nil {
		m.More = &protocol.More{Results: culprit.results(m.Code)}
	}
	return m
}

// read decodes a read of one node.
func (d *decoder) read(xid int32, op OpCode, req *protocol.Request) error {
	r := &req.Read
	*r = protocol.Read{Op: req.Op}
	switch op {
	case OpSync, OpGetEphemerals: // take any string: one is echoed, one begins paths
		r.Path, r.Whole = strings.Clone(d.text()), op == OpGetEphemerals
		return d.err
	}
	path := rooted(d.path())
	switch op {
	case OpExists, OpGetData, OpGetChildren, OpGetChildren2:
		r.Watch = d.bool()
		r.Whole = req.Op == protocol.OpChildren
	}
	if d.err != nil {
		return d.err
	}
	if znode.ValidatePath(path) != nil {
		return missing(op, path)
	}
	r.Path = strings.Clone(path)
	req.Xid = tagOf(xid, formOf(op, path))
	return nil
}

// rooted lets the empty path stand for the root, as ZooKeeper's tree does.
func rooted(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// missing is what ZooKeeper says of a path that no node can have. It checks no
// path that is only read, so that there is no such node; save a NUL in exists.
func missing(op OpCode, path string) error {
	if op == OpExists && strings.IndexByte(path, 0) >= 0 {
		return znode.ErrBadArguments
	}
	return znode.ErrNoNode
}

// Numbers of an addWatch's mode, and of the watcherType of checkWatches and
// removeWatches, of which 3.8 knows the first three.
const (
	modePersistent = 0
	modeRecursive  = 1

	watcherChildren   = 1
	watcherData       = 2
	watcherAny        = 3
	watcherPersistent = 4
	watcherRecursive  = 5
)

// watch decodes an addWatch, removeWatches or checkWatches. A watch on a path
// that no node can have would never fire: to add one is refused, none is found.
func (d *decoder) watch(op OpCode, req *protocol.Request) error {
	path, what := strings.Clone(rooted(d.path())), d.int()
	modes := watcherModes(op, what)
	if modes == nil {
		d.fail("an unknown kind of watch")
	}
	if d.err != nil {
		return d.err
	}
	if err := znode.ValidatePath(path); err != nil {
		if op == OpAddWatch {
			return err
		}
		return protocol.ErrNoWatcher
	}
	req.Watches = make([]protocol.Watch, len(modes))
	for i, mode := range modes {
		req.Watches[i] = protocol.Watch{Path: path, Mode: mode}
	}
	return nil
}

func watcherModes(op OpCode, what int32) []protocol.WatchMode {
	if op == OpAddWatch {
		switch what {
		case modePersistent:
			return []protocol.WatchMode{protocol.WatchPersistent}
		case modeRecursive:
			return []protocol.WatchMode{protocol.WatchRecursive}
		}
		return nil
	}
	switch what {
	case watcherChildren:
		return []protocol.WatchMode{protocol.WatchChildren}
	case watcherData:
		return []protocol.WatchMode{protocol.WatchData, protocol.WatchExists}
	case watcherAny:
		return []protocol.WatchMode{
			protocol.WatchData, protocol.WatchExists, protocol.WatchChildren, protocol.WatchPersistent, protocol.WatchRecursive,
		}
	case watcherPersistent:
		return []protocol.WatchMode{protocol.WatchPersistent}
	case watcherRecursive:
		return []protocol.WatchMode{protocol.WatchRecursive}
	}
	return nil
}

// resumed are the modes of a setWatches' vectors, in their order; those of
// setWatches2 go on with the staying ones.
var resumed = [...]protocol.WatchMode{
	protocol.WatchData, protocol.WatchExists, protocol.WatchChildren, protocol.WatchPersistent, protocol.WatchRecursive,
}

// resume decodes a setWatches or setWatches2. A path that no node can have is
// left out: a client may wait for one to appear, which never happens, and its
// other watches must not suffer for it.
func (d *decoder) resume(op OpCode, req *protocol.Request) error {
	d.record = bytes.Clone(d.record)
	req.Compare = true
	since := uint64(max(d.long(), 0))
	modes := resumed[:3]
	if op == OpSetWatches2 {
		modes = resumed[:]
	}
	for _, mode := range modes {
		n, null := d.vector(minString)
		if null {
			d.fail("a vector of watches that is not there")
		}
		for ; n > 0 && d.err == nil; n-- {
			if path := rooted(d.path()); znode.ValidatePath(path) == nil {
				req.Watches = append(req.Watches, protocol.Watch{Path: path, Mode: mode, Since: since})
			}
		}
	}
	return d.err
}
