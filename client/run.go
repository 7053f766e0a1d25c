package client

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// run keeps a connection until the client ends: it finds a server, serves the
// connection as its reader, and starts again.
func (c *Client) run() {
	var pause backoff
	for c.ctx.Err() == nil {
		l, final, err := c.connect()
		none := err != nil
		if !none {
			c.cfg.logger.Info("connected", "server", l.addr, "session", c.Session().ID())
			err = c.serve(l)
			if final = isSessionLoss(codeOf(err)); !final { // which is of the session, whoever says so
				err = fmt.Errorf("%s: %w", l.addr, err)
			}
			if c.leave(l, err) {
				pause.reset()
			}
		}
		if c.ctx.Err() != nil {
			return
		}
		if final {
			c.lost(err)
			return
		}
		c.noteFailure(err)
		if none {
			pause.wait(c)
		}
	}
}

// leave notes that a connection has ended, and tells whether it was of use.
// Then everybody else is tried at once. A server that welcomes, says something
// and dies is of none, or it would be dialled as fast as it can die.
func (c *Client) leave(l *link, err error) (useful bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	short := !l.useful.Load() || c.now()-l.greeted < usefulLife
	if short || errors.Is(err, ErrNotReady) && c.cfg.mode == protocol.HelloGuest {
		c.pool.fail(l.addr, c.now())
		return false
	}
	c.lastRefusal = nil
	c.pool.left(l.addr, c.now())
	return true
}

// lost ends the client with its session. After a farewell that is what the
// client asked for, whether its answer or the server's goodbye is read first.
func (c *Client) lost(err error) {
	c.mu.Lock()
	closing := c.closing
	c.mu.Unlock()
	if closing && errors.Is(err, ErrSessionExpired) {
		c.end(Closed, errParted)
		return
	}
	c.end(Expired, err)
}

// serve runs a connection and returns why it ended. Then what was sent on it
// is pending again, in its order, before everything that was not.
func (c *Client) serve(l *link) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.send()
	}()
	err := l.read()
	c.mu.Lock()
	l.cut()
	c.mu.Unlock()
	<-done
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link = nil
	if c.ctx.Err() == nil && !isSessionLoss(codeOf(err)) {
		c.setState(Disconnected)
	}
	if l.left != nil {
		err = l.left
	}
	switch {
	case errors.Is(err, ErrThrottled):
		c.narrowWindow(c.width())
	case err == errDeaf && c.sent.len() > 1: // its pong may be behind more than the way carries in time
		c.narrowWindow(c.sent.len())
	}
	c.takeBackSent()
	c.watches.disconnected()
	return err
}

// takeBackSent makes pending again what the connection left unanswered, except
// what nobody waits for and the resumes of watches, which the next connection
// makes anew. The caller holds mu.
func (c *Client) takeBackSent() {
	for c.pending.len() > 0 && c.pending.front().isResume() {
		c.recycle(c.pending.pop())
	}
	for c.sent.len() > 0 {
		cl := c.sent.popBack()
		if cl.isAsking() {
			c.asking = false
		}
		if cl.isResume() || cl.isAsking() || cl.abandoned && !cl.isWrite() {
			c.recycle(cl)
			continue
		}
		if cl.replay != nil {
			c.watches.takeBack(cl)
		}
		cl.state = callPending
		c.pending.pushFront(cl)
	}
	c.owed = 0
	c.window.reset()
}

// isResume is of the resumes that the client makes for itself; they are at the
// front of the queue until they are sent.
func (cl *call) isResume() bool { return cl.quiet && cl.req.Op == protocol.OpResume }

// lowestOpen is the xid that an attach acknowledges up to. The caller holds
// mu and no connection is up.
func (c *Client) lowestOpen() uint64 {
	for i := range c.pending.len() {
		if cl := c.pending.at(i); cl.isWrite() && cl.everSent() {
			return cl.req.Xid
		}
	}
	return c.nextXid + 1
}

// isRefusal is of a server that will not have this client, now or later. It counts in
// answer to a hello: one that has welcomed a client and then says so is in doubt.
func isRefusal(code protocol.Code) bool {
	return code == protocol.AuthFailed || code == protocol.UnsupportedVersion
}

// codeOf is what the server ended the connection with, if it said so.
func codeOf(err error) protocol.Code {
	if f, ok := errors.AsType[*farewellError](err); ok {
		return f.code
	}
	return protocol.OK
}

func (c *Client) noteFailure(err error) {
	if err == errNoneLeft { // since the failure already noted
		return
	}
	c.cfg.logger.Info("no connection", "cause", err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if codeOf(err) != protocol.OK {
		c.lastRefusal, c.lastFailure = err, nil // it may tell of other servers, too
		return
	}
	c.lastFailure = err
}

// backoff waits between tries: 10 ms at first, twice as long each time up to a
// second, each by chance between half and all of it, so that the clients of a
// server that died do not all come back at one instant.
type backoff struct{ pause time.Duration }

func (b *backoff) reset() { b.pause = 0 }

func (b *backoff) wait(c *Client) {
	defer c.tryAgain()
	b.pause = min(max(2*b.pause, backoffMin), backoffMax)
	t := time.NewTimer(b.pause/2 + rand.N(b.pause/2))
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	}
}

func (c *Client) tryAgain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pool.again()
}
