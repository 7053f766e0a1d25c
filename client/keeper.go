package client

import (
	"fmt"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// keep watches the clock: it asks for a ping when a third of the timeout has
// passed without an answer or a ping, cuts a connection that has been silent for two thirds, and declares the session
// lost when a whole timeout has passed since the newest request that was
// answered had been sent. A server counts from when it heard that request,
// which is later, so the client never holds on longer than the server does.
func (c *Client) keep() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var pinged time.Duration
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-timer.C:
		case <-c.urge:
		}
		var wait time.Duration
		if pinged, wait = c.attend(pinged); wait > 0 {
			timer.Reset(wait)
		}
	}
}

// prompt makes the keeper look again. The caller may hold mu.
func (c *Client) prompt() {
	select {
	case c.urge <- struct{}{}:
	default:
	}
}

func silence(timeout time.Duration) time.Duration { return timeout * 2 / 3 }

// attend does what is due and returns when the next thing is.
func (c *Client) attend(pinged time.Duration) (lastPing, wait time.Duration) {
	c.mu.Lock()
	timeout, l, lastAck, session := c.sess.timeout, c.link, c.lastAck, c.sess.id
	now := c.now()
	if timeout == 0 || l == nil && session == 0 || c.lastAck == 0 && l == nil {
		c.mu.Unlock()
		return pinged, 0 // nothing to keep yet; welcomed prompts
	}
	wait = timeout
	if l != nil {
		pinged = max(pinged, lastAck) // an answered request is as good
		if now >= pinged+timeout/3 {
			l.pingDue = true
			pinged = now
			c.kick()
		}
		dead := time.Duration(l.heard.Load()) + silence(timeout)
		if now >= dead {
			l.cut()
		}
		wait = min(wait, pinged+timeout/3-now)
		if dead > now {
			wait = min(wait, dead-now)
		}
	}
	c.mu.Unlock()
	if session == 0 || c.cfg.mode == protocol.HelloGuest {
		return pinged, wait
	}
	end := lastAck + timeout
	if now >= end {
		c.end(Expired, fmt.Errorf("%w: no server answered for %v", ErrSessionExpired, timeout))
		return pinged, 0
	}
	return pinged, min(wait, end-now)
}
