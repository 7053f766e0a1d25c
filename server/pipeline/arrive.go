package pipeline

import (
	"maps"
	"slices"
	"sync"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
)

// OpenParams asks for a new session.
type OpenParams struct {
	PasswordHash  [32]byte // SHA-256 of a password that only this open knows
	TimeoutMs     int64    // negotiated
	MaxEphemerals int64    // 0 = no bound
	Identities    []znode.Identity
}

// AttachParams asks for an existing session. LastZxid is the newest one its
// client has seen.
type AttachParams struct {
	Session      uint64
	PasswordHash [32]byte
	Attempt      uint64 // rises with each try of the client
	Uncounted    bool   // the client does not count its tries: this server does, and the newest connection wins
	TimeoutMs    int64
	Ack          uint64 // lowest unacknowledged xid
	LastZxid     uint64
	Identities   []znode.Identity
}

// Opened is the session as it stands when its lane begins.
type Opened struct {
	Session    uint64
	Generation uint64
	TimeoutMs  int64
	Zxid       uint64
	HighXid    uint64 // a new write needs a higher one
}

// Done is told once, under no lock, how an open or attach ended: on the log's
// goroutine with a lane, or on any with a code and the reason. The lane may have
// been closed again by then.
type Done func(l *Lane, o Opened, code protocol.Code, detail string)

// Cancel gives up an open or attach, since its socket is gone. True means that
// its Done will not be called; false that it has been or is about to be.
type Cancel func() bool

// arrival is an open or attach on its way through the log.
type arrival struct {
	txn       state.Txn
	sink      Sink
	ids       []znode.Identity
	lastZxid  uint64
	done      Done
	uncounted bool // an attach whose attempts are ours to count
}

// pending holds the arrivals. Its lock is a leaf.
type pending struct {
	mu       sync.Mutex
	ticket   uint64
	byTicket map[uint64]*arrival
}

// Open has a session made. Its lane begins at the very transaction that makes
// it. Refusals known at once come through done too, before Open returns.
func (c *Core) Open(p OpenParams, s Sink, done Done) Cancel {
	if code, why := c.refuseOpen(); code != protocol.OK {
		return c.refuseArrival(done, code, why)
	}
	return c.send(&arrival{
		txn:  state.Txn{Kind: state.TxnOpen, PasswordHash: p.PasswordHash, TimeoutMs: p.TimeoutMs, MaxEphemerals: p.MaxEphemerals},
		sink: s, ids: p.Identities, done: done,
	})
}

func (c *Core) refuseOpen() (protocol.Code, string) {
	if why := c.refusal(); why != nil {
		return why.code, why.detail
	}
	c.mu.RLock()
	sessions := c.machine.Sessions().Len()
	c.mu.RUnlock()
	if most := c.cfg.MaxSessions; most > 0 && sessions+c.pending.len() >= most {
		c.counts.sessionsRefused.Add(1)
		return protocol.TooManySessions, "the cluster holds as many sessions as it may"
	}
	return protocol.OK, ""
}

// Attach has a session moved to this connection. Once it is applied here, the
// session's former lane, wherever it is, is fenced.
func (c *Core) Attach(p AttachParams, s Sink, done Done) Cancel {
	a := &arrival{
		txn: state.Txn{
			Kind: state.TxnAttach, Session: p.Session, PasswordHash: p.PasswordHash,
			Attempt: p.Attempt, TimeoutMs: p.TimeoutMs, Ack: p.Ack,
		},
		sink: s, ids: p.Identities, lastZxid: p.LastZxid, done: done, uncounted: p.Uncounted,
	}
	if a.uncounted {
		c.View(func(m *state.Machine) { a.txn.Attempt = nextAttempt(m, p.Session) })
	}
	if mutant.On(mutant.AttachAtOnce) {
		return c.attachAtOnce(a)
	}
	return c.send(a)
}

// Guest makes a lane without a session; a nil lane means that the server has
// no room for it now.
func (c *Core) Guest(s Sink, ids []znode.Identity) *Lane { return c.guest(s, ids, false) }

// Onlooker makes a guest's lane that may leave watches, for a client that
// knows that they are lost with the connection.
func (c *Core) Onlooker(s Sink, ids []znode.Identity) *Lane { return c.guest(s, ids, true) }

func (c *Core) guest(s Sink, ids []znode.Identity, watching bool) *Lane {
	if c.crowded() {
		c.counts.arrivalsRefused.Add(1)
		return nil
	}
	l := newLane(c, s, 0, 0, 0, ids)
	l.watching = watching
	c.mu.Lock()
	c.guests[l] = struct{}{}
	c.mu.Unlock()
	return l
}

func (c *Core) send(a *arrival) Cancel {
	var txn *state.Txn
	if !c.crowded() {
		txn = c.pending.add(a, c.cfg.Origin)
	}
	if txn == nil {
		c.counts.arrivalsRefused.Add(1)
		return c.refuseArrival(a.done, protocol.Throttled, "too many requests wait in this server")
	}
	c.log.Append(txn)
	return func() bool { return c.pending.cancel(a) }
}

// nextAttempt is one above the newest attempt of a session that is known here.
func nextAttempt(m *state.Machine, session uint64) uint64 {
	if r, ok := m.Sessions().Get(session); ok {
		return r.Attempt + 1
	}
	return 1
}

func (c *Core) refuseArrival(done Done, code protocol.Code, detail string) Cancel {
	done(nil, Opened{}, code, detail)
	return func() bool { return false }
}

// arrive is called when an open or attach has been applied, ours or another's.
// The lane begins here, under the lock: what is applied next is its to tell.
func (c *Core) arrive(t *state.Txn) {
	out := &c.out
	moved := out.Verdict == state.Applied && out.Answer.Code == protocol.OK
	if moved {
		if c.cfg.Observer != nil {
			c.cfg.Observer.SessionOpened(out.Session, out.Generation, out.TimeoutMs)
		}
		if old := c.lanes[out.Session]; old != nil && old.generation < out.Generation && !mutant.On(mutant.NoFence) {
			c.counts.fencedLanes.Add(1)
			c.end(old, protocol.SessionMoved, "the session is used by a newer connection")
		}
	}
	if t.Origin != c.cfg.Origin {
		return
	}
	if out.Answer.Code == protocol.SessionMoved || out.Answer.Code == protocol.OK && !moved {
		if c.pending.renew(t.Ticket, nextAttempt(c.machine, t.Session), &c.later) {
			return
		}
	}
	a := c.pending.remove(t.Ticket)
	switch {
	case a == nil: // given up, or a second copy
	case out.Answer.Code != protocol.OK:
		c.later.answer(a, out.Answer.Code, detailOf(out))
	case !moved:
		// Another connection used the same attempt, and may have written
		// under its generation. Two lanes of one generation would take each
		// other's answers.
		c.later.answer(a, protocol.SessionMoved, "this attempt number was used before")
	case a.lastZxid > c.machine.Zxid():
		c.later.answer(a, protocol.NotReady, "this cluster has not reached what the client has seen")
	default:
		c.begin(a, out)
	}
}

// begin makes the lane of an arrival that was applied.
func (c *Core) begin(a *arrival, out *state.Outcome) {
	l := newLane(c, a.sink, out.Session, out.Generation, out.TimeoutMs, a.ids)
	c.lanes[l.session] = l
	o := Opened{out.Session, out.Generation, out.TimeoutMs, c.machine.Zxid(), 0}
	if r, alive := c.machine.Sessions().Get(out.Session); alive {
		o.HighXid = highXid(r)
	}
	c.later.answers = append(c.later.answers, func() { a.done(l, o, protocol.OK, "") })
}

// highXid is the highest xid that a new write must not have: of a write that has
// run, or one whose outcome was acknowledged beforehand and would not be kept.
func highXid(r *session.Record) uint64 { return max(r.HighXid, max(r.Ack, 1)-1) }

// attachAtOnce is what Attach must not be.
func (c *Core) attachAtOnce(a *arrival) Cancel {
	c.mu.Lock()
	r, ok := c.machine.Sessions().Get(a.txn.Session)
	if !ok {
		c.mu.Unlock()
		return c.send(a)
	}
	l := newLane(c, a.sink, r.ID, r.Generation+1, r.TimeoutMs, a.ids)
	c.lanes[r.ID] = l
	o := Opened{r.ID, l.generation, r.TimeoutMs, c.machine.Zxid(), highXid(r)}
	c.mu.Unlock()
	a.txn.Origin = c.cfg.Origin
	c.log.Append(&a.txn)
	a.done(l, o, protocol.OK, "")
	return func() bool { return false }
}

func detailOf(out *state.Outcome) string {
	if out.Cause != "" {
		return out.Cause
	}
	if out.Answer.More != nil {
		return out.Answer.More.Detail
	}
	return ""
}

func (l *later) answer(a *arrival, code protocol.Code, detail string) {
	l.answers = append(l.answers, func() { a.done(nil, Opened{}, code, detail) })
}

func (l *later) answerAll(all []*arrival, code protocol.Code, detail string) {
	for _, a := range all {
		l.answer(a, code, detail)
	}
}

// add gives the arrival its ticket and returns a copy of its transaction, which
// may be done before it is sent; none means that there are too many.
func (p *pending) add(a *arrival, origin uint64) *state.Txn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.byTicket) >= maxPending {
		return nil
	}
	a.txn.Origin = origin
	p.number(a)
	txn := a.txn
	return &txn
}

func (p *pending) number(a *arrival) {
	p.ticket++
	a.txn.Ticket = p.ticket
	p.byTicket[p.ticket] = a
}

// renew has an attach sent again under another attempt, if its attempts are
// ours to count: this server had not applied the attempts of others when it
// counted the last.
func (p *pending) renew(ticket, attempt uint64, l *later) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.byTicket[ticket]
	if a == nil || !a.uncounted {
		return false
	}
	delete(p.byTicket, ticket)
	a.txn.Attempt = attempt
	p.number(a)
	l.attaches = append(l.attaches, a.txn)
	return true
}

// cancel takes an arrival out unless it has been answered.
func (p *pending) cancel(a *arrival) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byTicket[a.txn.Ticket] != a {
		return false
	}
	delete(p.byTicket, a.txn.Ticket)
	return true
}

func (p *pending) remove(ticket uint64) *arrival {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.byTicket[ticket]
	delete(p.byTicket, ticket)
	return a
}

// all lists the transactions of the arrivals in the order in which they came.
func (p *pending) all() []state.Txn {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]state.Txn, 0, len(p.byTicket))
	for _, a := range p.sorted() {
		all = append(all, a.txn)
	}
	return all
}

func (p *pending) takeAll() []*arrival {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.sorted()
	clear(p.byTicket)
	return all
}

func (p *pending) sorted() []*arrival {
	all := make([]*arrival, 0, len(p.byTicket))
	for _, ticket := range slices.Sorted(maps.Keys(p.byTicket)) {
		all = append(all, p.byTicket[ticket])
	}
	return all
}

func (p *pending) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.byTicket)
}
