package main

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/lycaon-io/lycaon/client"
)

// watchKind is what a watch of the shell looks at, as removewatches names it.
type watchKind string

const (
	watchData       watchKind = "data"
	watchChildren   watchKind = "children"
	watchPersistent watchKind = "persistent"
	watchRecursive  watchKind = "recursive"
)

// options are those of the client for a watch of this kind.
func (k watchKind) options() []client.WatchOption {
	switch k {
	case watchData:
		return []client.WatchOption{client.Once(), client.Types(client.EventCreated, client.EventDeleted, client.EventChanged)}
	case watchChildren:
		return []client.WatchOption{client.Once(), client.Types(client.EventDeleted, client.EventChildrenChanged)}
	case watchRecursive:
		return []client.WatchOption{client.Subtree()}
	}
	return nil
}

// watches are those that the shell waits for behind its prompt: one of a kind
// and path, as in ZooKeeper's client.
type watches struct {
	wg sync.WaitGroup

	mu    sync.Mutex // guards what follows
	all   []*standing
	muted bool // events are not printed
	told  [recentEvents]client.Event
	next  int // the place in told for the next one
}

// recentEvents is how many events back it is known that another watch has told
// one already.
const recentEvents = 64

// standing is one of them.
type standing struct {
	path   string
	kind   watchKind
	cancel context.CancelFunc
}

// stop ends every watch and waits for its goroutine.
func (w *watches) stop() {
	w.remove(func(*standing) bool { return true })
	w.wg.Wait()
}

// remove ends the watches that match and returns them. Events that have come
// are still told.
func (w *watches) remove(match func(*standing) bool) (removed []*standing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = slices.DeleteFunc(w.all, func(s *standing) bool {
		if !match(s) {
			return false
		}
		s.cancel()
		removed = append(removed, s)
		return true
	})
	return removed
}

// start waits in place of an earlier watch of the same kind and path, if there
// is one.
func (w *watches) start(path string, kind watchKind, wait func(context.Context)) {
	w.remove(func(s *standing) bool { return s.path == path && s.kind == kind })
	ctx, cancel := context.WithCancel(context.Background())
	s := &standing{path: path, kind: kind, cancel: cancel}
	w.mu.Lock()
	w.all = append(w.all, s)
	w.mu.Unlock()
	w.wg.Go(func() {
		wait(ctx)
		w.remove(func(other *standing) bool { return other == s })
	})
}

// tells is whether an event is to be printed: once, whichever watch it came to.
func (w *watches) tells(event client.Event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.muted || slices.Contains(w.told[:], event) {
		return false
	}
	w.told[w.next] = event
	w.next = (w.next + 1) % recentEvents
	return true
}

// watching runs a read and, if asked, tells the first event after it: behind
// the shell's prompt, or before a one-shot command ends. The watch is set
// before the read, so that nothing falls between.
func (e *env) watching(ctx context.Context, c *client.Client, watch bool, path string, kind watchKind, read func() error) error {
	if !watch {
		return read()
	}
	w, err := c.Watch(ctx, path, kind.options()...)
	if err != nil {
		return err
	}
	if err := read(); err != nil {
		return errors.Join(err, w.Close())
	}
	if e.shell {
		e.stand(w, path, kind)
		return nil
	}
	defer w.Close()
	return tellEvent(ctx, e.out, w)
}

// stand has the shell tell what comes of a watch, which it closes in the end.
func (e *env) stand(w *client.Watch, path string, kind watchKind) {
	out := e.out.apart() // as this line wants it, whatever later lines want
	e.watches.start(path, kind, func(ctx context.Context) {
		defer w.Close()
		for {
			event, err := w.Next(ctx)
			switch {
			case errors.Is(err, client.ErrClosed), err != nil && ctx.Err() != nil:
				return
			case err == nil && e.watches.tells(event):
				err = out.event(event)
			}
			if err != nil {
				e.tell(describe(err))
				return
			}
		}
	})
}

func tellEvent(ctx context.Context, out printer, w *client.Watch) error {
	event, err := w.Next(ctx)
	if err != nil {
		return err
	}
	return out.event(event)
}

func (p printer) event(event client.Event) error {
	if p.structured() {
		return p.now(map[string]any{"type": event.Type.String(), "path": event.Path, "zxid": event.Zxid})
	}
	if p.compat() {
		return p.zooEvent(event)
	}
	return p.line("WATCH %s", event)
}
