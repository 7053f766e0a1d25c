package zkfile

import (
	"strings"

	"github.com/lycaon-io/lycaon/znode"
)

// openACL stands in a snapshot for the ACL that lets everybody do everything.
const openACL = -1

// Tree is what the files say that ZooKeeper holds.
type Tree struct {
	root       *node
	acls       map[int64]znode.ACL // of the snapshot, by their number there
	sessions   map[int64]bool      // that are or have been
	ephemerals map[int64]map[string]bool

	zxid    int64 // of the last transaction that is in it
	ahead   int64 // the highest that the snapshot shows a trace of
	reached []int64
	lenient bool
}

// node is a node of a Tree. It has no name: its parent knows it.
type node struct {
	data     []byte
	acl      znode.ACL
	aclID    int64 // of the snapshot, while acl is nil
	owner    int64 // ephemeralOwner, which tells the kind too
	cversion int32 // children ever created
	children map[string]*node
}

// split cuts a path into its parent and its name.
func split(path string) (parent, name string) {
	last := strings.LastIndexByte(path, '/')
	return path[:last], path[last+1:]
}

// find returns the node at a path, nil if there is none. The root is "" or "/".
func (t *Tree) find(path string) *node {
	n := t.root
	for rest := strings.TrimPrefix(path, "/"); rest != "" && n != nil; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		n = n.children[name]
	}
	return n
}

func (n *node) add(name string, child *node) {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	n.children[name] = child
}

// own remembers the ephemeral node of a session.
func (t *Tree) own(session int64, path string) {
	if t.ephemerals[session] == nil {
		t.ephemerals[session] = map[string]bool{}
	}
	t.ephemerals[session][path] = true
}

// The changes below are those of a replay over a snapshot that was written
// while ZooKeeper went on: what a change would do may have been done already,
// and what it needs may be gone already. Then it does the part that is left.
// Once all are replayed the tree is as it was after the last.

// create makes a node. parentCversion is the parent's count of children after
// it, or -1 if the log does not say (3.3).
func (t *Tree) create(path string, child *node, parentCversion int32) {
	parentPath, name := split(path)
	parent := t.find(parentPath)
	if parent == nil {
		return
	}
	if parentCversion == -1 {
		parentCversion = parent.cversion + 1
	}
	parent.cversion = max(parent.cversion, parentCversion)
	if there := parent.children[name]; there != nil {
		there.acl = child.acl // the snapshot may lack the one that it names
		return
	}
	parent.add(name, child)
	if session, ok := t.sessionOf(child); ok {
		t.own(session, path)
	}
}

// remove takes a node and what the snapshot already has below its successor:
// that will be made again.
func (t *Tree) remove(path string) {
	parentPath, name := split(path)
	if parent := t.find(parentPath); parent != nil {
		delete(parent.children, name)
	}
}

func (t *Tree) closeSession(session int64, paths []string) {
	for _, path := range paths {
		t.remove(path)
	}
	for path := range t.ephemerals[session] {
		if n := t.find(path); n != nil && n.owner == session {
			t.remove(path)
		}
	}
	delete(t.ephemerals, session)
}

// aclOf resolves a node's ACL.
func (t *Tree) aclOf(n *node) (znode.ACL, bool) {
	switch {
	case n.acl != nil:
		return n.acl, true
	case n.aclID == openACL:
		return znode.OpenACL, true
	}
	acl, ok := t.acls[n.aclID]
	return acl, ok
}
