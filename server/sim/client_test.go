package sim

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
)

// client follows the native protocol's rules for clients: xids rise, the
// lowest open write's xid is acknowledged in the next write, open requests go
// over a new connection again and in their order, and watches are resumed from
// what was certainly told of them.
type client struct {
	w        *world
	id       int
	life     int // sessions so far
	session  uint64
	hash     [32]byte
	attempt  uint64
	conn     *conn
	ready    bool
	xid      uint64
	open     []*call
	lastSeen uint64
	watches  []*heldWatch
	closing  bool
	answered []*call // writes answered OK, for stale repeats
}

// call is one request of a client.
type call struct {
	op     protocol.Op
	req    protocol.Request
	token  string // of a create that must be there exactly once
	again  bool   // sent on more than one connection
	stale  bool   // a repeat of what was acknowledged: must be aborted
	floor  uint64 // of a linearizable or AtLeast read: the reply's least zxid
	future bool   // an AtLeast of a zxid that nobody has seen
	watch  *watchKey
}

// heldWatch is a watch as its client keeps it: all up to since was told, and
// of the zxid after it the first few events. A transaction may be several
// events, and a connection may break between them: then the next one tells all
// of that zxid again, and the client passes over what it has.
type heldWatch struct {
	watchKey
	since uint64
	seen  int
	skip  int  // still to be passed over in the present replay
	live  bool // on the present connection
	pos   int  // of a staying one: effects before it were told, or a gap was
	gap   bool
}

func (cl *client) newSession() {
	cl.life++
	cl.session, cl.attempt, cl.xid, cl.lastSeen = 0, 0, 0, 0
	cl.open, cl.watches, cl.answered, cl.closing = nil, nil, nil, false
	cl.leave()
}

// leave gives the connection up; its server may notice much later.
func (cl *client) leave() {
	cl.note("leave")
	cl.conn, cl.ready = nil, false
	for _, h := range cl.watches {
		h.live = false
	}
}

// connect says hello to some server.
func (cl *client) connect() {
	cl.attempt++
	if cl.session == 0 { // the front of that server makes a password of its own
		cl.hash = sha256.Sum256(fmt.Appendf(nil, "client %d life %d open %d", cl.id, cl.life, cl.attempt))
	}
	c := &conn{
		w: cl.w, srv: cl.w.servers[cl.w.rng.IntN(len(cl.w.servers))], cl: cl, hash: cl.hash, ack: cl.ack(), lastZxid: cl.lastSeen,
		session: cl.session, attempt: cl.attempt, check: newWatchCheck(cl.w), up: []request{{}},
	}
	c.srv.conns = append(c.srv.conns, c)
	cl.conn = c
	cl.w.conns = append(cl.w.conns, c)
}

func (cl *client) ack() uint64 {
	for _, k := range cl.open {
		if k.op.IsWrite() && !k.stale {
			return k.req.Xid
		}
	}
	return cl.xid + 1
}

// welcomed takes over the session, or learns that there is none.
func (cl *client) welcomed(c *conn, m *protocol.Message) {
	switch {
	case m.Code == protocol.OK:
	case m.Code == protocol.SessionExpired && cl.session != 0:
		cl.lost(m.More.Detail)
		return
	case m.Code == protocol.NotReady || m.Code == protocol.Throttled || m.Code == protocol.DiskFull && cl.session == 0:
		cl.leave()
		return
	default:
		cl.w.fail("client %d: hello of attempt %d answered %v (%s)", cl.id, c.attempt, m.Code, m.More.Detail)
	}
	cl.note("welcome", m.Xid, "zxid", m.Zxid)
	if m.Zxid < cl.lastSeen {
		cl.w.fail("client %d: went back from zxid %d to %d", cl.id, cl.lastSeen, m.Zxid)
	}
	if cl.session == 0 {
		cl.w.stats.sessions++
	} else {
		cl.w.stats.attaches++
	}
	cl.session, cl.ready = m.Xid, true
	cl.lastSeen, c.highest, c.shown = max(cl.lastSeen, m.Zxid), m.Zxid, m.Zxid
	cl.resend(c)
}

// resend sends the open requests again, and the watches before, among or
// behind the writes that lead them.
func (cl *client) resend(c *conn) {
	writes := 0
	for writes < len(cl.open) && cl.open[writes].op.IsWrite() {
		writes++
	}
	at := cl.w.rng.IntN(writes + 1)
	for i, k := range cl.open {
		if i == at {
			cl.resume(c)
		}
		k.again = true
		cl.put(k)
	}
	if at == len(cl.open) {
		cl.resume(c)
	}
}

func (cl *client) resume(c *conn) {
	if len(cl.watches) == 0 {
		return
	}
	cl.xid++
	k := &call{op: protocol.OpResume, req: protocol.Request{Op: protocol.OpResume, Xid: cl.xid}}
	c.replay = &replay{call: k}
	for _, h := range cl.watches {
		h.skip = h.seen
		k.req.Watches = append(k.req.Watches, protocol.Watch{Path: h.path, Mode: h.mode, Since: h.since})
		c.replay.watches = append(c.replay.watches, since{h.watchKey, h.since})
	}
	c.sent = append(c.sent, k)
	c.up = append(c.up, request{requestFrame(&k.req)})
	cl.note("resume", c.replay.watches)
}

// put puts an open call on the connection.
func (cl *client) put(k *call) {
	if k.op.IsWrite() {
		k.req.Arg = cl.ack()
	}
	cl.conn.sent = append(cl.conn.sent, k)
	cl.conn.up = append(cl.conn.up, request{requestFrame(&k.req)})
}

// lost ends the session: its open writes may or may not have run.
func (cl *client) lost(detail string) {
	s := cl.w.model.sessions[cl.session]
	if s == nil || !s.ended {
		cl.w.fail("client %d: told that session %d has ended, which lives", cl.id, cl.session)
	}
	if !strings.Contains(detail, s.cause) {
		cl.w.fail("client %d: told %q of a session that ended by %q", cl.id, detail, s.cause)
	}
	cl.newSession()
}

func (cl *client) goodbye(c *conn, m *protocol.Message) {
	switch m.Code {
	case protocol.SessionExpired:
		cl.lost(m.More.Detail)
	case protocol.NotReady:
		cl.leave()
	default:
		cl.w.fail("client %d: its newest connection, attempt %d, was closed: %v (%s)", cl.id, c.attempt, m.Code, m.More.Detail)
	}
}

// event checks an event twice: that it was due on this connection, and that
// over all its connections each watch is told everything once.
func (cl *client) event(c *conn, m *protocol.Message) {
	e := event{m.Event, m.Path, m.Zxid}
	cl.note("event", e)
	switch {
	case e.what == protocol.EventReplayDone:
		cl.replayDone(c, e.zxid)
		return
	case e.what == protocol.EventProgress:
		c.check.upTo(e.zxid, "progress")
		cl.advance(e.zxid)
		return
	case c.replay != nil:
		c.replay.told = append(c.replay.told, e)
	default:
		c.check.event(e)
		cl.lastSeen, c.highest = max(cl.lastSeen, e.zxid), max(c.highest, e.zxid)
	}
	cl.w.stats.events[e.what]++
	cl.tell(c, e)
}

// tell hands an event to the watches that it is for.
func (cl *client) tell(c *conn, e event) {
	kept := cl.watches[:0]
	for _, h := range cl.watches {
		switch {
		case e.what == protocol.EventGap:
			if h.watchKey.stays() && h.path == e.path {
				h.gap = true
			}
		case !h.wants(e) || c.replay == nil && !h.live:
		case !h.stays():
			continue
		default:
			cl.tellStaying(c, h, e)
		}
		kept = append(kept, h)
	}
	clear(cl.watches[len(kept):])
	cl.watches = kept
	if c.replay == nil {
		cl.advance(e.zxid - 1)
	}
}

// tellStaying drops what this watch was told on an earlier connection.
func (cl *client) tellStaying(c *conn, h *heldWatch, e event) {
	switch {
	case e.zxid <= h.since: // for another watch, which has to catch up
		return
	case e.zxid == h.since+1 && h.skip > 0:
		h.skip--
		return
	}
	if e.zxid > h.since+1 {
		h.since, h.seen = e.zxid-1, 0
	}
	h.seen++
	h.skip = 0
	if h.gap {
		return
	}
	want, pos, ok := cl.w.model.nextFor(h.watchKey, h.pos, e.zxid)
	if !ok || want != e {
		cl.w.fail("client %d: watch %v is told %v, next for it is %v", cl.id, h.watchKey, e, want)
	}
	h.pos = pos
}

// nextFor is the next event for a watch from an index into the effects on.
func (m *model) nextFor(k watchKey, from int, zxid uint64) (event, int, bool) {
	for i := from; i < len(m.effects) && m.effects[i].Zxid <= zxid; i++ {
		for _, e := range eventsOf(&m.effects[i]) {
			if k.wants(e) {
				return e, i + 1, true
			}
		}
	}
	return event{}, 0, false
}

// advance notes that the live watches were told everything up to zxid.
func (cl *client) advance(zxid uint64) {
	for _, h := range cl.watches {
		if h.live && zxid > h.since {
			h.since, h.seen = zxid, 0
		}
	}
}

func (cl *client) replayDone(c *conn, now uint64) {
	if c.replay == nil {
		cl.w.fail("client %d: a replay ended that was not asked for", cl.id)
	}
	c.check.resumed(c.replay.watches, c.replay.told, now)
	for _, s := range c.replay.watches {
		i := cl.find(s.watchKey)
		if i < 0 {
			continue
		}
		h := cl.watches[i]
		if h.gap {
			h.gap, h.pos = false, cl.w.model.firstAfter(now)
			cl.w.stats.gaps++
		} else if e, _, missed := cl.w.model.nextFor(h.watchKey, h.pos, now); missed && h.stays() {
			cl.w.fail("client %d: watch %v was not told %v by its replay up to %d", cl.id, h.watchKey, e, now)
		}
		h.since, h.seen, h.skip, h.live = now, 0, 0, true
	}
	c.replay = nil
}
