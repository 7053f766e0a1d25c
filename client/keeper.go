package client

import (
	"fmt"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// keep watches the clock. It asks for pings: to keep the session alive, and to
// tell a server whose answers wait for something from one that is gone. It cuts
// a connection that is silent, and declares the session lost when a whole
// timeout has passed since the newest sign of life that the cluster is known to
// have heard. The leader counts from when it heard that, which is later, so the
// client never holds on longer than the cluster does. It also gives up calls that
// have waited for too long.
func (c *Client) keep() {
	timer := time.NewTimer(forever)
	defer timer.Stop()
	due := time.Duration(forever)
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-timer.C:
		case <-c.urge: // which may come first when both are due
		}
		if late := c.now() - due; late > lateness {
			c.excuse(late)
		}
		wait := c.attend()
		if late := c.lapse(); late > 0 && (wait == 0 || late < wait) {
			wait = late
		}
		if wait > 0 {
			due = c.now() + wait
			timer.Reset(wait)
		} else {
			due = forever
		}
	}
}

const forever = 1<<63 - 1

// excuse gives the server the time in which it was this process that did not run:
// what the server said may lie unread. It gets no more, or one that is silent would
// never be left by a process that is held up again and again.
func (c *Client) excuse(late time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == nil {
		return
	}
	since, waits := c.link.waitsSince()
	if !waits {
		since = time.Duration(c.link.heard.Load())
	}
	c.link.heard.Store(int64(min(c.now(), since+late)))
	c.link.pingDueAt = min(c.now(), c.link.pingDueAt+late)
}

// whyAway is what went wrong with the servers last, as the end of a text.
func (c *Client) whyAway() (text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, err := range []error{c.lastRefusal, c.lastFailure} {
		if err != nil {
			text += "; " + err.Error()
		}
	}
	return text
}

// prompt makes the keeper look again. The caller may hold mu.
func (c *Client) prompt() {
	select {
	case c.urge <- struct{}{}:
	default:
	}
}

// attend does what is due and returns when the next thing is.
func (c *Client) attend() (wait time.Duration) {
	c.mu.Lock()
	timeout, l, lastAck, session := c.sess.timeout, c.link, c.lastAck, c.sess.id
	if timeout == 0 || l == nil && (session == 0 || lastAck == 0) {
		c.mu.Unlock()
		return 0 // nothing to keep yet; welcomed prompts
	}
	now := c.now()
	wait = timeout
	if l != nil {
		wait = min(wait, c.attendLink(l, now))
	}
	c.mu.Unlock()
	if session == 0 || c.cfg.mode == protocol.HelloGuest {
		return wait
	}
	end := lastAck + timeout
	if now >= end {
		c.end(Expired, fmt.Errorf("%w: no sign of life has reached the cluster for %v%s", ErrSessionExpired, timeout, c.whyAway()))
		return 0
	}
	return min(wait, end-now)
}

// attendLink looks after the connection: a server with others beside it is left
// when it has owed an answer for as long as the client is patient, the only
// one after two thirds of the session's timeout. The caller holds mu.
func (c *Client) attendLink(l *link, now time.Duration) (wait time.Duration) {
	if now >= l.askedAt+membersEvery {
		c.askMembers(l)
	}
	if now >= l.nextPing() {
		l.pingDue, l.pingDueAt = true, now
		c.kick()
	}
	if c.worthScouting(l, now) {
		l.scouted = now
		c.wg.Go(func() { c.scout(l) })
	}
	next := min(l.nextPing(), l.askedAt+membersEvery)
	since, waits := l.waitsSince()
	c.resting = !waits
	most := c.sess.timeout * 2 / 3
	dead := l.deafFrom()
	why := errDeaf
	if waits {
		silent := time.Duration(l.heard.Load()) + most
		if c.pool.hasOther(l.addr) {
			silent = min(silent, since+max(c.patience, c.leastPatience()))
		}
		if silent <= dead {
			dead, why = silent, errSilent
		}
	}
	if now < dead {
		return min(next, dead) - now
	}
	c.loseSilent(l, why)
	return most
}

// deafFrom is when a server is left that has a ping to answer, however much else it
// says: nothing but pongs keeps the session, and a sixth of it is left to attach anew.
func (l *link) deafFrom() time.Duration {
	if l.c.sess.id == 0 || !l.pingDue && l.lastPing == l.lastPong {
		return forever
	}
	timeout := l.c.sess.timeout
	return max(l.c.lastAck+timeout*5/6, l.pingDueAt+timeout/6)
}

// pingEvery is how often a session gives a sign of life. Of those given to a
// follower, the last but one or so is known to have reached the leader, so
// there they come twice as often.
func (l *link) pingEvery() time.Duration {
	if l.contact > 0 || l.lastPong == 0 {
		return l.c.sess.timeout / 6
	}
	return l.c.sess.timeout / 3
}

// nextPing is when the next one is due; one is on its way at a time.
func (l *link) nextPing() time.Duration {
	if l.pingDue || l.lastPing != l.lastPong {
		return forever
	}
	next := l.lastPingAt + l.pingEvery()
	if since, waits := l.waitsSince(); waits {
		next = min(next, since+min(pingAfter, l.c.leastPatience()/2))
	}
	return next
}

// waitsSince tells for how long the server has owed an answer without a byte
// heard of it.
func (l *link) waitsSince() (since time.Duration, waits bool) {
	asked := time.Duration(forever)
	if l.lastPing != l.lastPong {
		asked = l.lastPingAt
	}
	if l.c.sent.len() > 0 {
		asked = min(asked, l.c.sent.front().sentAt)
	}
	return max(asked, time.Duration(l.heard.Load())), asked != forever
}

// loseSilent leaves a server. If that had just welcomed us it may be everybody
// who is slow, so the next one gets more time.
func (c *Client) loseSilent(l *link, why error) {
	l.leave(why)
	c.pool.shun(l.addr, c.now())
	if time.Duration(l.heard.Load())-l.greeted < shortLife {
		c.patience = min(2*max(c.patience, c.leastPatience()), c.sess.timeout*2/3)
	} else {
		c.patience = 0
	}
}

// leastPatience leaves a short session the time to find another server. It waits
// longer for one that has much to take in, and maybe no room for it yet: behind that
// a ping lies unread, and elsewhere it would be no faster.
func (c *Client) leastPatience() time.Duration {
	if c.owed >= muchOwed {
		return silenceMin
	}
	return min(silenceMin, c.sess.timeout/4)
}
