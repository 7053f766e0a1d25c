package sim

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
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
	// A refusal whose answer was lost comes out as Aborted if later writes ran.
	if m.Code == protocol.DiskFull || m.Code == protocol.Aborted && k.again && !ran {
		if ran {
			cl.w.fail("client %d: write %d was refused for the disk, but it ran: %+v", cl.id, m.Xid, want)
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
func (k *call) changes() bool { return k.op != protocol.OpCheck }

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

// The requests a client makes.

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
