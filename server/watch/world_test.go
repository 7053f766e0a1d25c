package watch

import (
	"maps"
	"slices"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// world is a small tree with everything that ever happened to it.
type world struct {
	zxid    uint64
	nodes   map[string]*worldNode
	history []znode.Effect
}

type worldNode struct {
	stat znode.Stat
	acl  znode.ACL
}

func newWorld() *world {
	return &world{nodes: map[string]*worldNode{"/": {acl: public}}}
}

func (w *world) Peek(path string) (znode.Stat, znode.ACL, bool) {
	n := w.nodes[path]
	if n == nil {
		return znode.Stat{}, nil, false
	}
	return n.stat, n.acl, true
}

var worldPaths = func() (paths []string) {
	for _, a := range []string{"/a", "/b"} {
		paths = append(paths, a)
		for _, b := range []string{"/a", "/ab"} {
			paths = append(paths, a+b, a+b+"/c")
		}
	}
	return paths
}()

// step runs one transaction of a few changes and returns its effects.
func (w *world) step(pick func(int) int) []znode.Effect {
	start := len(w.history)
	w.zxid++
	for range 1 + pick(4) {
		w.change(worldPaths[pick(len(worldPaths))], pick)
	}
	if len(w.history) == start {
		w.zxid--
	}
	return w.history[start:]
}

func (w *world) change(path string, pick func(int) int) {
	parent := w.nodes[znode.Parent(path)]
	if parent == nil {
		return
	}
	n := w.nodes[path]
	what := znode.DataChanged
	switch action := pick(8); {
	case n == nil:
		what = znode.NodeCreated
		n = &worldNode{acl: public}
		if action == 0 {
			n.acl = private
		}
		n.stat.Czxid, n.stat.Mzxid, n.stat.Pzxid = w.zxid, w.zxid, w.zxid
		parent.stat.Pzxid = w.zxid
		w.nodes[path] = n
	case action < 3:
		if w.hasChildren(path) {
			return
		}
		what = znode.NodeDeleted
		parent.stat.Pzxid = w.zxid
		delete(w.nodes, path)
	case action == 3:
		what = znode.ACLChanged
		n.acl = [][]znode.Entry{public, private}[pick(2)]
	default:
		n.stat.Mzxid = w.zxid
	}
	w.history = append(w.history, znode.Effect{Zxid: w.zxid, Type: what, Path: path, ACL: n.acl, ParentACL: parent.acl})
}

func (w *world) hasChildren(path string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(w.nodes)), func(p string) bool { return strings.HasPrefix(p, path+"/") })
}

// existed tells whether path was there right after zxid.
func (w *world) existed(path string, zxid uint64) (there bool) {
	for _, e := range w.history {
		if e.Path == path && e.Zxid <= zxid && (e.Type == znode.NodeCreated || e.Type == znode.NodeDeleted) {
			there = e.Type == znode.NodeCreated
		}
	}
	return there
}

// plain is one event, told of a path under an ACL.
type plain struct {
	what protocol.EventType
	zxid uint64
	path string
	acl  znode.ACL
}

// plainEvents spells an effect out.
func plainEvents(e *znode.Effect) []plain {
	under := plain{protocol.EventChildrenChanged, e.Zxid, znode.Parent(e.Path), e.ParentACL}
	switch e.Type {
	case znode.NodeCreated:
		return []plain{{protocol.EventCreated, e.Zxid, e.Path, e.ACL}, under}
	case znode.NodeDeleted:
		return []plain{{protocol.EventDeleted, e.Zxid, e.Path, e.ACL}, under}
	case znode.DataChanged:
		return []plain{{protocol.EventDataChanged, e.Zxid, e.Path, e.ACL}}
	}
	return nil
}

// waitsFor says in so many words what a watch waits for.
func waitsFor(watch protocol.Watch, ev plain) bool {
	same := watch.Path == ev.path
	below := strings.HasPrefix(ev.path, strings.TrimSuffix(watch.Path, "/")+"/")
	created, deleted := ev.what == protocol.EventCreated, ev.what == protocol.EventDeleted
	changed, children := ev.what == protocol.EventDataChanged, ev.what == protocol.EventChildrenChanged
	switch watch.Mode {
	case protocol.WatchData:
		return same && (changed || deleted)
	case protocol.WatchExists:
		return same && (created || changed || deleted)
	case protocol.WatchChildren:
		return same && (children || deleted)
	case protocol.WatchPersistent:
		return same
	case protocol.WatchRecursive:
		return (same || below) && !children
	}
	return false
}

func stays(mode protocol.WatchMode) bool {
	return mode == protocol.WatchPersistent || mode == protocol.WatchRecursive
}

// oracle is a connection that is never cut: a list of its watches. Since is
// the zxid at which each was left.
type oracle struct {
	ids     []znode.Identity
	watches []protocol.Watch
}

// see returns what the connection is told of an effect, and uses one-shots up.
func (o *oracle) see(e *znode.Effect) (lines []string) {
	for _, ev := range plainEvents(e) {
		hit := false
		o.watches = slices.DeleteFunc(o.watches, func(w protocol.Watch) bool {
			if w.Since >= ev.zxid || !waitsFor(w, ev) {
				return false
			}
			hit = true
			return !stays(w.Mode)
		})
		if hit && ev.acl.Allows(znode.Read, &znode.Actor{IDs: o.ids}) {
			lines = append(lines, line(&protocol.Message{Zxid: ev.zxid, Event: ev.what, Path: ev.path}))
		}
	}
	return lines
}

func (o *oracle) add(w protocol.Watch) {
	if !slices.ContainsFunc(o.watches, func(old protocol.Watch) bool { return old.Path == w.Path && old.Mode == w.Mode }) {
		o.watches = append(o.watches, w)
	}
}

func randomWatch(pick func(int) int, since uint64) protocol.Watch {
	path := "/"
	if i := pick(len(worldPaths) + 1); i > 0 {
		path = worldPaths[i-1]
	}
	return protocol.Watch{Path: path, Mode: protocol.WatchMode(1 + pick(5)), Since: since}
}
