package replicate

import (
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/session"
)

// duties are what only a leader does: it ends the sessions that are not heard
// of and deletes the nodes whose time has come, both by transactions. While it
// does not lead, nothing happens and nothing is remembered.
//
// The machine calls opened and ended under its lock, so mu is taken under that
// one and never the other way round.
type duties struct {
	log     *slog.Logger
	prop    *proposer
	machine Machine
	origin  time.Time     // of the monotonic times
	every   time.Duration // how often listen is called, unless this server stands still

	mu       sync.Mutex // guards what follows
	leading  bool
	tracker  *session.Tracker
	listened time.Duration              // when listen was called last: nobody is judged by a later time
	lost     time.Duration              // the sum of the times during which this server stood still
	waiting  map[uint64][]chan struct{} // who waits for a session's end

	remote session.Touches // what followers heard, until the next listen

	reaper reaper      // of the leading goroutine
	quotas quotaWarner // likewise
	counts dutyCounts
}

type dutyCounts struct {
	expired, reaped, stalls atomic.Uint64
}

func newDuties(log *slog.Logger, p *proposer, every time.Duration) *duties {
	return &duties{
		log: log, prop: p, origin: time.Now(), every: every,
		tracker: session.NewTracker(), waiting: map[uint64][]chan struct{}{},
	}
}

// now reads the monotonic clock; the wall clock moves no deadline.
func (d *duties) now() time.Duration { return time.Since(d.origin) }

// begin gives every session its full timeout from now, and on top the outage:
// for so long nobody could hear them, and those who waited for a leader come
// back at once, all of them. It wants everything logged before to be applied.
func (d *duties) begin(outage time.Duration) {
	d.machine.View(func(m *state.Machine) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.listened = d.now()
		d.tracker.Reset(d.listened, leases(m.Sessions()), outage)
		d.leading = true
	})
	d.reaper, d.quotas = reaper{}, quotaWarner{}
}

func leases(t *session.Table) iter.Seq[session.Lease] {
	return func(yield func(session.Lease) bool) {
		for r := range t.All() {
			if !yield(session.Lease{ID: r.ID, Generation: r.Generation, Timeout: ms(r.TimeoutMs)}) {
				return
			}
		}
	}
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// pause forgets everything until begin.
func (d *duties) pause() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leading = false
	d.tracker = session.NewTracker()
	d.remote.Take()
}

// SessionOpened is told of every session that opens or moves, in log order.
func (n *Node) SessionOpened(id, generation uint64, timeoutMs int64) {
	d := n.duties
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.leading {
		d.tracker.Add(id, generation, ms(timeoutMs), d.now())
	}
}

// SessionEnded is told of every session that ends, in log order.
func (n *Node) SessionEnded(id uint64) {
	n.prop.forget(id)
	d := n.duties
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tracker.Remove(id)
	for _, waits := range d.waiting[id] {
		close(waits)
	}
	delete(d.waiting, id)
}

// heard takes what a follower has collected. It counts at the next listen,
// which knows first whether this server stood still meanwhile.
func (d *duties) heard(ids []uint64) {
	for _, id := range ids {
		d.remote.Touch(id)
	}
}

// listen collects the signs of life since the last call, here and at the
// followers. When that was too long ago this server stood still and could not
// hear anybody: everybody gets the time back, before those who were heard of
// meanwhile start theirs anew. While another server leads, it is told instead.
func (d *duties) listen() {
	if !d.leads() {
		return
	}
	heard := append(d.remote.Take(), d.machine.Touched()...)
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if late := now - d.listened - d.every; d.leading && late > d.every*2/3 {
		d.stalledLocked(late)
	}
	d.listened = now
	for _, id := range heard {
		d.tracker.Touch(id, now)
	}
}

func (d *duties) stalledLocked(gap time.Duration) {
	d.counts.stalls.Add(1)
	if gap >= stallTold {
		d.log.Warn("this server stood still; sessions and TTL nodes get the time back", "gap", gap)
	}
	d.tracker.Stalled(gap)
	d.lost += gap
}

// expire proposes the end of sessions that are overdue. One that was heard of
// meanwhile still ends, as it was told; one that moved on does not.
func (d *duties) expire() {
	for _, due := range d.due() {
		var timeout time.Duration
		d.machine.View(func(m *state.Machine) {
			if r, ok := m.Sessions().Get(due.ID); ok {
				timeout = ms(r.TimeoutMs)
			}
		})
		if timeout == 0 {
			continue // it ended a moment ago
		}
		cause := fmt.Sprintf("no heartbeat for %s (timeout %s)", timeout, timeout)
		d.log.Debug("session expires", "session", due.ID, "cause", cause)
		d.counts.expired.Add(1)
		d.prop.Append(&state.Txn{Kind: state.TxnExpire, Session: due.ID, Generation: due.Generation, Cause: cause})
	}
}

func (d *duties) due() []session.Due {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.leading {
		return nil
	}
	return d.tracker.Due(d.listened, maxExpiriesPerTick)
}

// tracked is the number of sessions with a deadline here.
func (d *duties) tracked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tracker.Len()
}
