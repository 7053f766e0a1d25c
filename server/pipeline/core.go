package pipeline

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/server/watch"
	"github.com/lycaon-io/lycaon/session"
)

// Core is the machine of one server with everything that must change at one
// instant with it: which lane holds which session, the watches, the ring of
// recent effects. A message enters a sink only while mu is held, so nobody is
// told of a state whose events they were not told before.
//
// Apply and Install are called from one goroutine, that of the log; everything
// else from any.
type Core struct {
	cfg     Config
	log     Log
	touches session.Touches

	mu       sync.RWMutex // guards all below, and every lane's fields that say so
	machine  *state.Machine
	watches  *watch.Table // has its own lock on top, for readers under RLock
	ring     *watch.Ring
	marks    marks
	lanes    map[uint64]*Lane // by session: the one whose generation is the newest here
	guests   map[*Lane]struct{}
	applying bool // the lock is held for writing: pushes are gathered in later

	waits   waits
	pending pending
	credit  credit
	refused atomic.Pointer[refusal] // by this server's own state
	halted  atomic.Pointer[refusal] // by the cluster's
	zxid    atomic.Uint64           // of the machine, for those who hold no lock
	kept    atomic.Int64            // memory of the answers its sessions keep, likewise
	limits  atomic.Int64            // quotas that the writes in the lanes may make
	counts  counters

	// Of the applying goroutine alone.
	later later
	txns  [chunkTxns]state.Txn
	out   state.Outcome
}

// New returns a Core with an empty machine. SetLog must be called before the
// first lane is made.
func New(cfg Config) *Core {
	cfg = cfg.withDefaults()
	return &Core{
		cfg:     cfg,
		machine: state.New(),
		watches: watch.NewTable(),
		ring:    watch.NewRing(cfg.RingEffects, cfg.RingBytes),
		lanes:   map[uint64]*Lane{},
		guests:  map[*Lane]struct{}{},
		pending: pending{byTicket: map[uint64]*arrival{}},
	}
}

// SetLog says where transactions go.
func (c *Core) SetLog(log Log) { c.log = log }

// View lets f read the machine while nothing changes. f must be brief and
// call nothing of this package.
func (c *Core) View(f func(*state.Machine)) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	f(c.machine)
}

// Zxid is the newest one applied here.
func (c *Core) Zxid() uint64 { return c.zxid.Load() }

// publish has those who hold no lock see how the machine is now.
func (c *Core) publish() {
	c.zxid.Store(c.machine.Zxid())
	c.kept.Store(int64(c.machine.Sessions().Kept()))
}

// Freeze returns the machine as it is between two entries, in constant time.
func (c *Core) Freeze() *state.Image {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.machine.Freeze()
}

// Install puts a machine read from an image in place of the present one. What
// happened in between is not known here, so every connection is closed, every
// lane and watch dropped, and the ring starts at the image. Opens and attaches
// under way are refused too: whether they ran lies in the image, but that the
// session has not been used since cannot be told from it.
func (c *Core) Install(m *state.Machine) {
	const why = "this server was brought up to date by an image"
	c.mu.Lock()
	if !mutant.On(mutant.KeepOldLanes) {
		for _, l := range c.everyLane() {
			c.end(l, protocol.NotReady, why)
		}
	}
	c.machine = m
	c.publish()
	if !mutant.On(mutant.KeepRingFloor) {
		c.ring.Reset(m.Zxid())
	}
	c.marks.reset(m.Zxid())
	c.waits.drop()
	c.later.answerAll(c.pending.takeAll(), protocol.NotReady, why)
	c.mu.Unlock()
	c.finish()
}

// everyLane lists the lanes in an order that does not depend on chance as far
// as sessions go. The caller holds mu.
func (c *Core) everyLane() []*Lane {
	all := slices.SortedFunc(maps.Values(c.lanes), func(a, b *Lane) int { return cmp.Compare(a.session, b.session) })
	return slices.AppendSeq(all, maps.Keys(c.guests))
}

// refusal is why writes and new sessions are not taken at present.
type refusal struct {
	code   protocol.Code
	detail string
}

// RefuseWrites has every new write and session answered with code until it is
// called with OK. A write that may be in the log already is let through: what
// became of it, only the log can say.
func (c *Core) RefuseWrites(code protocol.Code, detail string) {
	if code == protocol.OK {
		c.refused.Store(nil)
		return
	}
	c.refused.Store(&refusal{code, detail})
}

// HaltWrites is RefuseWrites for what is wrong with the whole cluster: the two
// do not lift each other. An empty detail lifts it.
func (c *Core) HaltWrites(detail string) {
	if detail == "" {
		c.halted.Store(nil)
		return
	}
	c.halted.Store(&refusal{protocol.SystemError, detail})
}

// refusal is why no writes are taken; nil: they are.
func (c *Core) refusal() *refusal {
	if why := c.halted.Load(); why != nil {
		return why
	}
	return c.refused.Load()
}

// Touched returns the sessions that gave a sign of life since the last call:
// those whose client sent something, and those whose requests wait in our
// lanes, for the credit to get there, or beside them, so that nobody expires because we
// are slow.
func (c *Core) Touched() []uint64 {
	if c.credit.anyone() {
		c.touchWaiting()
	}
	return c.touches.Take()
}

func (c *Core) touchWaiting() {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for id, l := range c.lanes {
		if l.depth.Load() > 0 || l.starved.Load() || l.aside.Load() {
			c.touches.Touch(id)
		}
	}
}
