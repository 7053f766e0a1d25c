package pipeline

import (
	"slices"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

const (
	lostLeader = "this server has lost the leader"

	// guestPatience stands for the session timeout that a guest has not.
	guestPatience = 3 * time.Second
	cutLanes      = 256 // closed under one hold of the lock
)

// CutOff is told for how long nothing of this server has reached the leader, and
// closes each connection for which that is two thirds of its session's timeout:
// the client gets to a server in contact before its session expires. A guest
// goes only if it waits for something. It returns how many were closed, and may
// be called from any goroutine.
func (c *Core) CutOff(silence time.Duration) int {
	c.mu.RLock()
	due := slices.DeleteFunc(c.everyLane(), func(l *Lane) bool { return !l.dueAfter(silence) })
	c.mu.RUnlock()
	closed := 0
	for some := range slices.Chunk(due, cutLanes) {
		c.mu.Lock()
		closed += c.close(some, protocol.NotReady, lostLeader)
		c.waits.forgetClosed()
		c.mu.Unlock()
		c.closed(some)
	}
	c.counts.cutOff.Add(uint64(closed))
	return closed
}

func (l *Lane) dueAfter(silence time.Duration) bool {
	patience := l.timeout
	if l.session == 0 {
		if l.depth.Load() == 0 {
			return false
		}
		patience = guestPatience
	}
	return silence >= patience*2/3
}

// CloseAll closes every connection and refuses every open and attach under
// way: what this server says is not to be believed any more, or it is to begin
// anew. What waited for the log is forgotten with its connection; what is in
// the log already runs, and the client learns its outcome by xid elsewhere. It
// may be called from any goroutine.
func (c *Core) CloseAll(code protocol.Code, detail string) {
	c.mu.Lock()
	lanes := c.everyLane()
	c.close(lanes, code, detail)
	c.waits.drop()
	arrivals := c.pending.takeAll()
	c.mu.Unlock()
	for _, a := range arrivals {
		a.done(nil, Opened{}, code, detail)
	}
	c.closed(lanes)
}

// close is end for those who are not the applying goroutine, and closed is
// what it leaves to be done without the lock.
func (c *Core) close(lanes []*Lane, code protocol.Code, detail string) (closed int) {
	for _, l := range lanes {
		if c.drop(l) {
			l.sink.Close(code, detail)
			closed++
		}
	}
	return closed
}

func (c *Core) closed(lanes []*Lane) {
	for _, l := range lanes {
		l.sink.Wake()
	}
	c.wakeStarving()
}
