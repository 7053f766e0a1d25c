package znode

import "strings"

// Get returns the data of a node, which nobody may write to, and its stat. It
// wants READ.
func (t *Tree) Get(a *Actor, path string) ([]byte, Stat, error) {
	n, err := t.find("get", path, a, Read)
	if err != nil {
		return nil, Stat{}, err
	}
	if inQuotas(path) {
		data, st := t.shown(n)
		return data, st, nil
	}
	return n.data[:len(n.data):len(n.data)], n.stat(), nil
}

// Exists returns the stat of a node. It wants READ, as ZooKeeper does since
// 3.8.4.
func (t *Tree) Exists(a *Actor, path string) (Stat, error) {
	n, err := t.find("exists", path, a, Read)
	if err != nil {
		return Stat{}, err
	}
	return t.shownStat(n), nil
}

// Children returns, in order, at most limit (0: all) names of children above
// after, in a slice of the caller's own, whether there are more, and the stat
// of the node. It wants READ.
func (t *Tree) Children(a *Actor, path, after string, limit int) (names []string, more bool, st Stat, err error) {
	n, err := t.find("children", path, a, Read)
	if err != nil {
		return nil, false, Stat{}, err
	}
	st = t.shownStat(n)
	if st.NumChildren == 0 {
		return []string{}, false, st, nil
	}
	if limit <= 0 || limit > st.NumChildren {
		limit = st.NumChildren
	}
	names = make([]string, 0, limit+1) // one to see whether there are more
	names, more = n.dir.children.AppendKeys(names, after, limit)
	return names, more, st, nil
}

// ChildrenStat returns the stat of a node to those to whom Children lists it.
func (t *Tree) ChildrenStat(a *Actor, path string) (Stat, error) {
	n, err := t.find("children", path, a, Read)
	if err != nil {
		return Stat{}, err
	}
	return t.shownStat(n), nil
}

// ACL returns the ACL of a node and its stat. It wants READ or ADMIN, and
// without ADMIN the hashes of digest ids are hidden.
func (t *Tree) ACL(a *Actor, path string) (ACL, Stat, error) {
	n, err := t.find("getACL", path, a, Read|Admin)
	if err != nil {
		return nil, Stat{}, err
	}
	if n.acl.allows(Admin, a) {
		return n.acl.list, t.shownStat(n), nil
	}
	return n.acl.list.redacted(), t.shownStat(n), nil
}

// Count returns the number of nodes below a node. It wants READ.
func (t *Tree) Count(a *Actor, path string) (int, error) {
	n, err := t.find("count", path, a, Read)
	if err != nil {
		return 0, err
	}
	return n.descendants(), nil
}

func (n *node) descendants() int {
	if n.dir == nil {
		return 0
	}
	return n.dir.below.nodes
}

// Peek returns the stat and ACL of a node, as they are stored, without a check.
func (t *Tree) Peek(path string) (Stat, ACL, bool) {
	n := t.index.get(path)
	if n == nil {
		return Stat{}, nil, false
	}
	return n.stat(), n.acl.list, true
}

// Ephemerals returns, in the order of the bytes, at most limit (0: all) paths
// above after of the ephemeral nodes of a session that start with prefix ("" or
// "/" for all), and whether there are more.
func (t *Tree) Ephemerals(session uint64, prefix, after string, limit int) (paths []string, more bool) {
	set := t.ephemerals[session]
	if set == nil {
		return nil, false
	}
	rest := set.After(after)
	if after < prefix {
		rest = set.From(prefix)
	}
	for path := range rest {
		if !strings.HasPrefix(path, prefix) {
			break // all that start with prefix lie together
		}
		if limit > 0 && len(paths) == limit {
			return paths, true
		}
		paths = append(paths, path)
	}
	return paths, false
}

// NumEphemerals returns the number of ephemeral nodes of a session.
func (t *Tree) NumEphemerals(session uint64) int {
	set := t.ephemerals[session]
	if set == nil {
		return 0
	}
	return set.Len()
}

// Mortal is a node that the leader may reap: a container that lost its last
// child, or a childless TTL node once its TTL has passed without a change.
type Mortal struct {
	Path         string
	Kind         Kind
	TTLMs        int64
	Mzxid, Pzxid uint64
}

// Mortals returns at most limit mortal nodes above after, in the order of the
// bytes of their paths, and the cursor for the next call: "" when it has come
// round. A limit below 1 is 1.
func (t *Tree) Mortals(after string, limit int) ([]Mortal, string) {
	var found []Mortal
	limit = max(limit, 1)
	for path := range t.mortals.After(after) {
		if len(found) == limit {
			return found, found[limit-1].Path
		}
		n := t.index.get(path)
		found = append(found, Mortal{Path: n.path, Kind: n.kind, TTLMs: n.ttlMs(), Mzxid: n.mzxid, Pzxid: n.pzxid()})
	}
	return found, ""
}
