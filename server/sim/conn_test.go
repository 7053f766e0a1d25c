package sim

import (
	"bufio"
	"bytes"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/pipeline"
	"github.com/lycaon-io/lycaon/znode"
)

// conn is one connection: frames on their way up and down, and what both ends
// know of it. The client may leave it long before its server notices.
type conn struct {
	w        *world
	srv      *server
	cl       *client
	attempt  uint64
	hash     [32]byte
	ack      uint64
	lastZxid uint64
	session  uint64
	gen      uint64
	up       []request
	down     []protocol.Message
	visible  int // of down: what a wake has let go

	lane    *pipeline.Lane
	cancel  pipeline.Cancel
	severed bool // the server end is gone: it restarted or noticed
	closed  bool // the Core closed it

	// The client's side.
	sent    []*call // not answered, in order
	pings   []uint64
	check   *watchCheck
	highest uint64 // zxid of anything told
	shown   uint64 // of a reply
	replay  *replay
}

// request is a frame up: the hello if req is nil.
type request struct{ frame []byte }

// replay is a resume that has not been answered yet.
type replay struct {
	watches []since
	told    []event
	call    *call
}

// welcome is a message of its own kind, since the hello's answer is the
// front's to make.
const welcome protocol.MessageKind = 100

// Push is the Core's sink: under its lock, so the message is copied as it is.
func (c *conn) Push(m *protocol.Message) {
	switch {
	case c.closed:
		c.w.fail("conn: pushed after it was closed: %+v", *m)
	case c.session != 0 && c.srv.generation[c.session] != c.gen && !(m.Op == protocol.OpCloseSession && m.Kind == protocol.Reply):
		c.w.fail("conn: a fenced lane of session %d generation %d answers: %+v", c.session, c.gen, *m)
	}
	c.down = append(c.down, *m)
}

// Wake is the Core's sink.
func (c *conn) Wake() { c.visible = len(c.down) }

// Close is the Core's sink.
func (c *conn) Close(code protocol.Code, detail string) {
	c.closed = true
	c.down = append(c.down, protocol.Message{Kind: protocol.Goodbye, Code: code, More: &protocol.More{Detail: detail}})
}

// done is told how the hello ended.
func (c *conn) done(l *pipeline.Lane, o pipeline.Opened, code protocol.Code, detail string) {
	m := protocol.Message{Kind: welcome, Code: code, Zxid: o.Zxid, Xid: o.Session, More: &protocol.More{Detail: detail}}
	if l != nil {
		c.lane, c.session, c.gen = l, o.Session, o.Generation
		if c.severed {
			l.Detach()
			return
		}
	}
	// What the Core pushed before is behind the welcome: the front sends that
	// first.
	c.down = append([]protocol.Message{m}, c.down...)
	c.visible = len(c.down)
}

// stepUp has the server read one frame.
func (c *conn) stepUp() {
	if len(c.up) == 0 || c.severed || c.closed {
		return
	}
	r := c.up[0]
	if r.frame == nil {
		c.up = c.up[1:]
		c.hello()
		return
	}
	if c.lane == nil {
		return // the hello is not answered
	}
	var req protocol.Request
	frame := bytes.Clone(r.frame)
	if err := protocol.DecodeRequest(frame, &req); err != nil {
		c.w.fail("conn: request does not decode: %v", err)
	}
	if c.lane.TrySubmit(&req) {
		c.up = c.up[1:]
	} else {
		c.w.stats.noCredit++
	}
	clear(frame) // whoever kept a piece of it is found out
	for i := range frame {
		frame[i] = 0xee
	}
}

// superuser is everybody: ACLs are not what is looked at here.
var superuser = []znode.Identity{{Scheme: znode.SchemeSuper}}

func (c *conn) hello() {
	if c.session == 0 {
		c.cancel = c.srv.core.Open(pipeline.OpenParams{PasswordHash: c.hash, TimeoutMs: 10_000, Identities: superuser}, c, c.done)
		return
	}
	session := c.session
	c.session = 0 // until it has a lane
	c.cancel = c.srv.core.Attach(pipeline.AttachParams{
		Session: session, PasswordHash: c.hash, Attempt: c.attempt, TimeoutMs: 10_000, Ack: c.ack, LastZxid: c.lastZxid, Identities: superuser,
	}, c, c.done)
}

// sever is the server noticing that the socket is gone, or cutting off a slow
// reader: what it had not read yet is lost.
func (c *conn) sever() {
	if c.severed {
		return
	}
	c.severed = true
	c.down = c.down[:c.w.rng.IntN(len(c.down)+1)]
	c.visible = min(c.visible, len(c.down))
	if c.lane != nil {
		c.lane.Detach()
	} else if c.cancel != nil {
		c.cancel()
	}
}

// dead tells whether no more will happen here.
func (c *conn) dead() bool { return c.severed || c.closed && c.cl.conn != c }

// stepDown has the client read one message.
func (c *conn) stepDown() {
	if c.cl.conn != c {
		c.down, c.visible = nil, 0
		return
	}
	if c.visible == 0 {
		if c.severed {
			c.cl.leave()
		}
		return
	}
	m := c.down[0]
	c.down = c.down[1:]
	c.visible--
	if m.Kind == welcome {
		c.cl.welcomed(c, &m)
		return
	}
	m, err := throughWire(&m)
	if err != nil {
		c.w.fail("conn: message does not decode: %v", err)
	}
	switch m.Kind {
	case protocol.Event:
		c.cl.event(c, &m)
	case protocol.Goodbye:
		c.cl.goodbye(c, &m)
	default:
		c.cl.reply(c, &m)
	}
}

// throughWire encodes and decodes a message.
func throughWire(m *protocol.Message) (protocol.Message, error) {
	b := protocol.AppendMessage(nil, m)
	frame, err := protocol.ReadFrame(bufio.NewReader(bytes.NewReader(b)), nil, 1<<20)
	if err != nil {
		return protocol.Message{}, err
	}
	return protocol.DecodeMessage(frame)
}

func requestFrame(r *protocol.Request) []byte {
	b := protocol.AppendRequest(nil, r)
	return b[4:]
}
