package recipes

import (
	"context"
	"fmt"
	"strings"

	"github.com/lycaon-io/lycaon/client"
)

// MaxLeases bounds what one Acquire takes: each lease is a node and a watch.
const MaxLeases = 1000

// Semaphore has a number of leases, of which everybody holds some at a time, in
// the order in which they asked: who wants many is not overtaken by those who
// want few. Everybody must give it the same number. Its nodes are those of
// Curator's InterProcessSemaphoreV2.
type Semaphore struct {
	c      Client
	conf   config
	path   string
	gate   line // who asks; the first alone looks at the leases
	leases string
	n      int64
}

// leaseKind, and the names of the directories below, are Curator's.
const leaseKind = "lease-"

// NewSemaphore makes nothing in the tree before it is used.
func NewSemaphore(c Client, path string, n int64, opts ...Option) *Semaphore {
	conf := newConfig(opts)
	gate := line{c, conf, join(path, "locks"), []string{lockKind}}
	return &Semaphore{c: c, conf: conf, path: path, gate: gate, leases: join(path, "leases"), n: n}
}

// Acquire waits for n leases at once. It waits as long as ctx and the session
// last, and leaves nothing behind in the end if it fails. The leases are one grant: the loss
// of one loses all. The guard is the first lease's, and the token rises with each
// grant.
func (s *Semaphore) Acquire(ctx context.Context, n int64) (*Held, error) {
	h, err := s.acquire(patient{ctx}, n, s.gate.acquire, s.outlast)
	return h, wrap("acquire", s.path, err)
}

// TryAcquire returns ErrLocked if there are not n leases free, or others wait.
func (s *Semaphore) TryAcquire(ctx context.Context, n int64) (*Held, error) {
	enter := func(ctx context.Context, kind string, _ []byte, r rule) (*Held, error) {
		return s.gate.tryAcquire(ctx, kind, r)
	}
	h, err := s.acquire(ctx, n, enter, func(context.Context, *Held, *client.Watch) error { return ErrLocked })
	return h, wrap("try acquire", s.path, err)
}

// Do runs f with n leases, like Mutex.Do.
func (s *Semaphore) Do(ctx context.Context, n int64, f func(ctx context.Context) error) error {
	return do(ctx, func(ctx context.Context) (*Held, error) { return s.Acquire(ctx, n) }, f)
}

func (s *Semaphore) acquire(ctx context.Context, n int64,
	enter func(context.Context, string, []byte, rule) (*Held, error),
	full func(context.Context, *Held, *client.Watch) error,
) (*Held, error) {
	if n < 1 || n > min(s.n, MaxLeases) {
		return nil, fmt.Errorf("%w: %d leases of %d, and at most %d", client.ErrBadArguments, n, s.n, MaxLeases)
	}
	gate, err := enter(ctx, lockKind, nil, behindAll)
	if err != nil {
		return nil, err
	}
	a := newAttempt(s.c, s.conf, s.leases)
	h, err := s.take(ctx, gate, a, n, full)
	if err != nil {
		a.giveUp(ctx, err)
	}
	gate.Release(ctx) // behind our back if it fails; whether it was lost is no matter any more
	return h, err
}

// take makes the leases first and then waits until there are not too many, as
// Curator does: whoever comes after sees them.
func (s *Semaphore) take(ctx context.Context, gate *Held, a *attempt, n int64, full func(context.Context, *Held, *client.Watch) error) (*Held, error) {
	inside, cancel := either(ctx, gate.ctx)
	defer cancel()
	nodes, err := a.createMany(inside, gate, leaseKind, int(n))
	if err != nil {
		return nil, err
	}
	h, err := a.hold(ctx, nodes...)
	if err != nil {
		return nil, err
	}
	if err := s.await(inside, h, full); err != nil {
		h.stop(err)
		return nil, err
	}
	return h, nil
}

// await returns when there are no more leases than may be, the own ones among
// them.
func (s *Semaphore) await(ctx context.Context, h *Held, full func(context.Context, *Held, *client.Watch) error) error {
	ctx, cancel := either(ctx, h.ctx)
	defer cancel()
	w, err := s.c.Watch(ctx, s.leases, client.Types(client.EventChildrenChanged))
	if err != nil {
		return err
	}
	defer w.Close()
	for {
		names, err := s.c.Children(ctx, s.leases)
		if unlessGone(err) != nil {
			return err
		}
		leases, own := s.count(names, h)
		switch {
		case own < len(h.a.made):
			return fmt.Errorf("%w: %w", ErrLost, ErrDeleted)
		case leases <= s.n:
			return nil
		}
		if err := full(ctx, h, w); err != nil {
			return err
		}
	}
}

func (s *Semaphore) count(names []string, h *Held) (leases int64, own int) {
	for _, name := range names {
		if _, ok := parseSpot(name, []string{leaseKind}); ok {
			leases++
		}
		if strings.HasPrefix(name, h.a.id) {
			own++
		}
	}
	return leases, own
}

// outlast returns when the leases are to be counted again.
func (s *Semaphore) outlast(ctx context.Context, _ *Held, w *client.Watch) error {
	for {
		e, err := w.Next(patient{ctx})
		if err != nil || e.Type == client.EventChildrenChanged || e.Type == client.EventSynced {
			return err
		}
	}
}
