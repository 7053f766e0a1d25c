package zk

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/lycaon-io/lycaon/server/front"
	"github.com/lycaon-io/lycaon/server/front/zk/digestmd5"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

// Marks on the tag of a request, for Append.
const (
	hasForms = 1 << (jute.TagBits + iota) // of a multi: its forms are the next of forms
	isLast                                // the connection ends with its answer
)

// conn is one connection of a ZooKeeper client. Fields without a note are the
// reader's.
type conn struct {
	*front.Conn
	zk       *ZooKeeper
	req      protocol.Request
	scratch  []byte // of the body of a write
	readOnly bool   // has no session, and reads what may be old
	done     bool   // the answer that ends the connection is on its way
	sasl     *digestmd5.Server

	forms forms
	about about
}

func newConn(z *ZooKeeper, c *front.Conn) *conn { return &conn{Conn: c, zk: z} }

// about is what cons tells of a connection.
type about struct {
	session  atomic.Int64 // as its client knows it
	timeout  atomic.Int64 // in ms
	lastOp   atomic.Int32
	lastXid  atomic.Int32
	lastZxid atomic.Uint64 // told
	lastAt   atomic.Int64  // when, in ms since 1970
	sample   sample
}

// forms remembers how the operations of each multi under way were asked for.
// Multis are answered in their order.
type forms struct {
	mu    sync.Mutex
	queue [][]jute.Form
}

func (f *forms) push(of []jute.Form) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(f.queue, of)
}

func (f *forms) pop() []jute.Form {
	f.mu.Lock()
	defer f.mu.Unlock()
	of := f.queue[0]
	f.queue[0] = nil
	f.queue = f.queue[1:]
	return of
}

// MaxFrame implements front.Speaker.
func (c *conn) MaxFrame() uint32 { return jute.MaxFrame }

// PingBytes implements front.Speaker: a closeSession is as short as a ping.
func (c *conn) PingBytes() (bytes int, alone bool) { return jute.PingBytes, false }

// TooLarge implements front.Speaker. As in ZooKeeper the connection goes, since
// what a client would make of an answer is not known; its session stays.
func (c *conn) TooLarge(e *protocol.FrameTooLargeError) error { return e }

// Request implements front.Speaker.
func (c *conn) Request(frame []byte) error {
	if c.done {
		return nil
	}
	xid, op, record, err := jute.DecodeHeader(frame)
	if err != nil {
		return fmt.Errorf("%w: %w", protocol.ErrMarshalling, err)
	}
	c.about.lastOp.Store(int32(op))
	if xid >= 0 {
		c.about.lastXid.Store(xid)
	}
	switch {
	case op == jute.OpAuth:
		return c.auth(xid, record)
	case op == jute.OpSASL:
		return c.authSASL(xid, record)
	case op == jute.OpReconfig:
		return c.reconfig(xid, record)
	case c.readOnly && (op == jute.OpSync || op == jute.OpCloseSession):
		return c.onlooking(xid, op)
	}
	var forms []jute.Form
	c.scratch, forms, err = jute.DecodeRequest(xid, op, record, &c.Config().Limits, &c.req, c.scratch)
	if cap(c.scratch) > keptScratch {
		defer func() { c.scratch = nil }()
	}
	if err == nil && c.req.Op == protocol.OpMulti && len(forms) > state.OldMultiOps && !c.AllKnow(state.KnowsBrief) {
		err = fmt.Errorf("%w: more than %d operations, while a server of the cluster runs an older version", znode.ErrTooLarge, state.OldMultiOps)
	}
	if err != nil {
		return c.refuse(&c.req, err)
	}
	if forms != nil {
		c.req.Xid |= hasForms
		c.forms.push(forms)
	}
	c.about.sample.take(c.req.Xid)
	return c.Submit(&c.req)
}

// keptScratch is the room that a connection keeps for the next write.
const keptScratch = 64 << 10

// refuse answers a request that is wrong in itself. After an operation that
// nobody knows the connection ends, as it does in ZooKeeper.
func (c *conn) refuse(req *protocol.Request, err error) error {
	c.Counts().BadRequests.Add(1)
	m := jute.Refusal(req, err)
	if errors.Is(err, protocol.ErrUnimplemented) {
		return c.answerLast(&m)
	}
	return c.Answer(&m)
}

// answerLast completes a request with m and has the connection closed after it.
// Nothing more is heard.
func (c *conn) answerLast(m *protocol.Message) error {
	c.done = true
	m.Xid |= isLast
	return c.Answer(m)
}

// Append implements front.Speaker. A goodbye is said by closing alone.
func (c *conn) Append(b []byte, m *protocol.Message) []byte {
	switch m.Kind {
	case protocol.Event:
		return jute.AppendEvent(b, m)
	case protocol.Goodbye:
		return b
	}
	var of []jute.Form
	if m.Xid&hasForms != 0 {
		of = c.forms.pop()
	}
	c.told(m)
	b = jute.AppendReply(b, m, of)
	if m.Xid&isLast != 0 || lostWatches(m) {
		c.Close(protocol.Closing, "the client was told why")
	}
	return b
}

// lostWatches tells whether m refuses to set watches again. No client hears the
// error of that: it would go on and wait for events that never come. Cut off, it
// comes back, or goes to a server that has room for them. A record that makes no
// sense is answered as ZooKeeper does.
func lostWatches(m *protocol.Message) bool {
	_, op := jute.Untag(m.Xid)
	return m.Code != protocol.OK && m.Code != protocol.Marshalling && (op == jute.OpSetWatches || op == jute.OpSetWatches2)
}

// told keeps what cons and the latencies are made of.
func (c *conn) told(m *protocol.Message) {
	c.about.lastZxid.Store(m.Zxid)
	if took, ok := c.about.sample.over(m.Xid); ok {
		c.about.lastAt.Store(time.Now().UnixMilli())
		c.zk.latency.add(took)
	}
}
