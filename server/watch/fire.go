package watch

import (
	"iter"
	"math/bits"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/znode"
)

func (m modeSet) len() int { return bits.OnesCount8(uint8(m)) }

// Which modes wait for what; WatchMode says so in words.
const (
	wantCreated     = exists | staying
	wantDeleted     = data | exists | children | staying
	wantDataChanged = data | exists | staying
	wantChildren    = children | persistent
)

// Fire tells the watchers of an effect: first those of the node, then, when it
// came or went, those of its parent's children. A watcher gets at most one
// event of a type for a path, however many of its watches match. Every one-shot
// that matches is used up, by an event that is withheld too.
//
// Watchers of a path are told in order of registration, and before those of
// trees above it, nearest first.
func (t *Table) Fire(e *znode.Effect) {
	if t.size.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fire(e)
}

func (t *Table) fire(e *znode.Effect) {
	switch e.Type {
	case znode.NodeCreated:
		t.tell(event{protocol.EventCreated, e.Zxid, e.Path, e.ACL}, wantCreated)
	case znode.NodeDeleted:
		t.tell(event{protocol.EventDeleted, e.Zxid, e.Path, e.ACL}, wantDeleted)
	case znode.DataChanged:
		t.tell(event{protocol.EventDataChanged, e.Zxid, e.Path, e.ACL}, wantDataChanged)
		return
	default:
		return
	}
	t.tell(event{protocol.EventChildrenChanged, e.Zxid, znode.Parent(e.Path), e.ParentACL}, wantChildren)
}

// event is what happened at path; acl guards it.
type event struct {
	what protocol.EventType
	zxid uint64
	path string
	acl  znode.ACL
}

func (ev *event) message() *protocol.Message {
	return &protocol.Message{Kind: protocol.Event, Event: ev.what, Zxid: ev.zxid, Path: ev.path}
}

// tell fires the watches whose modes want the event.
func (t *Table) tell(ev event, want modeSet) {
	t.firing++
	var m *protocol.Message
	if n := t.exact[ev.path]; n != nil {
		m = t.tellNode(n, &ev, want, m)
	}
	for n := range t.treesAround(ev.path, want) {
		m = t.tellNode(n, &ev, want, m)
	}
}

// treesAround goes through the roots of watched trees that path is in, nearest first.
func (t *Table) treesAround(path string, want modeSet) iter.Seq[*node] {
	return func(yield func(*node) bool) {
		if want&recursive == 0 || len(t.trees) == 0 {
			return
		}
		for ; ; path = znode.Parent(path) {
			if n := t.trees[path]; n != nil && !yield(n) || path == "/" {
				return
			}
		}
	}
}

// several tells whether others than the one watcher of n may want the event too.
func (t *Table) several(n *node, ev *event, want modeSet) bool {
	if n.first != n.last {
		return true
	}
	for other := range t.treesAround(ev.path, want) {
		if other != n {
			return true
		}
	}
	return false
}

// tellNode makes the message m when the first watcher needs it, and returns it
// for the next node.
func (t *Table) tellNode(n *node, ev *event, want modeSet, m *protocol.Message) *protocol.Message {
	var next *entry
	for e := n.first; e != nil; e = next {
		next = e.next
		hit := e.modes & want
		if hit == 0 {
			continue
		}
		if o := e.owner; o.told != t.firing {
			o.told = t.firing
			if o.watcher.Allowed(ev.acl) || mutant.On(mutant.NoEventACL) {
				if m == nil {
					m = ev.message()
					if t.several(n, ev, want) {
						m.More = protocol.ShareEvent()
					}
				}
				o.watcher.Notify(m)
			}
		}
		if spent := hit & oneShot; spent != 0 {
			t.drop(e, spent)
		}
	}
	return m
}
