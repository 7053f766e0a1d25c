package client

import (
	"context"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// A server that is cut off from the leader answers pings and keeps the
// connection for a while, since it may well be that no server has a leader. A
// client that waits for an answer looks around meanwhile, without giving up
// what it has.

// worthScouting tells whether the server is out of contact while something
// waits for it, and others are there. The caller holds mu.
func (c *Client) worthScouting(l *link, now time.Duration) bool {
	return l.contact >= contactLimit && !l.down && c.sent.len() > 0 && now-c.sent.front().sentAt >= contactLimit &&
		(l.scouted == 0 || now-l.scouted >= scoutEvery) && c.pool.hasOther(l.addr) && c.ctx.Err() == nil
}

// scout asks the others, as a guest, how long ago they reached the leader, and
// leaves the server if one is much better off.
func (c *Client) scout(from *link) {
	c.mu.Lock()
	servers := c.pool.all()
	c.pool.shuffle(servers, c.now())
	c.mu.Unlock()
	for _, addr := range servers {
		if addr == from.addr {
			continue
		}
		contact, err := c.contactOf(addr)
		if err != nil {
			continue
		}
		c.mu.Lock()
		better := contact < from.contact/2
		if better && c.link == from {
			from.leave(errCutOff)
		}
		c.mu.Unlock()
		if better {
			return
		}
	}
}

func (c *Client) contactOf(addr string) (contact time.Duration, err error) {
	ctx, cancel := context.WithTimeout(c.ctx, welcomePatienceMin)
	defer cancel()
	conn, _, err := c.dialAny(ctx, []string{addr}, func(string) {})
	if err != nil {
		return 0, err
	}
	err = c.within(c.ctx, welcomePatienceMin, conn, func() error {
		l, err := c.greetAside(conn, addr)
		if err != nil {
			return err
		}
		m, err := l.ask(protocol.OpPing, nil)
		if err == nil {
			contact = contactIn(m)
		}
		return err
	})
	conn.Close()
	return contact, err
}
