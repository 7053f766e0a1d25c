package client

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// link is one connection, from the Welcome on. Its reader is the goroutine of
// Client.run, its sender one of its own.
type link struct {
	c      *Client
	conn   net.Conn
	addr   string // as it was dialled
	r      *bufio.Reader
	busy   bool         // a read has filled its buffer: a large one is due
	frame  []byte       // reused by the reader
	limit  uint32       // of a frame, as the Welcome said
	heard  atomic.Int64 // time.Duration of the newest bytes from the server
	useful atomic.Bool  // a frame came after the Welcome

	wake *sync.Cond // on c.mu: the sender has something to do

	// Guarded by c.mu.
	asleep     bool // the sender waits
	pingDue    bool
	down       bool
	left       error         // why it is down, if the client left the server
	greeted    time.Duration // when
	askedAt    time.Duration // for the members
	pingDueAt  time.Duration // when the newest ping was called for
	lastPing   uint64        // xid of the newest ping: the milliseconds at which it was asked for
	lastPingAt time.Duration // the same, to the nanosecond
	lastPong   uint64        // xid of the newest answered
	scouted    time.Duration // when a better server was looked for, 0: never
	contact    time.Duration // of the server with the leader, as of the newest pong; 0 of the leader itself
	signs      []sign        // answered pings that the leader is not known to have heard of
}

// heardConn notes when bytes come.
type heardConn struct{ *link }

func (h heardConn) Read(p []byte) (int, error) {
	n, err := h.conn.Read(p)
	if n > 0 {
		h.heard.Store(int64(h.c.now()))
	}
	h.busy = h.busy || n == len(p)
	return n, err
}

func newLink(c *Client, conn net.Conn, addr string) *link {
	l := &link{c: c, conn: conn, addr: addr, wake: sync.NewCond(&c.mu)}
	l.heard.Store(int64(c.now()))
	l.r = bufio.NewReaderSize(heardConn{l}, smallReadBuffer)
	return l
}

// cut ends the connection: the reader and the sender find out. The caller
// holds c.mu.
func (l *link) cut() {
	if l.down {
		return
	}
	l.down = true
	beneath(l.conn).Close()
	l.wake.Signal()
}

// beneath is the connection below TLS, whose own Close waits for up to 5 s to say
// goodbye to a server that takes nothing.
func beneath(conn net.Conn) net.Conn {
	if secure, ok := conn.(*tls.Conn); ok {
		return secure.NetConn()
	}
	return conn
}

// leave cuts the connection for a reason of the client's own. The caller holds
// c.mu.
func (l *link) leave(why error) {
	if !l.down {
		l.left = why
		l.cut()
	}
}

// kick wakes the sender if it sleeps and has something to send. The caller
// holds mu.
func (c *Client) kick() {
	l := c.link
	if l == nil || !l.asleep || !l.pingDue && !c.sendable() {
		return
	}
	l.asleep = false
	l.wake.Signal()
}

// send is the sender: it encodes what is pending, as much as the window and
// its buffer take, and writes it in one call.
func (l *link) send() {
	c := l.c
	var buf []byte
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for !l.down && !l.pingDue && !c.sendable() {
			l.asleep = true
			l.wake.Wait()
		}
		if l.down {
			return
		}
		if c.sent.len() > 0 {
			// Others are at it too: let those that run now join this write.
			c.mu.Unlock()
			runtime.Gosched()
			c.mu.Lock()
		}
		buf = c.gather(l, buf[:0])
		c.mu.Unlock()
		_, err := l.conn.Write(buf)
		c.mu.Lock()
		if err != nil {
			l.cut()
			return
		}
		if cap(buf) > 4*bufferSize {
			buf = nil
		}
	}
}

// gather encodes what may be sent now. The caller holds mu.
func (c *Client) gather(l *link, buf []byte) []byte {
	now := c.now()
	if l.pingDue {
		l.pingDue = false
		l.lastPing, l.lastPingAt = max(l.lastPing+1, uint64(now/time.Millisecond)), now
		buf = protocol.AppendRequest(buf, &protocol.Request{Op: protocol.OpPing, Xid: l.lastPing})
	}
	for len(buf) < bufferSize && c.sendable() {
		buf = c.encodeNext(buf, now)
	}
	if c.resting {
		c.resting = false
		c.prompt()
	}
	return buf
}

func (c *Client) encodeNext(buf []byte, now time.Duration) []byte {
	cl := c.pending.pop()
	if cl.abandoned && (!cl.isWrite() || !cl.everSent()) {
		if !cl.everSent() {
			c.ghosts--
		}
		c.recycle(cl)
		return buf
	}
	seen := cl.everSent()
	if !seen {
		c.nextXid++
		cl.req.Xid = c.nextXid
	}
	if cl.isWrite() {
		c.window.opened(cl)
		cl.req.Arg = c.window.ack()
	}
	start := len(buf)
	buf = protocol.AppendRequest(buf, &cl.req)
	if length := len(buf) - start - 4; length > int(c.limits.MaxFrame) {
		if cl.isWrite() {
			c.window.takeBack()
		}
		tooLarge := &Error{
			Err: ErrTooLarge, Maybe: seen && cl.isWrite(),
			Detail: fmt.Sprintf("a request of %d bytes: at most %d are allowed, of them %d for the data of a node", length, c.limits.MaxFrame, c.limits.MaxData),
		}
		if cl.replay != nil { // by a server that takes less than the one before
			c.watches.refused(c, cl, tooLarge)
		}
		c.finish(cl, tooLarge)
		return buf[:start]
	}
	cl.state, cl.sentAt, cl.seen, cl.bytes = callSent, now, c.lastZxid, len(buf)-start
	c.sent.push(cl)
	c.owed += cl.bytes
	if cl.replay != nil {
		c.watches.resuming(cl.replay)
	}
	return buf
}

// read is the reader: it returns why the connection ended.
func (l *link) read() error {
	var m protocol.Message // one for all: whoever keeps an answer copies it
	for {
		err := l.receive(&m)
		if err == nil {
			err = l.handle(&m)
		}
		if err != nil {
			if errors.Is(err, ErrProtocol) {
				l.c.garbled(&m, fmt.Errorf("%s: %w", l.addr, err))
			}
			return err
		}
		l.useful.Store(true)
	}
}

// receive reads one message into m. The limit of the Welcome is for requests; a
// reply may be a little larger than what was once asked to be kept. Of a message that
// does not decode m is the header, without a frame it is zero.
func (l *link) receive(m *protocol.Message) (err error) {
	*m = protocol.Message{}
	if l.busy && l.r.Buffered() == 0 && l.r.Size() < readBufferSize {
		l.r = bufio.NewReaderSize(heardConn{l}, readBufferSize)
	}
	most, decode := min(2*l.limit, maxFrame), protocol.DecodeMessage
	frame, whole := protocol.BufferedFrame(l.r, most)
	if !whole {
		if frame, err = readFrame(l.r, l.frame, most); err != nil {
			return err
		}
		if l.frame = frame; cap(frame) > readBufferSize {
			l.frame, decode = nil, protocol.TakeMessage
		}
	}
	if *m, err = decode(frame); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return nil
}

// readFrame words a frame that is too large as the server's fault: ErrTooLarge is
// for what a caller asks.
func readFrame(r *bufio.Reader, buf []byte, most uint32) ([]byte, error) {
	frame, err := protocol.ReadFrame(r, buf, most)
	if large, ok := errors.AsType[*protocol.FrameTooLargeError](err); ok {
		err = fmt.Errorf("%w: a frame of %d bytes, at most %d are allowed", ErrProtocol, large.Length, large.Max)
	}
	return frame, err
}

// garbled fails the call whose answer does not decode, or is none that a server gives,
// once another connection has brought no better: or it would be sent again without an
// end, and what is behind it would never be answered.
func (c *Client) garbled(m *protocol.Message, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sent.len() == 0 || m.Kind != protocol.Reply {
		return
	}
	cl := c.sent.front()
	if cl.quiet || m.Xid != cl.req.Xid || m.Op != cl.req.Op {
		return
	}
	if cl.garbled++; cl.garbled < maxGarbled {
		return
	}
	c.sent.pop()
	c.owed -= cl.bytes
	c.window.settled(cl)
	c.finish(cl, &Error{Err: why, Maybe: cl.isWrite()})
}

func (l *link) handle(m *protocol.Message) error {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.down {
		return net.ErrClosed
	}
	switch {
	case m.Zxid > maxZxid: // every sane server would be behind it
		return fmt.Errorf("%w: a message of zxid %d", ErrProtocol, m.Zxid)
	case m.Kind == protocol.Event:
		return c.watches.event(c, m)
	case m.Kind == protocol.Goodbye:
		return goodbyeError(m)
	case m.Op == protocol.OpPing:
		return l.pong(m)
	}
	return c.answer(l, m)
}

// answer settles the oldest call on this connection. The caller holds mu.
func (c *Client) answer(l *link, m *protocol.Message) error {
	if c.sent.len() == 0 {
		return fmt.Errorf("%w: an answer to %v %d, which was not asked", ErrProtocol, m.Op, m.Xid)
	}
	cl := c.sent.front()
	if m.Xid != cl.req.Xid || m.Op != cl.req.Op || m.Partial {
		return fmt.Errorf("%w: an answer to %v %d, awaited was %v %d", ErrProtocol, m.Op, m.Xid, cl.req.Op, cl.req.Xid)
	}
	if isSessionLoss(m.Code) || m.Code == protocol.NotReady && c.cfg.mode == protocol.HelloGuest {
		return goodbyeError(m) // told to every call, this one included; a guest asks elsewhere
	}
	if m.Code == protocol.OK && cl.req.Op.IsRead() && m.Zxid < cl.seen {
		return fmt.Errorf("%w: %v %d was answered as of zxid %d, when this client had been shown %d", ErrProtocol, m.Op, m.Xid, m.Zxid, cl.seen)
	}
	c.sent.pop()
	c.owed -= cl.bytes
	c.window.settled(cl)
	c.saw(m.Zxid)
	if m.Code == protocol.TooManyOutcomes && c.sendAgain(cl) {
		c.kick()
		return nil
	}
	if c.narrow > 0 && !cl.refused {
		c.widenWindow()
	}
	c.watches.answered(c, cl, m)
	switch cl.req.Op {
	case protocol.OpMembers:
		c.learned(cl, m)
	case protocol.OpAuth:
		c.proved(cl, m, c.pool.ids[l.addr])
	}
	cl.reply = *m
	c.finish(cl, nil)
	if c.pending.len() > 0 {
		c.kick()
	}
	return nil
}

func isSessionLoss(code protocol.Code) bool {
	return code == protocol.SessionExpired || code == protocol.SessionMoved
}

// farewellError is why the server ended the connection.
type farewellError struct {
	code   protocol.Code
	detail string
}

func (e *farewellError) Error() string {
	kind := e.code.Err()
	if detail := beyond(kind, e.detail); detail != "" {
		return kind.Error() + ": " + detail
	}
	return kind.Error()
}

func (e *farewellError) Unwrap() error { return e.code.Err() }

func goodbyeError(m *protocol.Message) error {
	e := &farewellError{code: m.Code}
	if m.More != nil {
		e.detail = m.More.Detail
	}
	if m.Code == protocol.OK {
		e.code = protocol.Closing
	}
	return e
}

// Why a client leaves a server by itself.
var (
	errSilent = errors.New("the server was silent for too long")
	errDeaf   = errors.New("the server has left a ping unanswered for too long")
	errCutOff = errors.New("the server has lost the leader, and another has not")
)
