package client

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/lycaon-io/lycaon/protocol"
)

type callState uint8

const (
	callNew     callState = iota
	callPending           // waits for its turn to be sent, or to be sent again
	callSent
	callDone
)

// call is one request from the moment it is asked until its answer is taken.
// Client.mu guards it between start and the signal on done; before and after,
// it is its caller's.
type call struct {
	req       protocol.Request
	room      []byte // memory of req.Body
	state     callState
	abandoned bool // nobody waits any more; what is open must still be settled
	quiet     bool // the client's own: nobody ever waits
	refused   bool // for want of room for its answer: is sent again, and alone
	alone     bool // it was refused although no other write was open
	cost      int  // bytes of its answer that a server may have to keep
	sentAt    time.Duration
	seen      uint64     // newest zxid that the client had been shown by then
	garbled   int        // answers that made no sense
	bytes     int        // as it was sent
	watch     *Watch     // of OpWatch: goes live with the answer
	replay    *replay    // of OpResume: its watches go live when it is sent
	cred      Credential // of OpAuth: is for later connections too once the answer is good

	reply protocol.Message
	err   error
	done  chan struct{} // of one place

	late   time.Duration // when it has waited for too long, 0: never
	lapsed error         // it has: for its caller alone, so that it is not used again
}

func (cl *call) isWrite() bool { return cl.req.Op.IsWrite() }

// everSent is of those that a server may have seen: an xid is given when a
// call is first encoded.
func (cl *call) everSent() bool { return cl.req.Xid != 0 }

func (c *Client) newCall(op protocol.Op) *call {
	cl, _ := c.calls.Get().(*call)
	if cl == nil {
		cl = &call{done: make(chan struct{}, 1)}
	}
	cl.req.Op = op
	return cl
}

// newWrite takes the room for a body; setBody gives it back filled.
func (c *Client) newWrite(op protocol.Op) (cl *call, room []byte) {
	cl = c.newCall(op)
	return cl, cl.room[:0]
}

func (cl *call) setBody(b []byte) {
	cl.room, cl.req.Body = b, b
}

// recycle must only see calls that nobody else points at, except the caller of one that
// lapsed.
func (c *Client) recycle(cl *call) {
	if cl.lapsed != nil {
		return
	}
	room := cl.room
	if cap(room) > keptBody {
		room = nil
	}
	*cl = call{room: room, done: cl.done}
	c.calls.Put(cl)
}

// do sends a request and waits for its answer.
func (c *Client) do(ctx context.Context, cl *call) (protocol.Message, error) {
	cl.late = c.lateFor(ctx)
	if err := c.start(cl); err != nil {
		return protocol.Message{}, err
	}
	return c.await(ctx, cl)
}

// start gives a call its place in the order of this client.
func (c *Client) start(cl *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.startLocked(cl)
}

func (c *Client) startLocked(cl *call) error {
	switch {
	case c.ctx.Err() != nil:
		return &Error{Err: context.Cause(c.ctx)}
	case c.closing && cl.req.Op != protocol.OpCloseSession:
		return &Error{Err: ErrClosed}
	case cl.isWrite() && c.cfg.mode == protocol.HelloGuest:
		return &Error{Err: ErrReadOnly}
	}
	cl.state = callPending
	c.pending.push(cl)
	c.timeLimit(cl)
	c.kick()
	return nil
}

// wait is await for a call that was started before anybody waited.
func (c *Client) wait(ctx context.Context, cl *call) (protocol.Message, error) {
	if late := c.lateFor(ctx); late > 0 {
		c.mu.Lock()
		cl.late = late
		c.timeLimit(cl)
		c.mu.Unlock()
	}
	return c.await(ctx, cl)
}

// await takes the answer of a started call. It is the last to touch it.
func (c *Client) await(ctx context.Context, cl *call) (protocol.Message, error) {
	if ended := ctx.Done(); ended == nil {
		<-cl.done
	} else {
		select {
		case <-cl.done:
		case <-ended:
			if err := c.abandon(cl, context.Cause(ctx)); err != nil {
				return protocol.Message{}, err
			}
		}
	}
	if cl.lapsed != nil {
		return protocol.Message{}, cl.lapsed
	}
	m, err := cl.reply, cl.err
	c.recycle(cl)
	if err == nil && m.Code != protocol.OK {
		return m, replyError(&m)
	}
	return m, err
}

// abandon gives a call up, unless its answer has come at that very moment.
func (c *Client) abandon(cl *call, cause error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case cl.lapsed != nil:
		return cl.lapsed
	case cl.state == callDone:
		<-cl.done
		return nil
	}
	err := c.giveUp(cl, cause)
	c.dropGhosts()
	return err
}

// giveUp returns what its caller is told. A call that was never sent is forgotten;
// of one that was, the answer is still awaited, for its place in the order of
// acknowledgement. The caller holds mu.
func (c *Client) giveUp(cl *call, cause error) error {
	cl.abandoned = true
	e := &Error{Err: cause, Maybe: cl.isWrite() && cl.everSent()}
	if c.state == Disconnected {
		e.Err = errors.Join(ErrDisconnected, cause, c.lastRefusal)
		if c.lastFailure != nil {
			e.Detail = c.lastFailure.Error()
		}
	}
	if !cl.everSent() {
		c.ghosts++
	}
	return e
}

// dropGhosts takes out the abandoned calls that were never sent, once they
// are half of what is pending. The caller holds mu.
func (c *Client) dropGhosts() {
	if 2*c.ghosts <= c.pending.len() {
		return
	}
	for range c.pending.len() {
		cl := c.pending.pop()
		if !cl.abandoned || cl.everSent() {
			c.pending.push(cl)
		}
	}
	c.ghosts = 0
}

// finish settles a call. The caller holds mu and has taken it out of every
// queue.
func (c *Client) finish(cl *call, err error) {
	cl.err = err
	cl.state = callDone
	if cl.abandoned || cl.quiet {
		c.recycle(cl)
		return
	}
	cl.done <- struct{}{}
}

func replyError(m *protocol.Message) error {
	e := &Error{Err: m.Code.Err(), Zxid: m.Zxid, Maybe: m.Code == protocol.Aborted}
	if m.More != nil {
		e.Detail = m.More.Detail
	}
	e.Detail = beyond(e.Err, e.Detail)
	return e
}

// beyond is what a server's detail adds to the sentinel, with whose own words
// it often begins.
func beyond(sentinel error, detail string) string {
	detail = harmless(detail)
	if i := strings.Index(detail, sentinel.Error()); i >= 0 {
		return strings.TrimPrefix(detail[i+len(sentinel.Error()):], ": ")
	}
	return detail
}

// harmless is the beginning of a server's text, of one line, with nothing in it that a
// terminal obeys.
func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text[:min(len(text), maxDetail)])
}
