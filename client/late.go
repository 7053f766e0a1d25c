package client

import (
	"context"
	"time"
)

// Calls have no timers of their own: the keeper looks through all that wait, at the
// earliest when the first of them is late.

// lateFor is when a call that begins now has waited for the request timeout, 0 if
// its context bounds it.
func (c *Client) lateFor(ctx context.Context) time.Duration {
	if _, bounded := ctx.Deadline(); bounded || c.cfg.requestTimeout <= 0 {
		return 0
	}
	return c.now() + c.cfg.requestTimeout
}

// timeLimit has the keeper look in time. All calls may take equally long, so none is
// late before those that began earlier. The caller holds mu.
func (c *Client) timeLimit(cl *call) {
	if cl.late > 0 && c.lateAt == 0 {
		c.lateAt = cl.late
		c.prompt()
	}
}

// lapse gives up what has waited for too long, and returns when to look again, 0 if
// nothing waits.
func (c *Client) lapse() (wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.lateAt > now {
		return c.lateAt - now
	}
	if c.lateAt == 0 {
		return 0
	}
	next := time.Duration(forever)
	for _, q := range []*queue[*call]{&c.sent, &c.pending} {
		for i := range q.len() {
			switch cl := q.at(i); {
			case cl.late == 0 || cl.abandoned:
			case cl.late > now:
				next = min(next, cl.late)
			default:
				cl.lapsed = c.giveUp(cl, context.DeadlineExceeded)
				cl.done <- struct{}{}
			}
		}
	}
	c.dropGhosts()
	if c.lateAt = 0; next == forever {
		return 0
	}
	c.lateAt = max(next, now+min(c.cfg.requestTimeout/lateSteps, maxLateStep))
	return c.lateAt - now
}
