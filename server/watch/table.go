package watch

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// Watcher is a connection that has watches. It must be comparable, and its
// methods must not call back into the Table.
type Watcher interface {
	// Allowed tells whether the connection may read a node with this ACL.
	Allowed(acl znode.ACL) bool
	// Notify queues an event. The message is shared by all who get it: it may
	// be kept, not changed.
	Notify(m *protocol.Message)
}

// Table holds the watches of one server. Watches of one connection on one path
// live side by side, one of each mode.
type Table struct {
	size atomic.Int64 // watches; lets Fire return without the lock

	mu     sync.Mutex // guards all below
	exact  index      // all modes but WatchRecursive, by their path
	trees  index      // WatchRecursive, by the root of their tree
	owners map[Watcher]*owner
	firing uint64 // counts events fired; owner.told compares with it
}

type index map[string]*node

// node is a watched path and its entries in order of registration.
type node struct {
	path        string
	first, last *entry
}

// entry is what one connection watches at one path of one index.
type entry struct {
	node       *node
	owner      *owner
	prev, next *entry // in the node
	modes      modeSet
}

// owner is a connection with its entries by path. It stays until RemoveAll.
type owner struct {
	watcher      Watcher
	exact, trees map[string]*entry
	count        int
	told         uint64 // the firing that last reached it
}

// modeSet has the bit 1<<mode for each protocol.WatchMode in it.
type modeSet uint8

const (
	data       modeSet = 1 << protocol.WatchData
	exists     modeSet = 1 << protocol.WatchExists
	children   modeSet = 1 << protocol.WatchChildren
	persistent modeSet = 1 << protocol.WatchPersistent
	recursive  modeSet = 1 << protocol.WatchRecursive

	oneShot = data | exists | children
	staying = persistent | recursive
)

// NewTable returns a table without watches.
func NewTable() *Table {
	return &Table{exact: make(index), trees: make(index), owners: make(map[Watcher]*owner)}
}

// Add leaves a watch of w; the same one twice is one. It returns whether the
// watch is new. Who adds for a Watcher calls RemoveAll when it ends.
func (t *Table) Add(w Watcher, path string, mode protocol.WatchMode) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.owners[w]
	if o == nil {
		o = &owner{watcher: w}
		t.owners[w] = o
	}
	nodes, entries := t.side(o, mode)
	e := (*entries)[path]
	if e == nil {
		e = nodes.insert(path, o)
		if *entries == nil {
			*entries = make(map[string]*entry)
		}
		(*entries)[e.node.path] = e
	}
	bit := modeSet(1) << mode
	if e.modes&bit != 0 {
		return false
	}
	e.modes |= bit
	o.count++
	t.size.Add(1)
	return true
}

// Remove takes a watch of w away and returns whether there was one.
func (t *Table) Remove(w Watcher, path string, mode protocol.WatchMode) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.find(w, path, mode)
	if e == nil {
		return false
	}
	t.drop(e, 1<<mode)
	return true
}

// Has tells whether w has this watch.
func (t *Table) Has(w Watcher, path string, mode protocol.WatchMode) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.find(w, path, mode) != nil
}

// RemoveAll forgets w and its watches, at a cost in proportion to them.
func (t *Table) RemoveAll(w Watcher) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.owners[w]
	if o == nil {
		return
	}
	delete(t.owners, w)
	for _, e := range o.exact {
		t.exact.remove(e)
	}
	for _, e := range o.trees {
		t.trees.remove(e)
	}
	t.size.Add(-int64(o.count))
}

// CountOf returns the number of watches of w.
func (t *Table) CountOf(w Watcher) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.owners[w]; o != nil {
		return o.count
	}
	return 0
}

// PathsOf returns the paths that w watches in any way, in their order.
func (t *Table) PathsOf(w Watcher) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.owners[w]
	if o == nil {
		return nil
	}
	paths := slices.AppendSeq(slices.Collect(maps.Keys(o.exact)), maps.Keys(o.trees))
	slices.Sort(paths)
	return slices.Compact(paths)
}

// Paths returns how many paths are watched, and by how many watchers.
func (t *Table) Paths() (paths, watchers int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	paths = len(t.exact)
	for path := range t.trees {
		if t.exact[path] == nil {
			paths++
		}
	}
	for _, o := range t.owners {
		if o.count > 0 {
			watchers++
		}
	}
	return paths, watchers
}

// Len returns the number of watches.
func (t *Table) Len() int { return int(t.size.Load()) }

// side returns the index and the owner's map that hold watches of this mode.
func (t *Table) side(o *owner, mode protocol.WatchMode) (index, *map[string]*entry) {
	if mode == protocol.WatchRecursive {
		return t.trees, &o.trees
	}
	return t.exact, &o.exact
}

func (t *Table) find(w Watcher, path string, mode protocol.WatchMode) *entry {
	o := t.owners[w]
	if o == nil {
		return nil
	}
	_, entries := t.side(o, mode)
	if e := (*entries)[path]; e != nil && e.modes&(1<<mode) != 0 {
		return e
	}
	return nil
}

// drop takes modes, which e has, away from it, and e away when none is left.
func (t *Table) drop(e *entry, modes modeSet) {
	n := modes.len()
	e.modes &^= modes
	e.owner.count -= n
	t.size.Add(-int64(n))
	if e.modes != 0 {
		return
	}
	if modes&recursive != 0 {
		delete(e.owner.trees, e.node.path)
		t.trees.remove(e)
		return
	}
	delete(e.owner.exact, e.node.path)
	t.exact.remove(e)
}

// insert appends an entry of o at path. The path is cloned where it is kept:
// it may alias a frame.
func (x index) insert(path string, o *owner) *entry {
	n := x[path]
	if n == nil {
		n = &node{path: strings.Clone(path)}
		x[n.path] = n
	}
	e := &entry{node: n, owner: o, prev: n.last}
	if n.last == nil {
		n.first = e
	} else {
		n.last.next = e
	}
	n.last = e
	return e
}

func (x index) remove(e *entry) {
	n := e.node
	if e.prev == nil {
		n.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		n.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	if n.first == nil {
		delete(x, n.path)
	}
}
