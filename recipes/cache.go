package recipes

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/lycaon-io/lycaon/client"
)

// Cache keeps a node and everything below it in memory, by one watch. While no
// server can be reached, and after the session's end, it keeps what it knew last.
type Cache struct {
	c     Client
	root  string
	watch *client.Watch
	base  context.Context // of the goroutine
	end   context.CancelCauseFunc
	done  sync.WaitGroup

	mu      sync.Mutex // guards all below
	nodes   map[string]*client.Node
	version uint64          // of nodes: counts changes
	filling map[string]bool // what is present, while a state is being told; else nil
	synced  bool
	changed chan struct{} // closed and replaced when something has happened
	ended   error
	hooks   []*func(Change)
	asked   uint64             // calls of drain so far
	drained uint64             // those that are answered
	wake    context.CancelFunc // of the goroutine's wait
}

// Change is a node that came (Old is nil), changed, or went (New is nil).
type Change struct{ Old, New *client.Node }

// NewCache begins to fill a cache, which Close or the end of the session ends.
// The root need not exist. The context bounds this call alone.
func NewCache(ctx context.Context, c Client, root string) (*Cache, error) {
	w, err := c.Watch(ctx, root, client.Subtree(), client.WithSnapshot())
	if err != nil {
		return nil, wrap("cache", root, err)
	}
	k := &Cache{
		c: c, root: root, watch: w, nodes: map[string]*client.Node{},
		filling: map[string]bool{}, changed: make(chan struct{}), wake: func() {},
	}
	k.base, k.end = context.WithCancelCause(c.Session().Context())
	k.base = patient{k.base}
	k.done.Go(k.run)
	return k, nil
}

// Close ends the cache. What it has can be read still.
func (k *Cache) Close() {
	k.end(client.ErrClosed)
	k.done.Wait()
}

// Get returns a node, nil if there is none. It must not be changed. Of its Stat
// the numbers about children may be old: changes of theirs are told as such.
func (k *Cache) Get(path string) *client.Node {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.nodes[path]
}

// List returns the nodes at and below path, sorted by path.
func (k *Cache) List(path string) []*client.Node {
	below := join(path, "")
	return k.pick(func(p string) bool { return p == path || strings.HasPrefix(p, below) })
}

// Children returns the nodes one below path, sorted by path.
func (k *Cache) Children(path string) []*client.Node {
	below := join(path, "")
	return k.pick(func(p string) bool {
		return len(p) > len(below) && strings.HasPrefix(p, below) && !strings.Contains(p[len(below):], "/")
	})
}

func (k *Cache) pick(want func(path string) bool) []*client.Node {
	k.mu.Lock()
	defer k.mu.Unlock()
	var nodes []*client.Node
	for path, n := range k.nodes {
		if want(path) {
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, func(a, b *client.Node) int { return cmp.Compare(a.Path, b.Path) })
	return nodes
}

// OnChange calls f for each change from now on, in order and after it can be read,
// until stop is called; a call that is due by then may come still. The calls come from
// the cache's own goroutine, which waits for them; f must not call Close or wait for the cache.
func (k *Cache) OnChange(f func(Change)) (stop func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	hook := &f
	k.hooks = append(k.hooks, hook)
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.hooks = slices.DeleteFunc(slices.Clone(k.hooks), func(h *func(Change)) bool { return h == hook })
	}
}

// WaitSynced returns when the state has been read once. A cache that ended before
// that returns why.
func (k *Cache) WaitSynced(ctx context.Context) error {
	return wrap("wait synced", k.root, k.await(ctx, func() bool { return k.synced }))
}

// WaitZxid returns when the cache shows everything up to zxid: that of a write,
// say, which is to be read here.
func (k *Cache) WaitZxid(ctx context.Context, zxid uint64) error {
	// Events come before the answer of a read that shows what they tell.
	_, err := k.c.Get(patient{ctx}, k.root, client.AtLeast(zxid))
	if err == nil || errors.Is(err, client.ErrNoNode) {
		err = k.drain(ctx)
	}
	return wrap("wait zxid", k.root, err)
}

// drain returns when all events have been taken in that are there now.
func (k *Cache) drain(ctx context.Context) error {
	k.mu.Lock()
	k.asked++
	own := k.asked
	k.wake()
	k.mu.Unlock()
	return k.await(ctx, func() bool { return k.drained >= own && k.synced })
}

// Err says why the cache has ended, nil while it has not.
func (k *Cache) Err() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ended
}

// await returns when cond, which is called under mu, holds.
func (k *Cache) await(ctx context.Context, cond func() bool) error {
	for {
		k.mu.Lock()
		ok, ended, changed := cond(), k.ended, k.changed
		k.mu.Unlock()
		if ok {
			return nil
		}
		if ended != nil {
			return ended
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// follow calls f when the cache is filled and after changes, until f has had
// enough, or ctx or the cache ends.
func (k *Cache) follow(ctx context.Context, f func() bool) error {
	var seen uint64
	for told := false; ; told = true {
		err := k.await(ctx, func() bool {
			fresh := k.synced && k.filling == nil && (!told || seen != k.version)
			if fresh {
				seen = k.version
			}
			return fresh
		})
		if err != nil {
			return err
		}
		if !f() {
			return nil
		}
	}
}

func (k *Cache) run() {
	defer k.watch.Close()
	for {
		ctx, upto := k.nextWait()
		e, err := k.watch.Next(ctx)
		switch {
		case err == nil:
			k.apply(e)
		case ctx.Err() != nil && k.base.Err() == nil:
			k.tell(func() { k.drained = max(k.drained, upto) })
			continue
		}
		if cause := context.Cause(k.base); cause != nil {
			err = cause
		}
		if err != nil {
			k.end(err)
			k.tell(func() { k.ended = err })
			return
		}
	}
}

// nextWait is the context to wait for an event with, and how many calls of drain
// are answered if there is none: a watch returns what it has before it looks at the
// context, except while it reads a state.
func (k *Cache) nextWait() (ctx context.Context, upto uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.filling != nil {
		return k.base, 0
	}
	k.wake()
	ctx, k.wake = context.WithCancel(k.base)
	if k.asked > k.drained {
		k.wake()
	}
	return ctx, k.asked
}

// tell does something that those who wait may wait for.
func (k *Cache) tell(do func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	do()
	close(k.changed)
	k.changed = make(chan struct{})
}

func (k *Cache) apply(e client.Event) {
	old := k.Get(e.Path)
	switch e.Type {
	case client.EventGap:
		k.tell(func() { k.filling = map[string]bool{} })
	case client.EventPresent:
		k.mu.Lock()
		k.filling[e.Path] = true
		k.mu.Unlock()
		if old == nil || old.Stat.Mzxid != e.Stat.Mzxid {
			k.fetch(e.Path)
		}
	case client.EventSynced:
		k.prune()
	case client.EventCreated, client.EventChanged:
		if old == nil || old.Zxid < e.Zxid {
			k.fetch(e.Path)
		}
	case client.EventDeleted:
		if old != nil && old.Zxid < e.Zxid {
			k.put(e.Path, nil)
		}
	}
}

// fetch reads a node. What may not be read is as if it were not there. Any other
// error is of the end of the cache: the read waits as long as the session lives.
func (k *Cache) fetch(path string) {
	n, err := k.c.Get(k.base, path)
	if err == nil || errors.Is(err, client.ErrNoNode) || errors.Is(err, client.ErrNoAuth) {
		k.put(path, n)
		return
	}
	if k.base.Err() == nil {
		k.end(err)
	}
}

// put takes a change in and tells it.
func (k *Cache) put(path string, n *client.Node) {
	var change Change
	var hooks []*func(Change)
	k.tell(func() {
		change = Change{k.nodes[path], n}
		if n == nil {
			delete(k.nodes, path)
		} else {
			k.nodes[path] = n
		}
		if change != (Change{}) {
			k.version++
			hooks = k.hooks
		}
	})
	for _, f := range hooks {
		(*f)(change)
	}
}

// prune drops what was not told as present.
func (k *Cache) prune() {
	k.mu.Lock()
	var absent []string
	for path := range k.nodes {
		if !k.filling[path] {
			absent = append(absent, path)
		}
	}
	k.mu.Unlock()
	slices.Sort(absent)
	for _, path := range absent {
		k.put(path, nil)
	}
	k.tell(func() { k.filling, k.synced = nil, true })
}
