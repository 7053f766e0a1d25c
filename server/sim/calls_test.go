package sim

import (
	"fmt"
	"slices"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// issue makes some request, if the client may have one more.
func (cl *client) issue() {
	if !cl.ready || cl.closing || len(cl.open) >= 8 {
		return
	}
	w := cl.w
	cl.xid++
	k := &call{}
	switch n := w.rng.IntN(100); {
	case n < 14:
		cl.createSequential(k)
	case n < 30:
		cl.set(k)
	case n < 42:
		cl.multi(k)
	case n < 50:
		cl.createNamed(k)
	case n < 56:
		path := cl.somePath()
		cl.write(k, protocol.OpDelete, protocol.AppendDelete(nil, path, cl.someVersion(), false))
	case n < 57:
		path := []string{"/q", "/e", cl.somePath()}[w.rng.IntN(3)]
		cl.write(k, protocol.OpRaiseSequence, protocol.AppendRaiseSequence(nil, path, int64(w.rng.IntN(400))))
	case n < 58 && len(cl.answered) > 0:
		cl.repeatAcknowledged(k)
	case n < 59:
		cl.closing = true
		cl.write(k, protocol.OpCloseSession, protocol.AppendCloseSession(nil))
	case n < 64:
		cl.addWatch(k)
	case n < 66:
		cl.removeWatch(k)
	default:
		cl.issueRead(k)
	}
	if k.op == 0 {
		return
	}
	cl.open = append(cl.open, k)
	cl.put(k)
}

func (cl *client) write(k *call, op protocol.Op, body []byte) {
	k.op = op
	k.req = protocol.Request{Op: op, Xid: cl.xid, Body: body}
}

func (cl *client) token() string { return fmt.Sprintf("c%d.%d.%d", cl.id, cl.life, cl.xid) }

func (cl *client) createSequential(k *call) {
	k.token = cl.token()
	op := znode.CreateOp{Path: "/q/n-", Data: []byte(k.token), ACL: znode.OpenACL, Sequential: true}
	if cl.w.rng.IntN(4) == 0 {
		op.Path, op.Kind, k.token = "/e/n-", znode.Ephemeral, ""
	}
	cl.write(k, protocol.OpCreate, protocol.AppendCreate(nil, &op))
}

func (cl *client) createNamed(k *call) {
	op := znode.CreateOp{Path: cl.somePath(), Data: []byte(cl.token()), ACL: znode.OpenACL}
	if cl.w.rng.IntN(3) == 0 {
		op.Kind = znode.Ephemeral
	}
	cl.write(k, protocol.OpCreate, protocol.AppendCreate(nil, &op))
}

func (cl *client) set(k *call) {
	cl.write(k, protocol.OpSet, protocol.AppendSet(nil, cl.somePath(), []byte(cl.token()), cl.someVersion()))
}

// multi counts up both counters, and leaves its mark beside them.
func (cl *client) multi(k *call) {
	k.token = cl.token()
	ops := []protocol.WriteOp{
		{Op: protocol.OpSet, Path: "/k/one", Data: []byte(k.token), Version: znode.AnyVersion},
		{Op: protocol.OpSet, Path: "/k/two", Data: []byte(k.token), Version: znode.AnyVersion},
		{Op: protocol.OpCreate, Create: znode.CreateOp{Path: "/q/m-", Data: []byte(k.token), ACL: znode.OpenACL, Sequential: true}},
	}
	if cl.w.rng.IntN(3) == 0 {
		ops = append(ops, protocol.WriteOp{Op: protocol.OpCheck, Path: cl.somePath(), Version: znode.AnyVersion})
	}
	cl.write(k, protocol.OpMulti, protocol.AppendMulti(nil, ops))
}

// repeatAcknowledged is what no good client does: the server must not run it.
func (cl *client) repeatAcknowledged(k *call) {
	old := cl.answered[cl.w.rng.IntN(len(cl.answered))]
	cl.xid--
	*k = call{op: old.op, req: old.req, stale: true}
}

func (cl *client) addWatch(k *call) {
	k.op = protocol.OpWatch
	k.watch = &watchKey{cl.somePath(), protocol.WatchPersistent}
	if cl.w.rng.IntN(2) == 0 {
		k.watch = &watchKey{[]string{"/", "/q", "/k", "/e"}[cl.w.rng.IntN(4)], protocol.WatchRecursive}
	}
	k.req = protocol.Request{Op: k.op, Xid: cl.xid, Watches: []protocol.Watch{{Path: k.watch.path, Mode: k.watch.mode}}}
}

func (cl *client) removeWatch(k *call) {
	for _, h := range cl.watches {
		if h.stays() && h.live && !cl.unwatching(h.watchKey) {
			key := h.watchKey
			k.op, k.watch = protocol.OpUnwatch, &key
			k.req = protocol.Request{Op: k.op, Xid: cl.xid, Watches: []protocol.Watch{{Path: h.path, Mode: h.mode}}}
			return
		}
	}
}

func (cl *client) unwatching(key watchKey) bool {
	return slices.ContainsFunc(cl.open, func(k *call) bool { return k.watch != nil && *k.watch == key })
}

func (cl *client) issueRead(k *call) {
	w := cl.w
	r := protocol.Read{Path: cl.somePath()}
	switch w.rng.IntN(7) {
	case 0, 1:
		r.Op = protocol.OpExists
	case 2:
		r.Op, r.Path = protocol.OpChildren, []string{"/e", "/k", "/q"}[w.rng.IntN(3)]
	case 3:
		r.Op, r.Path = protocol.OpSync, ""
	default:
		r.Op = protocol.OpGet
	}
	k.op = r.Op
	if r.Op != protocol.OpSync && w.rng.IntN(4) == 0 {
		r.Watch = true
		mode := map[protocol.Op]protocol.WatchMode{
			protocol.OpGet: protocol.WatchData, protocol.OpExists: protocol.WatchExists, protocol.OpChildren: protocol.WatchChildren,
		}[r.Op]
		k.watch = &watchKey{r.Path, mode}
	}
	k.req = protocol.Request{Op: r.Op, Xid: cl.xid, Read: r}
	switch n := w.rng.IntN(20); {
	case r.Op == protocol.OpSync:
		k.floor = w.newest
	case n < w.linearizable:
		k.req.Consistency, k.floor = protocol.Linearizable, w.newest
	case n < w.linearizable+2:
		k.req.Consistency, k.req.Arg, k.floor = protocol.AtLeast, w.newest, w.newest
	case n == w.linearizable+2:
		k.req.Consistency, k.req.Arg, k.future = protocol.AtLeast, w.newest+1_000_000, true
	}
}

func (cl *client) somePath() string {
	paths := []string{"/k/one", "/k/two", "/e/a", "/e/b", "/e/c", "/e/a/x", "/k/one/x", "/k/one/y"}
	return paths[cl.w.rng.IntN(len(paths))]
}

func (cl *client) someVersion() int64 {
	if cl.w.rng.IntN(3) > 0 {
		return znode.AnyVersion
	}
	return int64(cl.w.rng.IntN(3))
}

func (cl *client) ping() {
	if !cl.ready {
		return
	}
	cl.xid++
	r := protocol.Request{Op: protocol.OpPing, Xid: cl.xid}
	cl.conn.pings = append(cl.conn.pings, r.Xid)
	cl.conn.up = append(cl.conn.up, request{requestFrame(&r)})
}
