package znode

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrInconsistent is what a Loader finds wrong with records.
var ErrInconsistent = errors.New("inconsistent records")

var errLoaderUsed = errors.New("the loader has given its tree")

// Loader builds a tree from the records of a Frozen. It takes nothing on
// trust: what it accepts is a tree that transactions could have made.
type Loader struct {
	tree     *Tree
	expected []expected
	parent   *node      // of the record before, most often of the next too
	acl      *sharedACL // likewise
	err      error      // the first; the tree is then of no use
}

// expected is what a record says of children that come after it.
type expected struct {
	node     *node
	children int
}

// maxSizeHint bounds what a Loader allocates on the word of an image alone:
// 140 MiB.
const maxSizeHint = 1 << 23

// NewLoader returns a Loader with room for about sizeHint records.
func NewLoader(sizeHint int) *Loader {
	return &Loader{tree: newTree(min(max(sizeHint, 0), maxSizeHint))}
}

// Add adds a node, whose parent must have come before. Children come cheapest
// in order. It copies what it keeps of r. The error, which Tree will repeat,
// wraps ErrInconsistent or what a create would say.
func (l *Loader) Add(r Record) error {
	if l.err != nil {
		return l.err
	}
	err := l.check(&r)
	if err == nil {
		err = l.add(&r)
	}
	if err != nil {
		l.err = fmt.Errorf("record %q: %w", r.Path[:min(len(r.Path), MaxPathBytes)], err)
	}
	return l.err
}

func (l *Loader) add(r *Record) error {
	n, nodes := l.node(r), l.tree.Len()
	if r.Path == rootPath {
		l.tree.plantRoot(n)
	} else {
		l.tree.attach(l.parent, n)
	}
	if l.tree.Len() == nodes { // cheaper than to look before
		return ErrNodeExists
	}
	if r.Sequence > 0 || r.Stat.NumChildren > 0 {
		l.tree.openDir(n)
		l.fillDir(n, r)
		l.expected = append(l.expected, expected{n, r.Stat.NumChildren})
	}
	return nil
}

// fillDir corrects the digest for the counters that attach did not see.
func (l *Loader) fillDir(n *node, r *Record) {
	l.tree.digest -= n.hash()
	n.dir.created, n.dir.pzxid = r.Sequence, r.Stat.Pzxid
	n.dir.deleted = uint64(r.Stat.Cversion) - r.Sequence
	l.tree.digest += n.hash()
}

// Tree ends the loading and returns the tree, after a check that nothing is
// missing.
func (l *Loader) Tree() (*Tree, error) {
	if l.err != nil {
		return nil, l.err
	}
	t := l.tree
	for _, s := range systemNodes {
		if t.index.get(s.path) == nil {
			return nil, fmt.Errorf("%w: %s is missing", ErrInconsistent, s.path)
		}
	}
	for _, e := range l.expected {
		if n := e.node.numChildren(); n != e.children {
			return nil, fmt.Errorf("%w: %q has %d children, its stat says %d", ErrInconsistent, e.node.path, n, e.children)
		}
		t.noteMortal(e.node)
	}
	*l = Loader{err: errLoaderUsed}
	return t, nil
}

func (l *Loader) node(r *Record) *node {
	path, data := strings.Clone(r.Path), cloneData(r.Data)
	n := &node{
		path: path, data: data, acl: l.acl, body: bodyHash(path, data),
		czxid: r.Stat.Czxid, mzxid: r.Stat.Mzxid, ctimeMs: r.Stat.CtimeMs, mtimeMs: r.Stat.MtimeMs,
		version: r.Stat.Version, aversion: r.Stat.Aversion, kind: r.Stat.Kind,
	}
	switch n.kind {
	case Ephemeral:
		n.grant = r.Stat.Owner
	case TTL:
		n.grant = uint64(r.Stat.TTLMs)
	}
	return n
}

// check also finds the parent and the ACL.
func (l *Loader) check(r *Record) error {
	if err := ValidatePath(r.Path); err != nil {
		return err
	}
	if err := l.checkPlace(r); err != nil {
		return err
	}
	if err := l.checkACL(r.ACL); err != nil {
		return err
	}
	if err := checkKind(&r.Stat); err != nil {
		return err
	}
	return checkCounters(r)
}

func (l *Loader) checkPlace(r *Record) error {
	if r.Path == rootPath {
		if l.tree.root != nil {
			return ErrNodeExists
		}
		return nil
	}
	if path := Parent(r.Path); l.parent == nil || l.parent.path != path {
		l.parent = l.tree.index.get(path)
	}
	switch {
	case l.parent == nil:
		return fmt.Errorf("%w: the parent has not come before", ErrInconsistent)
	case l.parent.kind == Ephemeral:
		return ErrNoChildrenForEphemerals
	case l.parent.dir == nil:
		return fmt.Errorf("%w: the parent has no children by its stat", ErrInconsistent)
	}
	return nil
}

// checkACL also finds the shared form.
func (l *Loader) checkACL(acl ACL) error {
	if l.acl != nil && slices.Equal(acl, l.acl.list) {
		return nil
	}
	normal, err := NormalizeACL(acl, nil)
	if err != nil {
		return err
	}
	if len(normal) != len(acl) {
		return fmt.Errorf("%w: the ACL has duplicates", ErrInconsistent)
	}
	l.acl = l.tree.acls.share(acl)
	return nil
}

func checkKind(s *Stat) error {
	var broken string
	switch {
	case s.Kind > TTL:
		broken = "unknown kind"
	case (s.Kind == Ephemeral) != (s.Owner != 0):
		broken = "an owner belongs to an ephemeral node"
	case s.Kind == TTL && (s.TTLMs < 1 || s.TTLMs > MaxTTLMs) || s.Kind != TTL && s.TTLMs != 0:
		broken = "a TTL out of bounds or place"
	case s.Kind == Ephemeral && s.NumChildren != 0:
		broken = "an ephemeral node with children"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", ErrInconsistent, broken)
}

func checkCounters(r *Record) error {
	s := &r.Stat
	atStart, system := childrenAtStart(r.Path)
	var broken string
	switch {
	case s.DataLength != len(r.Data):
		broken = "data of another length than in the stat"
	case s.Mzxid < s.Czxid || s.Pzxid < s.Czxid:
		broken = "changed before it was created"
	case s.Version < 0 || s.Aversion < 0 || s.NumChildren < 0:
		broken = "a negative counter"
	case r.Sequence > MaxCreated || s.NumChildren < atStart || int64(r.Sequence) < int64(s.NumChildren-atStart):
		broken = "more or fewer children than were ever created"
	case s.Cversion != 2*int64(r.Sequence)-int64(s.NumChildren-atStart):
		broken = "cversion, sequence and number of children contradict each other"
	case r.Sequence == 0 && s.Pzxid != s.Czxid:
		broken = "pzxid of children that never were"
	case system && s.Kind != Persistent:
		broken = "a system node that is not persistent"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", ErrInconsistent, broken)
}
