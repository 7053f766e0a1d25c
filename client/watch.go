package client

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/lycaon-io/lycaon/protocol"
)

// Watch is a cursor over what happens at a path. It survives lost connections
// without losing an event: what was missed is told after the re-attach, or, if
// no server knows it any more, a Gap and the present state. A consumer that
// falls behind gets changes of one node merged into the latest, and in the end
// a Gap, never silence.
//
// Next and All are for one goroutine at a time; the rest for any.
type Watch struct {
	c        *Client
	path     string // as the server knows it
	mode     protocol.WatchMode
	types    uint32
	once     bool
	noResync bool
	snapshot bool
	from     *uint64
	signal   chan struct{} // of one place: the queue or err changed

	closed context.Context // by Close, which calls close
	close  context.CancelFunc

	resync resync // of the consumer

	// Guarded by c.mu.
	queue     queue[Event]
	err       error   // after which nothing comes
	gone      bool    // holds no registration any more
	live      bool    // events are for it
	replaying bool    // what it missed is being told: events come in any order
	early     bool    // or is about to be: what comes before that is told in it again, in its place
	held      []Event // that came so early
	floor     uint64
	newest    uint64             // zxid of the newest event taken, while not replaying
	seen      map[eventKey]tally // events above floor taken already
	gapOpen   bool               // a gap is queued, or being filled
	gapFrom   uint64             // where it began
}

type eventKey struct {
	zxid uint64
	typ  EventType
	path string
}

// tally counts like events of one transaction.
type tally struct {
	told    int // to the watch
	heard   int // in this telling of the transaction
	telling int
	last    EventType
}

// WatchOption shapes a Watch.
type WatchOption interface{ applyWatch(*Watch) }

type watchOption func(*Watch)

func (f watchOption) applyWatch(w *Watch) { f(w) }

// Subtree watches the path and everything below it.
func Subtree() WatchOption {
	return watchOption(func(w *Watch) { w.mode = protocol.WatchRecursive })
}

// Once ends the watch after its first event.
func Once() WatchOption { return watchOption(func(w *Watch) { w.once = true }) }

// Types tells changes of these types only.
func Types(types ...EventType) WatchOption {
	return watchOption(func(w *Watch) {
		w.types = 0
		for _, t := range types {
			w.types |= t.bit()
		}
	})
}

// FromZxid tells what happened after this zxid too: where another watch had
// come to, by its Zxid, maybe in another process.
func FromZxid(zxid uint64) WatchOption { return watchOption(func(w *Watch) { w.from = &zxid }) }

// WithSnapshot begins with the present state: an EventPresent for each node,
// then EventSynced.
func WithSnapshot() WatchOption { return watchOption(func(w *Watch) { w.snapshot = true }) }

// WithoutResync makes a gap an ErrGap from Next, after which the watch goes
// on; reading what was missed is the caller's.
func WithoutResync() WatchOption { return watchOption(func(w *Watch) { w.noResync = true }) }

// Watch watches a node, which need not exist. It is in force when Watch
// returns: of every later change an event comes, and it comes before any read
// of this client that shows the change.
func (c *Client) Watch(ctx context.Context, path string, opts ...WatchOption) (*Watch, error) {
	w := c.newWatch(opts)
	err := w.register(ctx, path)
	if err != nil {
		return nil, opError("watch", path, err)
	}
	return w, nil
}

func (c *Client) newWatch(opts []WatchOption) *Watch {
	w := &Watch{c: c, mode: protocol.WatchPersistent, types: changeTypes, signal: make(chan struct{}, 1)}
	w.closed, w.close = context.WithCancel(context.Background())
	for _, o := range opts {
		o.applyWatch(w)
	}
	return w
}

func (w *Watch) register(ctx context.Context, path string) error {
	cl, err := w.request(path)
	if err != nil {
		return err
	}
	if err := w.c.startWatch(cl); err != nil {
		return err
	}
	if _, err := w.c.wait(ctx, cl); err != nil {
		w.release(err)
		return err
	}
	return nil
}

// request prepares what asks the server for the watch.
func (w *Watch) request(path string) (cl *call, err error) {
	if w.path, err = w.c.cfg.full(path); err != nil {
		return nil, err
	}
	if w.types == 0 || w.types&^modeTypes[w.mode] != 0 && w.types != changeTypes {
		return nil, fmt.Errorf("%w: the watch never tells one of these types", ErrBadArguments)
	}
	if w.from != nil && *w.from > maxZxid {
		return nil, fmt.Errorf("%w: no zxid is above 2^62", ErrBadArguments)
	}
	w.mode = w.chooseMode()
	if w.snapshot {
		w.resync.start(w.path)
	}
	cl = w.c.newCall(protocol.OpWatch)
	cl.watch = w
	cl.req.Watches = []protocol.Watch{{Path: w.path, Mode: w.mode}}
	if w.from != nil {
		w.floor = *w.from
		cl.req.Op = protocol.OpResume
		cl.req.Watches[0].Since = w.floor
		cl.replay = &replay{[]*Watch{w}}
	}
	return cl, nil
}

// chooseMode lets the server's one-shot watches serve where one of them tells
// just what is asked for; else the client ends a staying one itself.
func (w *Watch) chooseMode() protocol.WatchMode {
	if !w.once || w.mode == protocol.WatchRecursive || w.from != nil {
		return w.mode
	}
	for _, mode := range [...]protocol.WatchMode{protocol.WatchExists, protocol.WatchChildren} {
		if w.types == modeTypes[mode] {
			return mode
		}
	}
	return w.mode
}

// Next returns the next event, waiting for it. After Close it returns
// ErrClosed, after the event of a Once watch too; after the loss of the
// session its cause. An error of the context leaves the watch as it is.
func (w *Watch) Next(ctx context.Context) (Event, error) {
	for {
		if w.resync.active && w.closed.Err() == nil {
			return w.resync.next(ctx, w)
		}
		e, ok, err := w.take()
		switch {
		case err != nil:
			return Event{}, w.ending(err)
		case ok && e.Type == EventGap && w.noResync:
			return Event{}, &Error{Op: "watch", Path: e.Path, Err: ErrGap, Zxid: e.Zxid}
		case ok && e.Type == EventGap:
			w.resync.start(w.path)
			return e, nil
		case ok:
			return e, nil
		}
		select {
		case <-w.signal:
		case <-ctx.Done():
			return Event{}, &Error{Op: "watch", Path: w.c.cfg.local(w.path), Err: context.Cause(ctx)}
		}
	}
}

func (w *Watch) take() (e Event, ok bool, err error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if w.queue.len() == 0 {
		return Event{}, false, w.err
	}
	e = w.queue.pop()
	if e.Type == EventGap && w.noResync {
		w.gapOpen = false
	}
	e.Path = w.c.cfg.local(e.Path)
	return e, true, nil
}

// All yields events until the watch ends. An error is the last thing it
// yields, unless it is an ErrGap; a Close ends it without one.
func (w *Watch) All() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			e, err := w.Next(context.Background())
			if errors.Is(err, ErrClosed) {
				return
			}
			if !yield(e, err) || err != nil && !errors.Is(err, ErrGap) {
				return
			}
		}
	}
}

// ending words why the watch is over. Other watches may have the same error.
func (w *Watch) ending(why error) error {
	e := Error{Err: why}
	if refusal, ok := why.(*Error); ok {
		e = *refusal
	}
	e.Op, e.Path = "watch", w.c.cfg.local(w.path)
	return &e
}

// Zxid is the point up to which every event has been returned by Next: where
// FromZxid goes on without a loss.
func (w *Watch) Zxid() uint64 {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	switch {
	case w.gapOpen:
		return w.gapFrom
	case w.queue.len() > 0:
		return w.queue.front().Zxid - 1
	}
	return w.position()
}

// position is the zxid up to which every event has been taken in. The caller
// holds c.mu.
func (w *Watch) position() uint64 {
	if w.replaying || !w.live {
		return w.floor
	}
	return max(w.floor, w.c.watches.resume)
}

// Close ends the watch. It never fails.
func (w *Watch) Close() error {
	w.close()
	w.release(ErrClosed)
	return nil
}

func (w *Watch) release(err error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.end(err)
	w.c.watches.leave(w.c, w)
}

// end lets Next return err once the queue is empty. The caller holds c.mu.
func (w *Watch) end(err error) {
	if w.err == nil {
		w.err = err
	}
	w.tell()
}

func (w *Watch) tell() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}
