package migrate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/lycaon-io/lycaon/znode"
)

// Copier makes the tree at and below one path of the target like that of the
// source. It keeps what it has copied of every node, some hundred bytes each.
type Copier struct {
	src  Source
	dst  Target
	root string
	// looked is told of nodes looked at.
	looked func(n int)

	chunk int    // nodes to look at together
	pass  uint32 // number of the present one
	nodes map[string]*node
}

// node is what is known of one path.
type node struct {
	at       Stat     // the state that was copied
	children []string // then
	pass     uint32   // the last one that found it on the source, to be copied
	there    bool     // on the target
	copied   bool     // the target has it as of at
	raised   int64    // the counter of the target's, at least
	problem  string   // why it was not copied
}

// Pass is what one pass did.
type Pass struct {
	Looked, Created, Changed, Deleted int // nodes
	Raised                            int // sequence counters
	Ephemerals, Problems              int
	Bytes                             int64 // of data written
}

// quiet tells a pass that found nothing to do. A counter that has risen is a sign
// of life too: of nodes that came and went, as those of locks do.
func (p *Pass) quiet() bool { return p.Created+p.Changed+p.Deleted+p.Raised == 0 }

// ErrNotEmpty says that there is something already where the tree is to go.
var ErrNotEmpty = errors.New("the target has nodes there already")

// NewCopier copies the tree at root; looked, if not nil, is told of progress.
func NewCopier(src Source, dst Target, root string, looked func(n int)) *Copier {
	if looked == nil {
		looked = func(int) {}
	}
	return &Copier{src: src, dst: dst, root: root, looked: looked, chunk: firstChunk, nodes: map[string]*node{}}
}

// Prepare looks at the target and makes what is above the tree. With resume,
// what is there counts as a copy begun earlier: it will be overwritten, and
// deleted where the source has nothing. Without, nothing may be there but the
// top node.
func (c *Copier) Prepare(ctx context.Context, resume bool) error {
	if err := c.makeAncestors(ctx); err != nil {
		return err
	}
	for level := []string{c.root}; len(level) > 0; {
		var next []string
		for chunk := range slices.Chunk(level, mostChunk) {
			found, err := lookAt(ctx, chunk, func(ctx context.Context, path string) (Node, error) {
				return c.dst.Look(ctx, path, Children)
			})
			if err != nil {
				return err
			}
			for i, n := range found {
				if n == nil || n.Ephemeral {
					continue
				}
				c.nodes[chunk[i]] = &node{there: true}
				next = append(next, below(chunk[i], n.Children)...)
			}
		}
		if len(next) > 0 && !resume {
			return fmt.Errorf("%w: %s", ErrNotEmpty, next[0])
		}
		level = next
	}
	return nil
}

// lookAt looks at many nodes together; one that is not there is nil.
func lookAt(ctx context.Context, paths []string, look func(context.Context, string) (Node, error)) ([]*Node, error) {
	found := make([]*Node, len(paths))
	err := parallel(ctx, len(paths), lookers, func(ctx context.Context, i int) error {
		n, err := look(ctx, paths[i])
		if errors.Is(err, znode.ErrNoNode) {
			return nil
		}
		found[i] = &n
		return err
	})
	return found, err
}

// below returns the paths of children that are to be copied.
func below(path string, names []string) []string {
	paths := make([]string, 0, len(names))
	for _, name := range names {
		if child := znode.Join(path, name); !isSystem(child) {
			paths = append(paths, child)
		}
	}
	return paths
}

// makeAncestors copies the nodes above the tree that the target lacks, and
// leaves those that it has.
func (c *Copier) makeAncestors(ctx context.Context) error {
	var missing []string
	for path := znode.Parent(c.root); path != "/"; path = znode.Parent(path) {
		_, err := c.dst.Look(ctx, path, 0)
		if err == nil {
			break
		}
		if !errors.Is(err, znode.ErrNoNode) {
			return err
		}
		missing = append(missing, path)
	}
	for _, path := range slices.Backward(missing) {
		n, err := c.src.Look(ctx, path, Data|ACL)
		if err == nil && concealed(n.ACL) {
			err = errConcealed
		}
		if err == nil {
			_, err = c.dst.Apply(ctx, []Change{{Kind: Create, Path: path, Data: n.Data, ACL: n.ACL}})
		}
		if err != nil {
			return fmt.Errorf("above the tree, %s: %w", path, err)
		}
	}
	return nil
}

// Pass makes the target like the source as far as it can be seen in one walk.
func (c *Copier) Pass(ctx context.Context) (Pass, error) {
	var done Pass
	if err := c.src.Sync(ctx); err != nil {
		return done, err
	}
	c.pass++
	for level := []string{c.root}; len(level) > 0; {
		var next []string
		for len(level) > 0 {
			n := min(c.chunk, len(level))
			children, err := c.copyChunk(ctx, level[:n], &done)
			if err != nil {
				return done, err
			}
			level, next = level[n:], append(next, children...)
		}
		level = next
	}
	if n := c.nodes[c.root]; n == nil || n.pass != c.pass {
		return done, fmt.Errorf("the source: %s: %w", c.root, znode.ErrNoNode)
	}
	if err := c.deleteRest(ctx, &done); err != nil {
		return done, err
	}
	return done, c.raise(ctx, &done)
}

// item is one node of a chunk: what was seen of it, and what is to be done.
type item struct {
	path    string
	node    *node
	seen    Node
	changes []Change
	tries   int
}

// copyChunk copies nodes of one level, whose parents are there, and returns the
// paths below them.
func (c *Copier) copyChunk(ctx context.Context, paths []string, done *Pass) (next []string, err error) {
	items := make([]*item, len(paths))
	err = parallel(ctx, len(paths), lookers, func(ctx context.Context, i int) error {
		it, err := c.look(ctx, paths[i])
		items[i] = it
		return err
	})
	if err != nil {
		return nil, err
	}
	c.looked(len(paths))
	done.Looked += len(paths)
	c.chunk = nextChunk(c.chunk, items)
	items = slices.DeleteFunc(items, func(it *item) bool { return !c.take(it, done) })
	if err := c.apply(ctx, items, done); err != nil {
		return nil, err
	}
	for _, it := range items {
		if it.node.problem == "" {
			next = append(next, below(it.path, it.node.children)...)
		} else {
			done.Problems++
		}
	}
	return next, nil
}

// nextChunk lets fewer large nodes be held in memory than small ones.
func nextChunk(now int, items []*item) int {
	bytes := 0
	for _, it := range items {
		if it != nil {
			bytes += len(it.seen.Data)
		}
	}
	if bytes > chunkBytes {
		return max(now/4, leastChunk)
	}
	return min(2*now, mostChunk)
}

// look fetches what has changed of a node, nil if it is gone. It runs beside
// others and changes nothing.
func (c *Copier) look(ctx context.Context, path string) (*item, error) {
	it := &item{path: path, node: c.nodes[path]}
	if it.node == nil {
		it.node = &node{}
	}
	if err := znode.ValidatePath(path); err != nil {
		it.node.problem = err.Error()
		return it, nil
	}
	var err error
	var want Parts = All
	if it.node.copied {
		if it.seen, err = c.src.Look(ctx, path, 0); err == nil {
			want = it.node.at.changed(&it.seen.Stat)
		}
	}
	if err == nil && want != 0 {
		first := it.seen.Stat
		it.seen, err = c.src.Look(ctx, path, want)
		if it.node.copied {
			it.seen.Stat = first // what changed in between is for the next pass
		}
	}
	switch {
	case errors.Is(err, znode.ErrNoNode):
		return nil, nil
	case errors.Is(err, znode.ErrNoAuth):
		it.node.problem = "may not be read at the source"
		return it, nil
	case err != nil:
		return nil, err
	}
	it.node.problem = ""
	it.plan(want)
	return it, nil
}

var errConcealed = errors.New("its ACL is shown without the proofs of its users, since we have no ADMIN on it")

// plan sets what makes the target's node like what was seen of the source's.
func (it *item) plan(got Parts) {
	if it.seen.Ephemeral {
		return
	}
	if got&ACL != 0 && concealed(it.seen.ACL) {
		it.node.problem = errConcealed.Error()
		return
	}
	if got&Children == 0 {
		it.seen.Children = it.node.children
	}
	switch {
	case !it.node.there:
		it.changes = it.create()
	case !it.node.copied:
		it.changes = it.replace(All)
	default:
		it.changes = it.replace(got)
	}
}

func (it *item) create() []Change {
	return []Change{{Kind: Create, Path: it.path, Data: it.seen.Data, ACL: it.seen.ACL}}
}

func (it *item) replace(parts Parts) (changes []Change) {
	if parts&Data != 0 {
		changes = append(changes, Change{Kind: SetData, Path: it.path, Data: it.seen.Data})
	}
	if parts&ACL != 0 {
		changes = append(changes, Change{Kind: SetACL, Path: it.path, ACL: it.seen.ACL})
	}
	return changes
}

// take enters a node into what is known, and tells whether it is to be copied.
func (c *Copier) take(it *item, done *Pass) bool {
	if it == nil {
		return false
	}
	if it.seen.Ephemeral {
		done.Ephemerals++
		return false
	}
	it.node.pass = c.pass
	c.nodes[it.path] = it.node
	if it.node.problem != "" {
		done.Problems++
		return false
	}
	return true
}

// deleteRest deletes what this pass has not found on the source, children
// before their parents. What is below a node that could not be read stays.
func (c *Copier) deleteRest(ctx context.Context, done *Pass) error {
	var gone []string
	for path, n := range c.nodes {
		if n.pass == c.pass || c.hidden(path) {
			continue
		}
		if n.there {
			gone = append(gone, path)
		} else {
			delete(c.nodes, path)
		}
	}
	slices.SortFunc(gone, func(a, b string) int { return -compareDepth(a, b) })
	for batch := range slices.Chunk(gone, batchOps) {
		if err := c.deleteBatch(ctx, batch, done); err != nil {
			return err
		}
	}
	return nil
}

// compareDepth orders parents before children.
func compareDepth(a, b string) int {
	if d := znode.Depth(a) - znode.Depth(b); d != 0 {
		return d
	}
	if a < b {
		return -1
	}
	return 1
}

// hidden tells whether a node above path could not be read.
func (c *Copier) hidden(path string) bool {
	for path != c.root && path != "/" {
		path = znode.Parent(path)
		if n := c.nodes[path]; n != nil && n.problem != "" && n.pass == c.pass {
			return true
		}
	}
	return false
}

func (c *Copier) deleteBatch(ctx context.Context, paths []string, done *Pass) error {
	paths = slices.Clone(paths)
	for len(paths) > 0 {
		changes := make([]Change, len(paths))
		for i, path := range paths {
			changes[i] = Change{Kind: Delete, Path: path}
		}
		culprit, err := c.dst.Apply(ctx, changes)
		switch {
		case err == nil:
			for _, path := range paths {
				delete(c.nodes, path)
			}
			done.Deleted += len(paths)
			return nil
		case errors.Is(err, znode.ErrNoNode):
			delete(c.nodes, paths[culprit])
		case errors.Is(err, znode.ErrNotEmpty):
			c.nodes[paths[culprit]].problem = "is to be deleted, but the target has other nodes below it"
			done.Problems++
		default:
			return fmt.Errorf("delete %s: %w", paths[culprit], err)
		}
		paths = slices.Delete(paths, culprit, culprit+1)
	}
	return nil
}

// raise lets the target's sequence numbers go on where the source's are.
func (c *Copier) raise(ctx context.Context, done *Pass) error {
	var behind []string
	for path, n := range c.nodes {
		if n.pass == c.pass && n.copied && n.at.Created > n.raised {
			behind = append(behind, path)
		}
	}
	done.Raised = len(behind)
	return parallel(ctx, len(behind), lookers, func(ctx context.Context, i int) error {
		n := c.nodes[behind[i]]
		if err := c.dst.Raise(ctx, behind[i], n.at.Created); err != nil {
			return fmt.Errorf("the sequence numbers below %s: %w", behind[i], err)
		}
		n.raised = n.at.Created
		return nil
	})
}

// Problem is a node that could not be copied, and why.
type Problem struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Problems lists what the last pass could not copy, in the order of the paths.
func (c *Copier) Problems() (all []Problem) {
	for _, path := range slices.Sorted(maps.Keys(c.nodes)) {
		if n := c.nodes[path]; n.problem != "" {
			all = append(all, Problem{path, n.problem})
		}
	}
	return all
}
