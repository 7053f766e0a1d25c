package client

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// resync tells the present state of what a watch sees, node by node, in the
// consumer's calls of Next.
type resync struct {
	active bool
	todo   []string // paths still to be read, as the server knows them
	zxid   uint64   // newest one read
}

func (r *resync) start(path string) { *r = resync{active: true, todo: []string{path}} }

// next returns the next node that is there, then EventSynced. A node that may
// not be read, or that went away, is passed over: as by the watch itself. On
// an error the same node comes next.
func (r *resync) next(ctx context.Context, w *Watch) (Event, error) {
	for len(r.todo) > 0 {
		path := r.todo[len(r.todo)-1]
		reading, done := w.patient(ctx)
		m, names, err := w.look(reading, path)
		done()
		absent := errors.Is(err, ErrNoNode) || errors.Is(err, ErrNoAuth)
		if err != nil && !absent {
			return Event{}, opError("watch", w.c.cfg.local(path), err)
		}
		r.todo = r.todo[:len(r.todo)-1]
		if absent {
			continue
		}
		for _, name := range slices.Backward(names) {
			r.todo = append(r.todo, znode.Join(path, name))
		}
		r.zxid = max(r.zxid, m.Zxid)
		return Event{Type: EventPresent, Path: w.c.cfg.local(path), Zxid: m.Zxid, Stat: m.Stat}, nil
	}
	r.active = false
	w.synced()
	return Event{Type: EventSynced, Path: w.c.cfg.local(w.path), Zxid: r.zxid}, nil
}

// patient lets a read wait for a server as events are waited for: without a deadline as
// long as the session lives, not for the request timeout, until the watch is closed.
func (w *Watch) patient(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(w.closed, func() { end(ErrClosed) })
	return patient{ctx}, func() { unhook(); end(nil) }
}

type patient struct{ context.Context }

func (p patient) Deadline() (time.Time, bool) {
	if at, has := p.Context.Deadline(); has {
		return at, true
	}
	return time.Unix(1<<40, 0), true
}

// look reads one node, and of a subtree the names of its children.
func (w *Watch) look(ctx context.Context, path string) (protocol.Message, []string, error) {
	if w.mode == protocol.WatchRecursive {
		return w.c.listAll(ctx, path, readConfig{}, 0, "")
	}
	cl := w.c.newCall(protocol.OpExists)
	cl.req.Read.Path = path
	m, err := w.c.do(ctx, cl)
	return m, nil, err
}

// synced ends a gap, unless another one is queued already.
func (w *Watch) synced() {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.gapOpen = w.gapOpen && w.lastIsGap()
}
