package znode

// keptRecords is the most undo records and effects whose room is kept from one
// transaction to the next.
const keptRecords = 4096

// txn is the open transaction: what its changes carry, what they did, and how
// to take them back.
type txn struct {
	open       bool
	zxid       uint64
	nowMs      int64
	effects    []Effect
	aclChanged bool
	undo       []undo
	digest     uint64 // before it
}

type step uint8

const (
	changed step = iota
	attached
	detached
)

// undo takes one step back. For a changed node, was is its content before,
// with the counters of its dir; the set of children follows from the steps
// attached and detached.
type undo struct {
	step             step
	node             *node
	was              node
	pzxid            uint64
	created, deleted uint64
}

// Begin starts a transaction. All its changes carry zxid and nowMs, the
// leader's clock; nothing else may be written until Commit or Rollback. A
// failed operation changes nothing, and the transaction may go on or end
// either way.
func (t *Tree) Begin(zxid uint64, nowMs int64) {
	if t.txn.open {
		panic("znode: Begin within a transaction")
	}
	t.txn.open, t.txn.zxid, t.txn.nowMs = true, zxid, nowMs
	t.txn.effects, t.txn.aclChanged = t.txn.effects[:0], false
	if cap(t.txn.effects) > keptRecords {
		t.txn.effects = nil
	}
	t.txn.digest = t.digest
}

// Commit ends the transaction and returns what it did, in order; nothing when
// it changed nothing. The slice is valid until the next Begin.
func (t *Tree) Commit() []Effect {
	t.txn.mustBeOpen()
	if t.txn.aclChanged && len(t.txn.effects) > 1 {
		settleACLs(t.txn.effects)
	}
	t.txn.close()
	return t.txn.effects
}

// Rollback ends the transaction and leaves the tree as it was before Begin.
func (t *Tree) Rollback() {
	t.txn.mustBeOpen()
	for i := len(t.txn.undo) - 1; i >= 0; i-- {
		t.stepBack(&t.txn.undo[i])
	}
	t.digest = t.txn.digest
	t.txn.effects = t.txn.effects[:0]
	t.txn.close()
}

func (x *txn) mustBeOpen() {
	if !x.open {
		panic("znode: a write outside a transaction")
	}
}

// close lets go of everything the undo records hold on to.
func (x *txn) close() {
	x.open = false
	clear(x.undo)
	x.undo = x.undo[:0]
	if cap(x.undo) > keptRecords {
		x.undo = nil
	}
}

// edit returns the node that stands for n, to be changed in place until seal.
func (t *Tree) edit(n *node) *node {
	n = t.own(n)
	u := undo{step: changed, node: n, was: *n}
	if n.dir != nil {
		u.pzxid, u.created, u.deleted = n.dir.pzxid, n.dir.created, n.dir.deleted
	}
	t.txn.undo = append(t.txn.undo, u)
	t.digest -= n.hash()
	return n
}

func (t *Tree) seal(n *node) {
	t.digest += n.hash()
	t.noteMortal(n)
}

// plant adds n as a new child of parent.
func (t *Tree) plant(parent, n *node) {
	parent = t.openDir(t.edit(parent))
	parent.dir.created++
	parent.dir.pzxid = t.txn.zxid
	t.attach(parent, n)
	t.txn.undo = append(t.txn.undo, undo{step: attached, node: n})
	t.seal(parent)
	t.effect(NodeCreated, n, parent)
}

// fell deletes n, which has no children.
func (t *Tree) fell(n *node) {
	parent := t.edit(t.index.get(Parent(n.path)))
	parent.dir.deleted++
	parent.dir.pzxid = t.txn.zxid
	t.detach(parent, n)
	t.txn.undo = append(t.txn.undo, undo{step: detached, node: n})
	t.seal(parent)
	t.effect(NodeDeleted, n, parent)
}

// stepBack needs no look at generations: a transaction lies within one, and
// whatever it changed is owned.
func (t *Tree) stepBack(u *undo) {
	switch u.step {
	case attached:
		t.detach(t.index.get(Parent(u.node.path)), u.node)
	case detached:
		t.attach(t.index.get(Parent(u.node.path)), u.node)
	case changed:
		t.restore(u)
	}
}

func (t *Tree) restore(u *undo) {
	n := u.node
	if n.acl != u.was.acl {
		t.acls.release(n.acl)
		t.acls.hold(u.was.acl)
	}
	grown := len(u.was.data) - len(n.data)
	*n = u.was
	t.resized(n, t.parentOf(n), grown)
	if n.dir != nil {
		n.dir.pzxid, n.dir.created, n.dir.deleted = u.pzxid, u.created, u.deleted
	}
	t.noteMortal(n)
}

func (t *Tree) effect(what EffectType, n, parent *node) {
	e := Effect{Zxid: t.txn.zxid, Type: what, Path: n.path, ACL: n.acl.list}
	if parent != nil {
		e.ParentACL = parent.acl.list
	}
	t.txn.effects = append(t.txn.effects, e)
}

// settleACLs gives each effect the ACLs in force after the transaction, which
// may have changed an ACL after the effect. A node deleted within it keeps its
// last; one created anew at the same path is another node.
func settleACLs(effects []Effect) {
	last := map[string]ACL{}
	for i := len(effects) - 1; i >= 0; i-- {
		e := &effects[i]
		if acl, ok := last[e.Path]; ok && e.Type != NodeDeleted {
			e.ACL = acl
		}
		last[e.Path] = e.ACL
		if acl, ok := last[Parent(e.Path)]; ok && e.Path != rootPath {
			e.ParentACL = acl
		}
	}
}
