package znode

import (
	"math"

	"github.com/lycaon-io/lycaon/znode/cow"
)

// The nodes that are there from the start and stay.
const (
	rootPath   = "/"
	systemPath = "/zookeeper"
	configPath = "/zookeeper/config"
	quotaPath  = "/zookeeper/quota"
)

// systemNode is one of them, with the number of children it starts with,
// which its sequence and cversion do not count (as in ZooKeeper).
type systemNode struct {
	path     string
	acl      ACL
	children int
}

var systemNodes = [...]systemNode{
	{rootPath, OpenACL, 1},
	{systemPath, OpenACL, 2},
	{configPath, ReadACL, 0},
	{quotaPath, OpenACL, 0},
}

// childrenAtStart returns the number of children that the node at path has
// from the start, and whether it is a system node at all.
func childrenAtStart(path string) (n int, system bool) {
	if len(path) > len(configPath) {
		return 0, false
	}
	for i := range systemNodes {
		if systemNodes[i].path == path {
			return systemNodes[i].children, true
		}
	}
	return 0, false
}

// Tree is the live tree of znodes.
//
// Methods that write (Begin to Rollback, and Freeze) need exclusive access,
// those that read need only the writer to stand still. Strings and slices in
// arguments may be overwritten by their owner as soon as the call returns: the
// tree copies what it keeps. What the tree hands out (names, paths, data,
// ACLs) is immutable and stays valid for ever; nobody may write to it.
//
// The index finds a node by its path in one step. Beside it the same nodes
// form a trie whose pages and nodes carry the generation that made them; a
// frozen handle is the root of one generation.
type Tree struct {
	index      index
	root       *node
	gen        uint32
	digest     uint64
	dataBytes  int64
	acls       aclSet
	ephemerals map[uint64]*cow.Map[string, struct{}] // session to paths
	mortals    cow.Map[string, struct{}]             // paths
	quotas     map[string]Limits                     // by the path they limit; nil without any
	txn        txn
	scratch    []byte // a sequence name being built
}

// New returns a tree with the system nodes alone.
func New() *Tree {
	t := newTree()
	for i := range systemNodes {
		s := &systemNodes[i]
		n := &node{path: s.path, acl: t.acls.share(s.acl), body: bodyHash(s.path, nil)}
		if s.path == rootPath {
			t.plantRoot(n)
		} else {
			t.attach(t.openDir(t.index.get(Parent(s.path))), n)
		}
	}
	return t
}

func newTree() *Tree {
	return &Tree{
		index:      newIndex(len(systemNodes)),
		acls:       aclSet{byKey: map[string]*sharedACL{}},
		ephemerals: map[uint64]*cow.Map[string, struct{}]{},
	}
}

func (t *Tree) plantRoot(n *node) {
	t.root = n
	t.index.put(n)
	t.acls.hold(n.acl)
	t.dataBytes += int64(len(n.data))
	t.digest += n.hash()
}

// Len returns the number of nodes, system nodes included.
func (t *Tree) Len() int { return t.index.size }

// DataBytes returns the bytes of data of all nodes.
func (t *Tree) DataBytes() int64 { return t.dataBytes }

// Digest returns the wrapping sum over all nodes of a 64-bit hash of path,
// data, ACL, stat and sequence, kept up by each change. A Frozen computes the
// same sum from the nodes.
func (t *Tree) Digest() uint64 { return t.digest }

// Freeze returns a handle on the tree as it stands, outside a transaction. It
// costs the same for every size of tree; afterwards the first write to a node
// copies it and its ancestors, once.
func (t *Tree) Freeze() *Frozen {
	if t.txn.open {
		panic("znode: Freeze within a transaction")
	}
	if t.gen == math.MaxUint32 { // 136 years at one a second
		panic("znode: out of generations")
	}
	t.gen++
	return &Frozen{root: t.root, nodes: t.index.size}
}

// own returns the node that stands for n in this generation, n itself or a
// copy of it that is linked in its place.
func (t *Tree) own(n *node) *node {
	if n.gen == t.gen {
		return n
	}
	c := new(node)
	*c = *n
	c.gen = t.gen
	if n.dir != nil {
		d := *n.dir
		c.dir = &d
	}
	t.index.put(c)
	if n == t.root {
		t.root = c
		return c
	}
	// The parent of a node of this generation is of this generation too, so
	// the climb, at most MaxPathDepth, ends at the first that is.
	parent := t.own(t.index.get(Parent(n.path)))
	parent.dir.children.Set(uint64(t.gen), c.name(), c)
	return c
}

// openDir returns n, which must be owned, with a dir.
func (t *Tree) openDir(n *node) *node {
	if n.dir != nil {
		return n
	}
	n.dir = &dir{pzxid: n.czxid, below: &below{}}
	if n != t.root {
		n.dir.below.up = t.index.get(Parent(n.path)).dir.below
	}
	return n
}

// attach links n, which has no children, under parent, which must be owned and
// have a dir. detach is its exact inverse.
func (t *Tree) attach(parent, n *node) {
	t.index.put(n)
	parent.dir.children.Set(uint64(t.gen), n.name(), n)
	bytes := int64(len(n.data))
	for b := parent.dir.below; b != nil; b = b.up {
		b.nodes++
		b.bytes += bytes
	}
	t.acls.hold(n.acl)
	t.dataBytes += bytes
	t.digest += n.hash()
	t.list(n)
}

// list has n, which is new or loaded, in each list to which it belongs.
func (t *Tree) list(n *node) {
	if n.kind == Ephemeral {
		t.addEphemeral(n)
	}
	t.noteMortal(n)
	t.noteLimits(n)
}

// listed tells whether list may do anything.
func (n *node) listed() bool { return n.kind != Persistent || inQuotas(n.path) }

// detach unlinks n, which has no children, from parent, which must be owned.
func (t *Tree) detach(parent, n *node) {
	t.index.remove(n.path)
	parent.dir.children.Delete(uint64(t.gen), n.name())
	bytes := int64(len(n.data))
	for b := parent.dir.below; b != nil; b = b.up {
		b.nodes--
		b.bytes -= bytes
	}
	t.acls.release(n.acl)
	t.dataBytes -= bytes
	t.digest -= n.hash()
	if n.kind == Ephemeral {
		t.dropEphemeral(n)
	}
	if n.kind == TTL || n.kind == Container {
		t.mortals.Delete(0, n.path)
	}
	t.dropLimits(n)
}

// resized keeps the sums of data right after that of n, whose parent is nil for
// the root, has grown by so many bytes or shrunk.
func (t *Tree) resized(n, parent *node, bytes int) {
	t.dataBytes += int64(bytes)
	if bytes != 0 && parent != nil {
		for b := parent.dir.below; b != nil; b = b.up {
			b.bytes += int64(bytes)
		}
	}
	t.noteLimits(n)
}

// noteMortal keeps the list of mortals right after a change of n.
func (t *Tree) noteMortal(n *node) {
	switch {
	case n.kind != TTL && n.kind != Container:
	case n.mortal():
		t.mortals.Set(0, n.path, struct{}{})
	default:
		t.mortals.Delete(0, n.path)
	}
}

// addEphemeral and dropEphemeral never freeze the sets: generation 0 for ever.
func (t *Tree) addEphemeral(n *node) {
	set := t.ephemerals[n.grant]
	if set == nil {
		set = new(cow.Map[string, struct{}])
		t.ephemerals[n.grant] = set
	}
	set.Set(0, n.path, struct{}{})
}

func (t *Tree) dropEphemeral(n *node) {
	set := t.ephemerals[n.grant]
	set.Delete(0, n.path)
	if set.Len() == 0 {
		delete(t.ephemerals, n.grant)
	}
}
