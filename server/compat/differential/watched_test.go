package differential

import "strings"

// watchKind is a bit for each kind of watch that a connection may have on a
// path. ZooKeeper 3.8 keeps the first two apart, in two tables; the staying
// ones stand in both, and a later kind on the path takes the place of an
// earlier (ZOOKEEPER-4466).
type watchKind uint8

const (
	watchData watchKind = 1 << iota
	watchChild
	watchPersistent
	watchRecursive
	watchHalved // a staying one, of which ZooKeeper has removed one half

	oneShotKinds = watchData | watchChild
	stayingKinds = watchPersistent | watchRecursive
)

// muddled says that ZooKeeper 3.8 has lost track of one of the kinds.
func (k watchKind) muddled() bool {
	staying := k & stayingKinds
	return staying == stayingKinds || staying != 0 && k&(oneShotKinds|watchHalved) != 0
}

// watched notes what a reply has left. What has fired meanwhile stays noted.
func (m *mirror) watched(slot int, it *item) {
	c, o := m.slots[slot], it.op
	switch o.Op {
	case opGetData, opExists:
		if o.Watch && (it.err == 0 || o.Op == opExists && it.err == errNoNode) {
			m.leave(c, o.Path, watchData)
		}
	case opGetChildren, opGetChildren2:
		if o.Watch && it.err == 0 {
			m.leave(c, o.Path, watchChild)
		}
	case opAddWatch:
		if it.err == 0 {
			m.leave(c, o.Path, []watchKind{watchPersistent, watchRecursive}[o.Mode])
		}
	case opSetWatches, opSetWatches2:
		for i, paths := range o.Lists {
			for _, path := range paths {
				m.leave(c, path, []watchKind{watchData, watchData, watchChild, watchPersistent, watchRecursive}[i])
			}
		}
	case opRemoveWatches:
		m.unwatched(c, it)
	}
}

func (m *mirror) leave(c *mirroredClient, path string, kind watchKind) {
	c.watches[path] |= kind
	m.everWatched[path] = true
}

func (m *mirror) unwatched(c *mirroredClient, it *item) {
	switch kinds := c.watches[it.op.Path]; {
	case it.err != 0:
	case it.op.Mode == watcherAny:
		delete(c.watches, it.op.Path)
	case kinds&stayingKinds != 0:
		c.watches[it.op.Path] |= watchHalved
	}
}

// muddled says that a slot's connection has watches of which an event of path
// may come that ZooKeeper 3.8 has lost track of.
func (m *mirror) muddled(slot int, path string) bool {
	for at, kinds := range m.slots[slot].watches {
		if kinds.muddled() && (at == path || kinds&watchRecursive != 0 && strings.HasPrefix(path, at+"/")) {
			return true
		}
	}
	return false
}
