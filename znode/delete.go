package znode

import "strconv"

// Delete removes a childless node. It wants DELETE on the parent.
func (t *Tree) Delete(a *Actor, path string, version int64) error {
	t.txn.mustBeOpen()
	n, err := t.mayDelete("delete", a, path, version)
	if err != nil {
		return err
	}
	if n.numChildren() > 0 {
		return failedAt("delete", n, ErrNotEmpty)
	}
	t.fell(n)
	return nil
}

// DeleteAll removes a node and all below it, children first, and returns how
// many. It wants DELETE on every node that loses a child, holds version against
// the topmost, and fails with ErrTooLarge above max nodes. It deletes all of
// them or none.
func (t *Tree) DeleteAll(a *Actor, path string, version int64, max int) (deleted int, err error) {
	t.txn.mustBeOpen()
	n, err := t.mayDelete("deleteall", a, path, version)
	if err != nil {
		return 0, err
	}
	count := 1 + n.descendants()
	if count > max {
		return 0, failedAt("deleteall", n, &tooMany{count: count, max: max})
	}
	doomed := make([]*node, 0, count)
	if doomed, err = appendSubtree(doomed, n, a); err != nil {
		return 0, err
	}
	for _, n := range doomed {
		// An earlier delete may have put a copy in the place of n.
		t.fell(t.index.get(n.path))
	}
	return count, nil
}

// appendSubtree appends n behind all below it, if a may delete them. It goes
// down at most MaxPathDepth levels.
func appendSubtree(nodes []*node, n *node, a *Actor) (_ []*node, err error) {
	if n.numChildren() > 0 {
		if !n.acl.allows(Delete, a) {
			return nil, failedAt("deleteall", n, ErrNoAuth)
		}
		for _, child := range n.dir.children.All() {
			if nodes, err = appendSubtree(nodes, child, a); err != nil {
				return nil, err
			}
		}
	}
	return append(nodes, n), nil
}

// mayDelete makes the checks of a delete in ZooKeeper's order, up to the
// version. Whoever may not delete below the parent does not learn whether the
// node is there.
func (t *Tree) mayDelete(op string, a *Actor, path string, version int64) (*node, error) {
	n := t.index.get(path)
	if n == nil {
		if err := ValidatePath(path); err != nil {
			return nil, err
		}
	}
	if _, system := childrenAtStart(path); system {
		return nil, failedAt(op, n, badArguments("a system node cannot be deleted"))
	}
	parent := t.index.get(Parent(path))
	switch {
	case parent == nil:
		return nil, failed(op, path, ErrNoNode)
	case !parent.acl.allows(Delete, a):
		return nil, failed(op, path, ErrNoAuth)
	case n == nil:
		return nil, failed(op, path, ErrNoNode)
	case version != AnyVersion && version != n.version:
		return nil, failedAt(op, n, ErrBadVersion)
	}
	return n, nil
}

// Reap deletes a mortal node (see Mortals) that is as it was when it was found
// mortal: mzxid and pzxid are of then. Otherwise ErrNoNode, ErrNotEmpty or
// ErrBadVersion say what came between.
func (t *Tree) Reap(path string, mzxid, pzxid uint64) error {
	t.txn.mustBeOpen()
	n := t.index.get(path)
	switch {
	case n == nil:
		return t.notFound("reap", path)
	case n.numChildren() > 0:
		return failedAt("reap", n, ErrNotEmpty)
	case !n.mortal() || n.mzxid != mzxid || n.pzxid() != pzxid:
		return failedAt("reap", n, ErrBadVersion)
	}
	t.fell(n)
	return nil
}

// DeleteEphemerals removes every ephemeral node of a session, in the order of
// the paths as bytes, and returns how many.
func (t *Tree) DeleteEphemerals(session uint64) int {
	t.txn.mustBeOpen()
	paths, _ := t.Ephemerals(session, rootPath, "", 0)
	for _, path := range paths {
		t.fell(t.index.get(path))
	}
	return len(paths)
}

// tooMany is an ErrTooLarge with its figures.
type tooMany struct{ count, max int }

func (e *tooMany) Error() string {
	return ErrTooLarge.Error() + ": " + strconv.Itoa(e.count) + " nodes, at most " + strconv.Itoa(e.max) + " in one delete"
}

func (e *tooMany) Unwrap() error { return ErrTooLarge }
