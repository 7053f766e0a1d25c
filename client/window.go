package client

// window keeps a client within what its server bears: requests without an
// answer, and answers of writes that the server must keep until the client's
// lowest open xid has passed them. Replies come in order, so the open writes
// are those from the oldest unanswered on.
type window struct {
	writes queue[*call] // sent and unanswered
	cost   int          // of them
}

func (w *window) reset() {
	for w.writes.len() > 0 {
		w.writes.pop()
	}
	w.cost = 0
}

func (w *window) opened(cl *call) {
	w.writes.push(cl)
	w.cost += cl.cost
}

// settled is told of the oldest.
func (w *window) settled(cl *call) {
	if w.writes.len() > 0 && w.writes.front() == cl {
		w.writes.pop()
		w.cost -= cl.cost
	}
}

// takeBack undoes the newest opened.
func (w *window) takeBack() { w.cost -= w.writes.popBack().cost }

// ack is the lowest xid of an open write.
func (w *window) ack() uint64 { return w.writes.front().req.Xid }

// narrowWindow makes the window smaller because a server cut this client off as one
// that does not read: it asked for more at once than an outbox holds. Each
// answer widens it by one again. The caller holds mu.
func (c *Client) narrowWindow() { c.narrow = max(1, c.width()/8) }

func (c *Client) widenWindow() {
	if c.narrow++; c.narrow >= int(c.limits.MaxOutstanding) {
		c.narrow = 0
	}
}

// width is how many requests may be unanswered.
func (c *Client) width() int {
	if c.narrow > 0 {
		return min(c.narrow, int(c.limits.MaxOutstanding))
	}
	return int(c.limits.MaxOutstanding)
}

// sendable tells whether the next pending call may be sent now. The caller
// holds mu.
func (c *Client) sendable() bool {
	if c.pending.len() == 0 {
		return false
	}
	next := c.pending.front()
	switch {
	case c.sent.len() >= c.width():
		return false
	case !next.isWrite() || c.window.writes.len() == 0:
		return true // a lone write is for the server to judge
	}
	return c.window.writes.len() < int(c.limits.MaxOutcomes) &&
		c.window.cost+next.cost <= int(c.limits.MaxOutcomeBytes)
}
