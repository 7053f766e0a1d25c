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

// narrowWindow makes the window smaller because so many requests without an answer
// were too much for the server or the way to it: it cut this client off as one that does
// not read, or had no room for what it would have to keep, or their answers kept a pong
// back. Each answer widens it by one again. The caller holds mu.
func (c *Client) narrowWindow(tooMany int) { c.narrow = max(1, min(c.width(), tooMany)/8) }

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

// sendAgain makes a write pending again that was refused since its session keeps as
// many answers as any may while all together keep many, or over an earlier connection,
// which is only now heard of, when others have run. It did not run, so it gets a
// new xid, behind those that are open; it is sent when they are answered, and then
// acknowledges everything before it. If there is no room for it alone, twice, since
// the first time may have acknowledged something, it is given up: false. The caller
// holds mu.
func (c *Client) sendAgain(cl *call) bool {
	others := cl.req.Xid - cl.req.Arg // requests since the oldest open write
	if !cl.isWrite() || cl.abandoned || c.closing || others == 0 && cl.alone {
		return false
	}
	if others > 0 {
		c.narrowWindow(int(others))
	}
	cl.refused, cl.alone = true, others == 0
	cl.req.Xid, cl.state = 0, callPending
	c.pending.push(cl)
	return true
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
	case next.refused:
		return false
	}
	return c.window.writes.len() < int(c.limits.MaxOutcomes) &&
		c.window.cost+next.cost <= int(c.limits.MaxOutcomeBytes)
}
