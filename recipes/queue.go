package recipes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/client"
)

// Queue hands each item to one taker at a time until one acknowledges it. A taker
// that dies, or loses its session, gives back what it had; an item that was
// acknowledged never comes again. Its nodes are those of kazoo's LockingQueue.
type Queue struct {
	c       Client
	conf    config
	path    string
	entries string
	taken   string
	takers  line
}

// DefaultPriority is kazoo's.
const DefaultPriority = 100

// MaxPriority is the last of all: it has three digits in the name of an item.
const MaxPriority = 999

// NewQueue makes nothing in the tree before it is used.
func NewQueue(c Client, path string, opts ...Option) *Queue {
	conf := newConfig(opts)
	takers := line{c, conf, join(path, "takers"), []string{lockKind}}
	return &Queue{c, conf, path, join(path, "entries"), join(path, "taken"), takers}
}

// PutOption shapes a Put.
type PutOption func(*put)

type put struct {
	priority int
	delay    time.Duration
}

// Priority is from 0, first of all, to MaxPriority. Items of one priority come in
// the order in which they were put.
func Priority(p int) PutOption { return func(o *put) { o.priority = p } }

// Delay keeps an item back for so long, by the wall clocks of the putting program
// and of the taking one. If that one's is set forward while it waits, or its machine
// sleeps, the item may come later.
func Delay(d time.Duration) PutOption { return func(o *put) { o.delay = d } }

// Put adds an item. It is there once, or not at all if there is an error that has no
// client.Error with Maybe.
func (q *Queue) Put(ctx context.Context, data []byte, opts ...PutOption) error {
	o := put{priority: DefaultPriority}
	for _, f := range opts {
		f(&o)
	}
	if o.priority < 0 || o.priority > MaxPriority {
		return wrap("put", q.path, fmt.Errorf("%w: priority %d is not from 0 to %d", client.ErrBadArguments, o.priority, MaxPriority))
	}
	name := fmt.Sprintf("entry-%03d-", o.priority)
	if o.delay > 0 {
		name += fmt.Sprintf("t%d-", time.Now().Add(o.delay).UnixMilli())
	}
	err := q.conf.inDir(ctx, q.c, q.entries, func() error {
		_, err := q.c.Create(ctx, join(q.entries, name), notNull(data), q.conf.create(client.Sequential())...)
		return err
	})
	return wrap("put", q.path, err)
}

// entry is the name of an item.
type entry struct {
	name     string
	priority int
	readyMs  int64 // 0 is at once
	number   uint64
}

// parseEntry reads entry-PPP-NNNNNNNNNN and entry-PPP-tMS-NNNNNNNNNN. Whatever is no
// such name is no item.
func parseEntry(name string) (e entry, ok bool) {
	parts := strings.Split(name, "-")
	if len(parts) < 3 || len(parts) > 4 || parts[0] != "entry" {
		return entry{}, false
	}
	number, ok := parseNumber(parts[len(parts)-1])
	if !ok {
		return entry{}, false
	}
	e = entry{name: name, number: number}
	p, err := strconv.ParseUint(parts[1], 10, 16)
	e.priority = int(p)
	if err == nil && len(parts) == 4 {
		ms, delayed := strings.CutPrefix(parts[2], "t")
		if !delayed {
			return entry{}, false
		}
		e.readyMs, err = strconv.ParseInt(ms, 10, 64)
	}
	return e, err == nil
}

func byTurn(a, b entry) int {
	return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.number, b.number), strings.Compare(a.name, b.name))
}

// Item is what Take took.
type Item struct {
	Data   []byte
	q      *Queue
	held   *Held
	entry  client.Guard  // an item that is put after this one was deleted may have its path
	acking chan struct{} // of one place, taken by the Ack that is under way
	tried  bool          // by an Ack before; of who has that place
	nacked atomic.Bool
}

// Context is for the work on the item: guarded, and cancelled when the item is lost
// to another taker, acknowledged or given back.
func (i *Item) Context() context.Context { return i.held.Context() }

// Guard is that of the claim.
func (i *Item) Guard() client.Guard { return i.held.Guard() }

// Take waits for an item, as long as ctx and the session last. Those who wait are
// served in their order; one who comes when there is an item may be before them.
func (q *Queue) Take(ctx context.Context) (*Item, error) {
	ctx = patient{ctx}
	i, _, err := q.claimOne(ctx)
	if i == nil && err == nil {
		i, err = q.waitInLine(ctx)
	}
	return i, wrap("take", q.path, err)
}

// ErrEmpty: there is no item that may be taken.
var ErrEmpty = errors.New("no item in the queue")

// TryTake returns ErrEmpty where Take would wait.
func (q *Queue) TryTake(ctx context.Context) (*Item, error) {
	i, _, err := q.claimOne(ctx, client.Linearizable())
	if i == nil && err == nil {
		err = ErrEmpty
	}
	return i, wrap("try take", q.path, err)
}

// waitInLine lets one at a time watch the queue, so that an item wakes one.
func (q *Queue) waitInLine(ctx context.Context) (*Item, error) {
	gate, err := q.takers.acquire(ctx, lockKind, nil, behindAll)
	if err != nil {
		return nil, err
	}
	defer gate.Release(ctx)
	ctx, cancel := either(ctx, gate.ctx)
	defer cancel()
	w, err := q.c.Watch(ctx, q.path, client.Subtree())
	if err != nil {
		return nil, err
	}
	defer w.Close()
	for {
		i, ready, err := q.claimOne(ctx)
		if i != nil || err != nil {
			return i, err
		}
		if err := q.news(ctx, w, ready); err != nil {
			return nil, err
		}
	}
}

// news returns when an item may have come, or at the time when a delayed one is
// ready, if there is any.
func (q *Queue) news(ctx context.Context, w *client.Watch, ready time.Time) error {
	waiting := ctx
	if !ready.IsZero() {
		var cancel context.CancelFunc
		waiting, cancel = context.WithDeadline(ctx, ready)
		defer cancel()
	}
	for {
		e, err := w.Next(waiting)
		switch {
		case err != nil && waiting.Err() != nil && ctx.Err() == nil:
			return nil
		case err != nil:
			return err
		case e.Type == client.EventCreated && strings.HasPrefix(e.Path, q.entries+"/"),
			e.Type == client.EventDeleted && strings.HasPrefix(e.Path, q.taken+"/"),
			e.Type == client.EventSynced:
			return nil
		}
	}
}

// claimOne takes the first item that nobody has. If there is none it returns when
// the next delayed one is ready.
func (q *Queue) claimOne(ctx context.Context, opts ...client.ListOption) (*Item, time.Time, error) {
	free, err := q.free(ctx, opts...)
	if err != nil {
		return nil, time.Time{}, err
	}
	var next int64
	now := time.Now().UnixMilli()
	for _, e := range free {
		if e.readyMs > now {
			if next == 0 || e.readyMs < next {
				next = e.readyMs
			}
			continue
		}
		if i, err := q.claim(ctx, e.name); i != nil || err != nil {
			return i, time.Time{}, err
		}
	}
	if next == 0 {
		return nil, time.Time{}, nil
	}
	return nil, time.UnixMilli(next), nil
}

// QueueEntry is an item that is in the queue.
type QueueEntry struct {
	Name     string // of its node
	Priority int
	Ready    time.Time // when a delayed one may be taken; zero: at once
	Taken    bool      // somebody works on it
}

// List tells what is in the queue, those that are taken too, in the order of
// their turns. It is no older than anything that anybody has been told.
func (q *Queue) List(ctx context.Context) ([]QueueEntry, error) {
	entries, taken, err := q.list(ctx, client.Linearizable())
	if err != nil {
		return nil, wrap("list", q.path, err)
	}
	var all []QueueEntry
	for _, e := range entries {
		item := QueueEntry{Name: e.name, Priority: e.priority, Taken: taken[e.name]}
		if e.readyMs > 0 {
			item.Ready = time.UnixMilli(e.readyMs)
		}
		all = append(all, item)
	}
	return all, nil
}

// free lists the items that nobody has, in the order of their turns.
func (q *Queue) free(ctx context.Context, opts ...client.ListOption) ([]entry, error) {
	entries, taken, err := q.list(ctx, opts...)
	return slices.DeleteFunc(entries, func(e entry) bool { return taken[e.name] }), err
}

func (q *Queue) list(ctx context.Context, opts ...client.ListOption) (entries []entry, taken map[string]bool, err error) {
	names, err := q.c.Children(ctx, q.entries, opts...)
	if err != nil {
		return nil, nil, unlessGone(err)
	}
	claims, err := q.c.Children(ctx, q.taken, opts...)
	if unlessGone(err) != nil {
		return nil, nil, err
	}
	taken = map[string]bool{}
	for _, name := range claims {
		taken[name] = true
	}
	for _, name := range names {
		if e, ok := parseEntry(name); ok {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, byTurn)
	return entries, taken, nil
}

// claim takes one item. It returns none if somebody was faster.
func (q *Queue) claim(ctx context.Context, name string) (*Item, error) {
	id := newUUID()
	a := &attempt{c: q.c, conf: q.conf, dir: q.taken, shared: join(q.taken, name), data: []byte(id)}
	path := join(q.entries, name)
	n, err := a.claim(ctx, func() (*client.Node, error) {
		return q.tryClaim(ctx, a, path)
	})
	switch {
	case errors.Is(err, errTaken):
		return nil, nil
	case err != nil:
		a.discard()
		return nil, err
	}
	held, err := a.stay(ctx, n)
	if err != nil {
		a.discard()
		return nil, err
	}
	entry, err := q.c.Get(ctx, path)
	if err != nil {
		held.stop(err)
		a.discard()
		return nil, unlessGone(err)
	}
	this := client.NewGuard(path, entry.Stat.Czxid)
	return &Item{Data: entry.Data, q: q, held: held, entry: this, acking: make(chan struct{}, 1)}, nil
}

// errTaken: an item is not there any more, or somebody has it.
var errTaken = errors.New("taken by somebody else")

func (q *Queue) tryClaim(ctx context.Context, a *attempt, entry string) (*client.Node, error) {
	res, err := q.c.Multi(ctx,
		client.OpCheck(entry, anyVersion),
		client.OpCreate(a.shared, a.data, q.conf.create(client.Ephemeral())...))
	if err == nil {
		return &res.Nodes[1], nil
	}
	blame, _ := errors.AsType[*client.MultiError](err)
	if errors.Is(err, client.ErrNodeExists) || blame != nil && blame.Index == 0 && errors.Is(err, client.ErrNoNode) {
		return nil, errTaken
	}
	return nil, err
}

// anyVersion is what ZooKeeper has for it too.
const anyVersion = -1

// ErrGivenBack is the ErrLost of an Ack that comes after the taker's own Nack.
var ErrGivenBack = fmt.Errorf("%w: the item was given back by Nack", ErrLost)

// Ack takes the item out of the queue for good, if it is still this taker's. Without
// a deadline it waits for the answer as long as the session lives. ErrLost says that
// somebody else has the item now, or will, or that somebody has deleted it, or that it was
// acknowledged before; but if there is a client.Error with Maybe in it, or was in the error
// of an Ack before, the item may be out of the queue. After a Nack it does nothing and
// returns ErrGivenBack. Of two Acks at once one waits for the other.
func (i *Item) Ack(ctx context.Context) error {
	ctx = patient{bare{ctx}}
	select {
	case i.acking <- struct{}{}:
		defer func() { <-i.acking }()
	case <-ctx.Done():
		return wrap("ack", i.entry.Path(), context.Cause(ctx))
	}
	h := i.held
	settled := h.released.Swap(true)
	if settled && !i.tried && context.Cause(h.ctx) == ErrReleased { // by Nack, and not lost before
		return wrap("ack", i.entry.Path(), ErrGivenBack)
	}
	i.tried = true
	under := client.WithGuard(client.WithGuard(ctx, h.guard), i.entry)
	_, err := i.q.c.Multi(under, client.OpDelete(i.entry.Path()), client.OpDelete(h.guard.Path()))
	switch {
	case err == nil:
		h.stop(ErrReleased)
		return nil
	case errors.Is(err, client.ErrFenced), h.a.c.Session().Context().Err() != nil:
		defer h.a.discard() // if it is the item that is gone, the claim is not
		err = fmt.Errorf("%w: %w", ErrLost, err)
		h.stop(err)
	case !settled:
		h.released.Store(false)
		if i.nacked.Load() { // meanwhile
			h.Release(ctx)
		}
	}
	return wrap("ack", i.entry.Path(), err)
}

// Nack gives the item back: it is the next one of its priority again. While an Ack is under
// way it returns at once, and the item is given back if that fails. It does nothing, and is no
// error, once the item is acknowledged, found lost by an Ack, or given back.
func (i *Item) Nack(ctx context.Context) error {
	i.nacked.Store(true) // before released is asked
	return wrap("nack", i.entry.Path(), i.held.Release(ctx))
}
