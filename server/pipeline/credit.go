package pipeline

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/lycaon-io/lycaon/protocol"
)

// credit is what all lanes together may still hold, in bytes.
type credit struct {
	used     atomic.Int64
	starving atomic.Bool  // lanes is not empty
	aside    atomic.Int32 // lanes whose readers wait beside them

	mu    sync.Mutex
	lanes []*Lane // whose readers wait for the server's credit
}

func (c *credit) give(n int64) { c.used.Add(-n) }

// anyone tells whether anything waits in a lane, each slot of which takes some credit,
// for the server's credit, or beside its lane.
func (c *credit) anyone() bool {
	return c.used.Load() != 0 || c.starving.Load() || c.aside.Load() != 0
}

// take takes n bytes of the lane's and the server's credit. A request too
// large for either is let through alone, so that it can be answered at all.
// The caller holds l.mu.
func (l *Lane) take(n int64) bool {
	cfg, c := &l.core.cfg, &l.core.credit
	if l.queue.len() > 0 && (l.queue.len() >= cfg.MaxLaneRequests || l.bytes+n > cfg.MaxLaneBytes) {
		l.starving = true
		l.core.counts.laneFull.Add(1)
		return false
	}
	if used := c.used.Add(n); used > cfg.MaxLanesBytes && used != n {
		c.used.Add(-n)
		l.core.counts.serverFull.Add(1)
		l.core.starve(l, n)
		return false
	}
	return true
}

// fed wakes the lane's reader once a quarter of its credit is back: waking it
// for each slot would have it run for one request at a time. The caller holds
// l.mu.
func (l *Lane) fed() {
	cfg := &l.core.cfg
	if l.starving && l.queue.len() <= cfg.MaxLaneRequests*3/4 && l.bytes <= cfg.MaxLaneBytes*3/4 {
		l.starving = false
		l.wakeReader()
	}
}

func (l *Lane) wakeReader() {
	select {
	case l.ready <- struct{}{}:
	default: // it is awake already
	}
}

func (l *Lane) awaitCredit() { <-l.ready }

// starve notes that l waits for n bytes of the server's credit. What was given
// back between the refusal and the note wakes it at once.
func (c *Core) starve(l *Lane, n int64) {
	l.need.Store(n)
	if l.starved.CompareAndSwap(false, true) {
		c.credit.mu.Lock()
		c.credit.lanes = append(c.credit.lanes, l)
		c.credit.starving.Store(true)
		c.credit.mu.Unlock()
	}
	if c.fits(n) {
		c.wakeStarving()
	}
}

// fits tells whether n bytes more can be taken now.
func (c *Core) fits(n int64) bool {
	used := c.credit.used.Load()
	return used == 0 || used+n <= c.cfg.MaxLanesBytes
}

// crowded tells whether the lanes hold more than seven eighths of their
// credit: then new connections are refused.
func (c *Core) crowded() bool {
	return c.credit.used.Load() > c.cfg.MaxLanesBytes/8*7
}

// wakeStarving has the readers try again whose requests would fit now. Each by
// itself: who does not get what it tried for is back in the list. It is called
// wherever credit was given back.
func (c *Core) wakeStarving() {
	if !c.credit.starving.Load() {
		return
	}
	c.credit.mu.Lock()
	defer c.credit.mu.Unlock()
	c.credit.lanes = slices.DeleteFunc(c.credit.lanes, func(l *Lane) bool {
		if !c.fits(l.need.Load()) {
			return false
		}
		l.starved.Store(false)
		l.wakeReader()
		return true
	})
	c.credit.starving.Store(len(c.credit.lanes) > 0)
}

// refuse returns the answer to a write that is not to be tried: of a guest, or
// while writes are refused here. One whose xid was seen already may have run,
// so only the log can answer it: after an attach no write of an earlier
// connection can still be applied, and the xids of this one rise.
func (l *Lane) refuse(r *protocol.Request) *protocol.Message {
	if l.session == 0 {
		return refused(r, protocol.NotReadOnly, "this connection has no session")
	}
	why := l.core.refusal()
	if why == nil || r.Op == protocol.OpCloseSession || !r.Unkept && l.mayHaveRun(r.Xid) {
		return nil
	}
	l.core.counts.writesRefused.Add(1)
	return refused(r, why.code, why.detail)
}

func (l *Lane) mayHaveRun(xid uint64) bool {
	c := l.core
	c.mu.RLock()
	defer c.mu.RUnlock()
	record, ok := c.machine.Sessions().Get(l.session)
	return !ok || xid != 0 && xid <= record.HighXid
}

func refused(r *protocol.Request, code protocol.Code, detail string) *protocol.Message {
	m := &protocol.Message{Op: r.Op, Xid: r.Xid}
	fail(m, code, detail)
	return m
}

// fail turns m into an error.
func fail(m *protocol.Message, code protocol.Code, detail string) {
	m.Code = code
	m.More = &protocol.More{Detail: detail}
}
