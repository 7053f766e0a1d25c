package znode

import "errors"

// Set replaces the data of a node and returns its new stat. It wants WRITE.
// version is the one the data must have, or AnyVersion; so below.
func (t *Tree) Set(a *Actor, path string, data []byte, version int64) (Stat, error) {
	t.txn.mustBeOpen()
	n, err := t.find("set", path, a, Write)
	if err != nil {
		return Stat{}, err
	}
	if err := t.mayHold(n, data); err != nil {
		return Stat{}, failedAt("set", n, err)
	}
	if version != AnyVersion && version != n.version {
		return Stat{}, failedAt("set", n, ErrBadVersion)
	}
	return t.replaceData(n, data).stat(), nil
}

// replaceData returns the node that stands for n then.
func (t *Tree) replaceData(n *node, data []byte) *node {
	n = t.edit(n)
	parent, grown := t.parentOf(n), len(data)-len(n.data)
	n.data = cloneData(data)
	n.body = bodyHash(n.path, n.data)
	n.version++
	n.mzxid, n.mtimeMs = t.txn.zxid, t.txn.nowMs
	t.resized(n, parent, grown)
	t.seal(n)
	t.effect(DataChanged, n, parent)
	return n
}

// SetACL replaces the ACL of a node and returns its new stat. It wants ADMIN;
// aversion is the version of the ACL.
func (t *Tree) SetACL(a *Actor, path string, acl ACL, aversion int64) (Stat, error) {
	t.txn.mustBeOpen()
	acl, err := NormalizeACL(acl, a)
	if err != nil {
		return Stat{}, failed("setACL", path, err)
	}
	n, err := t.find("setACL", path, a, Admin)
	if err != nil {
		return Stat{}, err
	}
	if aversion != AnyVersion && aversion != n.aversion {
		return Stat{}, failedAt("setACL", n, ErrBadVersion)
	}
	n = t.edit(n)
	shared := t.acls.share(acl)
	if shared != n.acl {
		t.acls.release(n.acl)
		t.acls.hold(shared)
		n.acl = shared
	}
	n.aversion++
	t.seal(n)
	t.txn.aclChanged = true
	t.effect(ACLChanged, n, t.parentOf(n))
	return n.stat(), nil
}

// RaiseSequence makes the count of children ever created under a node at least
// atLeast, as if the missing ones had come and gone: what makes a copy of a tree
// go on with the sequence numbers of the original. It wants a superuser, who
// alone learns whether the node is there. Its children and pzxid stay.
func (t *Tree) RaiseSequence(a *Actor, path string, atLeast int64) error {
	t.txn.mustBeOpen()
	n := t.index.get(path)
	switch {
	case !a.isSuper():
		return failed("raiseSequence", path, ErrNoAuth)
	case atLeast < 0 || atLeast > MaxCreated:
		return failed("raiseSequence", path, badArguments("a count of children is 0 to 2^61"))
	case n == nil:
		return t.notFound("raiseSequence", path)
	case n.kind == Ephemeral:
		return failedAt("raiseSequence", n, ErrNoChildrenForEphemerals)
	case n.sequence() >= uint64(atLeast):
		return nil
	}
	n = t.openDir(t.edit(n))
	missing := uint64(atLeast) - n.dir.created
	n.dir.created += missing
	n.dir.deleted += missing
	t.seal(n)
	t.effect(SequenceRaised, n, t.parentOf(n))
	return nil
}

// Check fails unless the data of a node has the version. It wants READ.
func (t *Tree) Check(a *Actor, path string, version int64) error {
	n, err := t.find("check", path, a, Read)
	if err != nil {
		return err
	}
	if version != AnyVersion && version != n.version {
		return failedAt("check", n, ErrBadVersion)
	}
	return nil
}

// Guard fails with ErrFenced unless the node at path is the one that transaction
// czxid created. It wants READ.
func (t *Tree) Guard(a *Actor, path string, czxid uint64) error {
	n, err := t.find("guard", path, a, Read)
	if errors.Is(err, ErrNoNode) || err == nil && n.czxid != czxid {
		return failed("guard", path, ErrFenced)
	}
	return err
}

// parentOf returns nil for the root.
func (t *Tree) parentOf(n *node) *node {
	if n == t.root {
		return nil
	}
	return t.index.get(Parent(n.path))
}

// find returns the node at path when a has one of the permissions in p. A path
// that no node could have is told from one that none has.
func (t *Tree) find(op, path string, a *Actor, p Perm) (*node, error) {
	n := t.index.get(path)
	if n == nil {
		return nil, t.notFound(op, path)
	}
	if !n.acl.allows(p, a) {
		return nil, failedAt(op, n, ErrNoAuth)
	}
	return n, nil
}

func (t *Tree) notFound(op, path string) error {
	if err := ValidatePath(path); err != nil {
		return err
	}
	return failed(op, path, ErrNoNode)
}
