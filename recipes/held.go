package recipes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/client"
)

var (
	// ErrLost is the cause of a Held's context when the grant is or may be lost.
	// It comes with what was seen of it first: the end of the session, or
	// ErrDeleted, by which a session that the servers ended may show too.
	ErrLost = errors.New("the grant is lost")
	// ErrDeleted: somebody deleted the node of a grant, or of one who waits.
	ErrDeleted = errors.New("its node was deleted by somebody")
	// ErrReleased is the cause of a Held's context after Release.
	ErrReleased = errors.New("released")
	// ErrLocked is what a Try call returns instead of waiting.
	ErrLocked = errors.New("locked by somebody else")
)

// releaseTry bounds how long Do waits for its Release, which goes on behind it.
const releaseTry = 5 * time.Second

// Held is something granted: a lock, a lease, leadership, a place in a group. It
// is there until Release, or until it is lost.
type Held struct {
	a        *attempt
	guard    client.Guard
	ctx      context.Context
	end      context.CancelCauseFunc
	unhook   func() bool
	watchers sync.WaitGroup
	watches  []*client.Watch
	released atomic.Bool // if the nodes go it is our doing
}

// hold begins to look after nodes of an attempt. The first is the guard. Nothing
// but the values of ctx, other guards among them, goes into the Held's context.
func (a *attempt) hold(ctx context.Context, nodes ...client.Node) (*Held, error) {
	h := &Held{a: a, guard: client.NewGuard(nodes[0].Path, nodes[0].Stat.Czxid)}
	h.ctx, h.end = context.WithCancelCause(client.WithGuard(context.WithoutCancel(ctx), h.guard))
	session := a.c.Session().Context()
	h.unhook = context.AfterFunc(session, func() { h.lose(context.Cause(session)) })
	for _, n := range nodes {
		if err := h.watch(ctx, n); err != nil {
			h.stop(err)
			return nil, err
		}
	}
	return h, nil
}

// watch ends the Held when n goes. The caller has yet to see, by a read that
// comes after it, that n is there.
func (h *Held) watch(ctx context.Context, n client.Node) error {
	w, err := h.a.c.Watch(ctx, n.Path, client.Types(client.EventDeleted))
	if err != nil {
		return err
	}
	h.watches = append(h.watches, w)
	h.watchers.Go(func() {
		defer w.Close() // Release may come late, or never
		switch err := gone(h.ctx, w, n.Stat.Czxid); {
		case err != nil:
			h.lose(err) // nobody would tell us any more
		case h.released.Load():
			h.end(ErrReleased)
		default:
			h.lose(ErrDeleted)
		}
	})
	return nil
}

// gone returns when the node that transaction czxid made is deleted, by a watch
// that was set while it was there, or before by a server that was behind: that tells
// of the end of its predecessors too.
func gone(ctx context.Context, w *client.Watch, czxid uint64) error {
	there := true
	for {
		e, err := w.Next(patient{ctx})
		switch {
		case err != nil:
			return err
		case e.Type == client.EventGap:
			there = false
		case e.Type == client.EventPresent:
			there = e.Stat.Czxid == czxid
		case e.Type == client.EventDeleted && e.Zxid > czxid, e.Type == client.EventSynced && !there:
			return nil
		}
	}
}

// lose ends the context if nothing has before.
func (h *Held) lose(cause error) { h.end(fmt.Errorf("%w: %w", ErrLost, cause)) }

// stop ends the context and everything that looks after the grant.
func (h *Held) stop(cause error) {
	h.end(cause)
	h.unhook()
	for _, w := range h.watches {
		w.Close()
	}
	h.watchers.Wait()
}

// Context is for all that is done under the grant. Writes under it are guarded:
// none of them happens once the grant is lost, however late it arrives. It is
// cancelled the moment the grant may be lost, with a cause that is ErrLost, even
// if no server can be reached, and by Release. Only after the process or the machine
// stood still, or if somebody deletes the node, or has the session ended, may the news come when
// the next one holds already. It has the values of the context that the grant was
// asked with, not its deadline.
func (h *Held) Context() context.Context { return h.ctx }

// Guard puts the grant on other writes; its Token is for resources elsewhere,
// which must refuse a lower token than they have seen.
func (h *Held) Guard() client.Guard { return h.guard }

// Release gives the grant back: its context ends first. If no server can be
// asked in time it is given back as soon as one can, behind the caller's back.
// After a loss it takes away what is left, the other leases of one grant say.
// The error is ErrLost if the grant was lost before, so that it was not exclusive
// until now. All calls but the first do nothing.
func (h *Held) Release(ctx context.Context) error {
	h.end(ErrReleased)
	if h.released.Swap(true) {
		return nil
	}
	h.stop(ErrReleased)
	gone, err := h.a.remove(bare{ctx})
	if err != nil {
		h.a.discard()
	}
	switch cause := context.Cause(h.ctx); {
	case cause != ErrReleased:
		return cause
	case gone: // and the news of it had not come yet
		return fmt.Errorf("%w: %w", ErrLost, ErrDeleted)
	}
	return h.orOver(err)
}

// orOver is err, unless it comes of the end of the session: the news of that,
// too, may not have come yet when the grant is given back.
func (h *Held) orOver(err error) error {
	if session := h.a.c.Session().Context(); err != nil && session.Err() != nil {
		return fmt.Errorf("%w: %w", ErrLost, context.Cause(session))
	}
	return err
}

// multi writes under the grant. That it is refused by the guard is the loss of the grant,
// the news of which has not come yet; by one of ctx, which may be there too, it is not.
func (h *Held) multi(ctx context.Context, ops ...client.Op) ([]client.Node, error) {
	res, err := h.a.c.Multi(ctx, append([]client.Op{client.OpGuard(h.guard)}, ops...)...)
	if err == nil {
		return res.Nodes[1:], nil
	}
	blame, ok := errors.AsType[*client.MultiError](err)
	if ok && blame.Index == 0 && errors.Is(err, client.ErrFenced) {
		err = fmt.Errorf("%w: %w", ErrLost, ErrDeleted)
	}
	return nil, err
}

// do gets a grant and runs f under it.
func do(ctx context.Context, get func(context.Context) (*Held, error), f func(context.Context) error) error {
	h, err := get(ctx)
	if err != nil {
		return err
	}
	return errors.Join(h.do(ctx, f))
}

// do runs f under the grant and releases it, also when f panics. What f returned
// may speak of the loss of another grant, what Release did is of this one.
func (h *Held) do(ctx context.Context, f func(context.Context) error) (err, released error) {
	defer func() {
		// The end of ctx, which f was to obey, must not keep the grant.
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTry)
		defer cancel()
		released = h.Release(release)
	}()
	under, cancel := either(client.WithGuard(ctx, h.guard), h.ctx)
	defer cancel()
	return f(under), nil
}
