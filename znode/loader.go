package znode

import (
	"errors"
	"fmt"
	"sync"

	"github.com/lycaon-io/lycaon/znode/cow"
)

// ErrInconsistent is what a Loader finds wrong with records.
var ErrInconsistent = errors.New("inconsistent records")

var (
	errLoaderUsed = errors.New("the loader has given its tree")
	errNoParent   = fmt.Errorf("%w: none of the nodes right above the one before is its parent and has children by its stat", ErrInconsistent)
	errOrder      = fmt.Errorf("%w: it does not come behind its siblings by name", ErrInconsistent)
)

// Loader builds a tree from the records of a Frozen, in their order. It takes
// nothing on trust: what it accepts is a tree that transactions could have made.
//
// Nearly all of the work is in the Runs, which may be made beside each other.
type Loader struct {
	tree    *Tree
	branch  branch // at the last record
	index   indexer
	special []*node
	err     error      // the first; the tree is then of no use
	sharing sync.Mutex // of tree.acls, which Runs look into
}

// NewLoader returns a Loader of an empty tree.
func NewLoader() *Loader { return &Loader{tree: newTree()} }

// Attach takes the records of the run, which come behind all that were taken
// before. An error wraps ErrInconsistent or what a create would say, is of the
// record with the number that it returns, and ends the loading: whatever is called
// next repeats it, with -1.
func (l *Loader) Attach(r *Run) (at int, err error) {
	if l.err != nil {
		return -1, l.err
	}
	for _, t := range r.tops {
		if err := l.attach(t.node); err != nil {
			l.err = recordError(t.node.path, err)
			return t.at, l.err
		}
	}
	l.branch = append(l.branch, r.branch...)
	for _, h := range r.held {
		h.acl.holders += h.nodes
	}
	l.special = append(l.special, r.special...)
	l.index.add(r.entries)
	l.tree.digest += r.digest
	l.tree.dataBytes += r.bytes
	return 0, nil
}

func (l *Loader) attach(n *node) error {
	if n.path == rootPath {
		if l.tree.root != nil {
			return ErrNodeExists
		}
		l.tree.root = n
		return nil
	}
	if err := l.branch.climb(Parent(n.path)); err != nil {
		return err
	}
	if len(l.branch) == 0 {
		return errNoParent
	}
	return l.branch.last().add(n)
}

// Tree ends the loading and returns the tree, after a check that nothing is
// missing.
func (l *Loader) Tree() (*Tree, error) {
	if l.err != nil {
		return nil, l.err
	}
	if l.err = l.branch.climb(""); l.err != nil {
		return nil, l.err
	}
	t := l.tree
	t.index = l.index.index()
	for _, s := range systemNodes {
		if t.index.get(s.path) == nil {
			l.err = fmt.Errorf("%w: %s is missing", ErrInconsistent, s.path)
			return nil, l.err
		}
	}
	for _, n := range l.special {
		t.list(n)
	}
	*l = Loader{err: errLoaderUsed}
	return t, nil
}

// share returns the one shared form of acl, for nodes that are to be counted
// among its holders.
func (l *Loader) share(acl ACL) *sharedACL {
	l.sharing.Lock()
	defer l.sharing.Unlock()
	a := l.tree.acls.share(acl)
	l.tree.acls.byKey[a.key] = a
	return a
}

func recordError(path string, err error) error {
	return fmt.Errorf("record %q: %w", path[:min(len(path), MaxPathBytes)], err)
}

// branch holds the nodes with children from the highest one down to the one to
// which, or to a parent of which, the next node belongs.
type branch []parent

type parent struct {
	node     *node
	children cow.Builder[string, *node]
	expected int // children
	nodes    int // below it, and the bytes of their data
	bytes    int64
}

func (b branch) last() *parent { return &b[len(b)-1] }

// climb leaves the nodes below path, which have all their children, and path as
// the last, or none if it is not there.
func (b *branch) climb(path string) error {
	for len(*b) > 0 && b.last().node.path != path {
		p := b.last()
		if err := p.close(); err != nil {
			return err
		}
		nodes, bytes := p.nodes, p.bytes
		*b = (*b)[:len(*b)-1]
		if len(*b) > 0 {
			b.last().nodes += nodes
			b.last().bytes += bytes
		}
	}
	return nil
}

func (p *parent) close() error {
	d := p.node.dir
	d.children = p.children.Map()
	if n := d.children.Len(); n != p.expected {
		return fmt.Errorf("%w: %q has %d children, its stat says %d", ErrInconsistent, p.node.path, n, p.expected)
	}
	d.below.nodes, d.below.bytes = p.nodes, p.bytes
	return nil
}

// add adds a child with what is counted below it by now.
func (p *parent) add(n *node) error {
	if !p.children.Add(n.name(), n) {
		return errOrder
	}
	p.nodes++
	p.bytes += int64(len(n.data))
	if n.dir != nil {
		b := n.dir.below
		b.up = p.node.dir.below
		p.nodes += b.nodes
		p.bytes += b.bytes
	}
	return nil
}
