package recipes

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/lycaon-io/lycaon/client"
)

// DoubleBarrier lets a number of sessions begin together and end together.
// Everybody must give it the same number. Its nodes are those of Curator's
// DistributedDoubleBarrier.
type DoubleBarrier struct {
	c    Client
	conf config
	path string
	n    int
}

// readyName is Curator's.
const readyName = "ready"

// NewDoubleBarrier makes nothing in the tree before it is used.
func NewDoubleBarrier(c Client, path string, n int, opts ...Option) *DoubleBarrier {
	return &DoubleBarrier{c, newConfig(opts), path, n}
}

// Entry is one's being inside.
type Entry struct {
	b     *DoubleBarrier
	held  *Held
	name  string
	ready client.Guard // none if it is gone already
}

// Enter waits until n have come, as long as ctx and the session last, and leaves
// no node of one's own behind in the end if it fails. While members of a round are inside still
// it lets in at once who comes beside them.
func (b *DoubleBarrier) Enter(ctx context.Context) (*Entry, error) {
	ctx = patient{ctx}
	name := newUUID()
	a := &attempt{c: b.c, conf: b.conf, dir: b.path, made: []client.Guard{client.NewGuard(join(b.path, name), 0)}}
	e, err := b.enter(ctx, a, name)
	if err != nil {
		a.discard()
		return nil, wrap("enter", b.path, err)
	}
	return e, nil
}

func (b *DoubleBarrier) enter(ctx context.Context, a *attempt, name string) (*Entry, error) {
	w, err := b.c.Watch(ctx, b.ready(), client.Types(client.EventCreated))
	if err != nil {
		return nil, err
	}
	defer w.Close()
	var n *client.Node
	err = b.conf.inDir(ctx, b.c, b.path, func() (err error) {
		n, err = b.c.Create(ctx, join(b.path, name), notNull(nil), b.conf.create(client.Ephemeral())...)
		return err
	})
	if err != nil {
		return nil, err
	}
	h, err := a.hold(ctx, *n)
	if err != nil {
		return nil, err
	}
	e := &Entry{b: b, held: h, name: name}
	if err := e.await(ctx, w); err != nil {
		h.stop(err)
		return nil, err
	}
	return e, nil
}

// await returns when the barrier is ready. Whoever comes last sees all the others
// and makes it so.
func (e *Entry) await(ctx context.Context, w *client.Watch) error {
	ctx, cancel := either(ctx, e.held.ctx)
	defer cancel()
	if err := e.endFormer(ctx); err != nil {
		return err
	}
	inside, err := e.b.inside(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(inside, e.name) { // gone before its watch was set
		return fmt.Errorf("%w: %w", ErrLost, ErrDeleted)
	}
	if len(inside) >= e.b.n {
		// Who has been lost since is of no round, and must not begin one.
		begin := client.OpCreate(e.b.ready(), notNull(nil), e.b.conf.create(client.IfAbsent())...)
		if _, err := e.held.multi(ctx, begin); err != nil {
			return err
		}
	}
	n, err := e.b.c.Get(ctx, e.b.ready())
	if errors.Is(err, client.ErrNoNode) {
		if err := told(ctx, w, e.held.guard.Token()); err != nil {
			return err
		}
		n, err = e.b.c.Get(ctx, e.b.ready())
	}
	if err == nil {
		e.ready = client.NewGuard(n.Path, n.Stat.Czxid)
	}
	return unlessGone(err)
}

// endFormer takes away the sign of a round of which nobody is left: all its members
// died, so that none of them did.
func (e *Entry) endFormer(ctx context.Context) error {
	ready, err := e.b.c.Get(ctx, e.b.ready())
	if err != nil || ready.Stat.Czxid > e.held.guard.Token() {
		return unlessGone(err)
	}
	names, err := e.b.inside(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		n, err := e.b.c.Get(ctx, join(e.b.path, name))
		if unlessGone(err) != nil || err == nil && n.Stat.Czxid < ready.Stat.Czxid {
			return err
		}
	}
	former := Entry{b: e.b, ready: client.NewGuard(ready.Path, ready.Stat.Czxid)}
	return former.unready(ctx)
}

// told returns when a watch for a creation has seen one after zxid. A server that was
// behind when the watch was set tells of former rounds too.
func told(ctx context.Context, w *client.Watch, zxid uint64) error {
	for {
		e, err := w.Next(ctx)
		if err != nil || e.Type == client.EventCreated && e.Zxid > zxid || e.Type == client.EventPresent && e.Stat.Czxid > zxid {
			return err
		}
	}
}

// inside lists who has entered, in Curator's order.
func (b *DoubleBarrier) inside(ctx context.Context) ([]string, error) {
	names, err := b.c.Children(ctx, b.path)
	return slices.DeleteFunc(names, func(name string) bool { return name == readyName }), unlessGone(err)
}

func (b *DoubleBarrier) ready() string { return join(b.path, readyName) }

// Context ends with Leave, or when one's node is lost; the others then count one
// less.
func (e *Entry) Context() context.Context { return e.held.ctx }

// Guard is that of one's own node.
func (e *Entry) Guard() client.Guard { return e.held.guard }

// Leave waits until all have left, as long as ctx and the session last. If it
// fails, one has left all the same. All calls but the first do nothing.
func (e *Entry) Leave(ctx context.Context) error {
	h := e.held
	if h.released.Swap(true) {
		return nil
	}
	h.stop(ErrReleased)
	cause := context.Cause(h.ctx)
	err := h.orOver(e.leave(patient{bare{ctx}}))
	if err != nil {
		h.a.discard()
	}
	if cause != ErrReleased {
		err = cause
	}
	return wrap("leave", e.b.path, err)
}

// leave is ZooKeeper's way: the first by name waits for the last, and all the
// others, once their nodes are deleted, for the first. So one wakes at a time
// until the end, and all of them then.
func (e *Entry) leave(ctx context.Context) error {
	later := map[string]bool{}
	for deleted := false; ; {
		names, err := e.b.inside(ctx)
		if err != nil {
			return err
		}
		names = slices.DeleteFunc(names, func(name string) bool { return later[name] })
		own := slices.Index(names, e.name)
		switch {
		case own < 0 && !deleted:
			return fmt.Errorf("%w: %w", ErrLost, ErrDeleted)
		case len(names) == 0:
			return e.unready(ctx)
		case len(names) == 1 && own == 0:
			if err := e.unready(ctx); err != nil {
				return err
			}
			_, err := e.held.a.remove(ctx)
			return err
		}
		waitFor := names[0]
		if own == 0 {
			waitFor = names[len(names)-1]
		} else if _, err := e.held.a.remove(ctx); err != nil {
			return err
		} else {
			deleted = true
		}
		if later[waitFor], err = e.outlast(ctx, waitFor); err != nil {
			return err
		}
	}
}

// outlast returns when a member has left, or tells that it came after this round
// had begun, for the next one: that one must not be waited for.
func (e *Entry) outlast(ctx context.Context, name string) (later bool, err error) {
	path := join(e.b.path, name)
	w, err := e.b.c.Watch(ctx, path, client.Types(client.EventDeleted))
	if err != nil {
		return false, err
	}
	defer w.Close()
	n, err := e.b.c.Get(ctx, path)
	switch {
	case err != nil:
		return false, unlessGone(err)
	case e.ready != client.Guard{} && n.Stat.Czxid > e.ready.Token():
		return true, nil
	}
	return false, gone(ctx, w, n.Stat.Czxid)
}

// unready deletes the sign of this round, and not that of the next one.
func (e *Entry) unready(ctx context.Context) error {
	if e.ready == (client.Guard{}) {
		return nil
	}
	err := e.b.c.Delete(client.WithGuard(ctx, e.ready), e.ready.Path())
	if errors.Is(err, client.ErrFenced) {
		return nil
	}
	return unlessGone(err)
}
