package sim

import (
	"slices"

	"github.com/lycaon-io/lycaon/protocol"
)

// reply checks an answer against everything that must hold.
func (cl *client) reply(c *conn, m *protocol.Message) {
	cl.note("reply", m.Op, m.Xid, "zxid", m.Zxid, m.Code)
	if m.Op == protocol.OpPing {
		if len(c.pings) == 0 || c.pings[0] != m.Xid {
			cl.w.fail("client %d: ping %d answered out of turn", cl.id, m.Xid)
		}
		c.pings = c.pings[1:]
		cl.saw(c, m.Zxid)
		return
	}
	if len(c.sent) == 0 || c.sent[0].req.Xid != m.Xid || c.sent[0].op != m.Op {
		cl.w.fail("client %d: %v %d answered out of turn", cl.id, m.Op, m.Xid)
	}
	k := c.sent[0]
	c.sent = c.sent[1:]
	if k.op == protocol.OpResume {
		cl.saw(c, m.Zxid)
		if c.replay != nil {
			cl.w.fail("client %d: resume answered before its replay was done", cl.id)
		}
		return
	}
	cl.open = slices.DeleteFunc(cl.open, func(o *call) bool { return o == k })
	cl.w.stats.replies[m.Op]++
	switch {
	case k.op.IsWrite():
		cl.wrote(c, k, m)
	default:
		cl.saw(c, m.Zxid)
		c.check.upTo(m.Zxid, "a reply")
		cl.read(c, k, m)
	}
}

// saw notes the zxid of something fresh: it never falls.
func (cl *client) saw(c *conn, zxid uint64) {
	if zxid < cl.lastSeen || zxid < c.highest {
		cl.w.fail("client %d: went back from zxid %d to %d", cl.id, max(cl.lastSeen, c.highest), zxid)
	}
	cl.lastSeen, c.highest, c.shown = zxid, zxid, zxid
	cl.w.newest = max(cl.w.newest, zxid)
}

func (cl *client) wrote(c *conn, k *call, m *protocol.Message) {
	cl.w.stats.codes[m.Code]++
	if k.stale {
		if m.Code != protocol.Aborted {
			cl.w.fail("client %d: a repeat of the acknowledged write %d was answered %v", cl.id, m.Xid, m.Code)
		}
		return
	}
	want, ran := cl.w.model.sessions[cl.session].answers[m.Xid]
	if m.Code == protocol.DiskFull || m.Code == protocol.TooManyOutcomes {
		if ran {
			cl.w.fail("client %d: write %d was refused (%v), but it ran: %+v", cl.id, m.Xid, m.Code, want)
		}
		cl.saw(c, m.Zxid)
		c.check.upTo(m.Zxid, "a refusal")
		cl.w.refused = append(cl.w.refused, refusedWrite{cl.session, m.Xid})
		return
	}
	if !ran {
		cl.w.fail("client %d: write %d answered %v, but it is not in the log", cl.id, m.Xid, m.Code)
	}
	got := modelReply{m.Zxid, m.Code, m.Path, 0}
	if k.op == protocol.OpSet && m.Code == protocol.OK {
		got.version = m.Stat.Version
	}
	if k.op == protocol.OpMulti {
		got.path, want.path, want.version = "", "", 0
	}
	if got != want {
		cl.w.fail("client %d: write %d answered %+v, the model says %+v", cl.id, m.Xid, got, want)
	}
	fresh := m.Zxid >= c.highest || !k.again
	if !k.again && m.Code == protocol.OK && k.changes() && m.Zxid <= c.shown {
		cl.w.fail("client %d: write %d has zxid %d, but %d was shown before it", cl.id, m.Xid, m.Zxid, c.shown)
	}
	if fresh {
		cl.saw(c, m.Zxid)
		c.check.upTo(m.Zxid, "a write's reply")
	}
	if m.Code == protocol.OK {
		cl.w.stats.acked++
		cl.answered = append(cl.answered, k)
		if k.token != "" {
			cl.w.acked = append(cl.w.acked, ackedToken{k.token, m.Path})
		}
	}
	if k.op == protocol.OpCloseSession {
		cl.newSession()
	}
}

// changes tells whether the call, if it succeeds, takes a zxid.
func (k *call) changes() bool { return k.op != protocol.OpCheck && k.op != protocol.OpRaiseSequence }

func (cl *client) read(c *conn, k *call, m *protocol.Message) {
	if m.Zxid < k.floor && !k.future {
		cl.w.fail("client %d: %v %d shows zxid %d, at least %d was asked for", cl.id, k.op, m.Xid, m.Zxid, k.floor)
	}
	if k.req.Consistency == protocol.AtLeast && m.Code == protocol.BadArguments {
		if !k.future {
			cl.w.fail("client %d: zxid %d was said not to be there, though it was seen", cl.id, k.floor)
		}
		cl.w.stats.futures++
		return
	}
	model := cl.w.model
	switch k.op {
	case protocol.OpGet, protocol.OpExists:
		n := model.at(k.req.Read.Path, m.Zxid)
		switch {
		case (n == nil) != (m.Code == protocol.NoNode):
			cl.w.fail("client %d: %v of %s at %d answered %v, the model has %+v", cl.id, k.op, k.req.Read.Path, m.Zxid, m.Code, n)
		case n != nil && (n.version != m.Stat.Version || n.owner != m.Stat.Owner || k.op == protocol.OpGet && n.data != string(m.Data)):
			cl.w.fail("client %d: %v of %s at %d answered %q version %d, the model has %+v", cl.id, k.op, k.req.Read.Path, m.Zxid, m.Data, m.Stat.Version, n)
		}
	case protocol.OpChildren:
		if want := model.childrenAt(k.req.Read.Path, m.Zxid); !slices.Equal(want, m.More.Names) {
			cl.w.fail("client %d: children of %s at %d are %v, the model has %v", cl.id, k.req.Read.Path, m.Zxid, m.More.Names, want)
		}
	case protocol.OpUnwatch:
		cl.unwatched(c, k, m)
		return
	}
	if k.watch != nil && (m.Code == protocol.OK || m.Code == protocol.NoNode && k.op == protocol.OpExists) {
		cl.watched(c, *k.watch, m.Zxid)
	}
}

func (cl *client) watched(c *conn, key watchKey, zxid uint64) {
	c.check.add(key, zxid)
	if i := cl.find(key); i >= 0 {
		cl.watches[i].live = true
		return
	}
	cl.watches = append(cl.watches, &heldWatch{watchKey: key, since: zxid, live: true, pos: cl.w.model.firstAfter(zxid)})
}

func (cl *client) unwatched(c *conn, k *call, m *protocol.Message) {
	if m.Code != protocol.OK {
		cl.w.fail("client %d: unwatch of %v answered %v", cl.id, *k.watch, m.Code)
	}
	delete(c.check.live, *k.watch)
	if i := cl.find(*k.watch); i >= 0 {
		cl.watches = slices.Delete(cl.watches, i, i+1)
	}
}

func (cl *client) find(key watchKey) int {
	return slices.IndexFunc(cl.watches, func(h *heldWatch) bool { return h.watchKey == key })
}
