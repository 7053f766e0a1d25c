package target

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/znode"
)

// Bounds of a Writer. Transactions are well below what a server takes, because
// nothing else is applied while one is.
const (
	MaxOps   = 500       // of a transaction
	maxBytes = 512 << 10 // of a transaction, unless one node has more
	inFlight = 4         // transactions
	raising  = 64        // counters at once, each a write of its own
)

// Config is what a Writer has to know besides the nodes.
type Config struct {
	Op       string // what errors call it
	Existing Existing
	There    map[string]bool // as Prepare returned it
	Progress func(nodes int) // told of each transaction's; nil for nobody
}

// Writer gathers nodes into transactions and keeps several of them in flight.
// A node waits for the transaction that makes its parent.
type Writer struct {
	ctx    context.Context
	client *client.Client
	cfg    Config
	next   batch // gathered, and not sent
	counts []count

	mu        sync.Mutex
	answered  *sync.Cond      // on mu
	flying    int             // batches
	unsettled map[string]bool // the paths of those
	written   int
	err       error // the first; nothing is sent after it
}

// count is the children ever created below a node.
type count struct {
	path    string
	atLeast int64
}

// batch is one transaction.
type batch struct {
	ops   []client.Op
	paths []string // of ops
	nodes int
	bytes int
}

// NewWriter returns a Writer whose requests end with ctx.
func NewWriter(ctx context.Context, c *client.Client, cfg Config) *Writer {
	w := &Writer{ctx: ctx, client: c, cfg: cfg, unsettled: map[string]bool{}}
	w.answered = sync.NewCond(&w.mu)
	return w
}

// Put takes a node, whose parent must be there or have been put before. The
// node is written now or later; an error may be of a node before it, and is
// the last word of this Writer.
func (w *Writer) Put(n Node) error {
	ops, err := w.operations(&n)
	if err != nil {
		return w.fail(err)
	}
	if n.Sequence > 0 {
		w.counts = append(w.counts, count{n.Path, n.Sequence})
	}
	if len(ops) == 0 {
		return nil
	}
	if b := &w.next; len(b.ops) > 0 && (len(b.ops)+len(ops) > MaxOps || b.bytes+n.size() > maxBytes) {
		if err := w.send(); err != nil {
			return err
		}
	}
	if err := w.awaitParent(n.Path); err != nil {
		return err
	}
	w.next.ops = append(w.next.ops, ops...)
	for range ops {
		w.next.paths = append(w.next.paths, n.Path)
	}
	w.next.bytes += n.size()
	w.next.nodes++
	return nil
}

func (w *Writer) operations(n *Node) ([]client.Op, error) {
	if n.Path == "/" {
		return w.root(n)
	}
	switch there := w.cfg.There[n.Path]; {
	case there && w.cfg.Existing == Replace:
		return n.replace(), nil
	case there && w.cfg.Existing == Refuse:
		return nil, existsError(w.cfg.Op, n.Path)
	case w.cfg.Existing == Keep:
		return []client.Op{n.create(client.IfAbsent())}, nil
	}
	return []client.Op{n.create()}, nil
}

// root is always there. As long as nobody has changed it, it counts as absent.
func (w *Writer) root(n *Node) ([]client.Op, error) {
	if n.Data == nil && n.ACL == nil || w.cfg.Existing == Keep {
		return nil, nil
	}
	if w.cfg.Existing == Refuse {
		st, err := w.client.Exists(w.ctx, "/")
		if err != nil {
			return nil, err
		}
		if st.Version > 0 || st.Aversion > 0 {
			return nil, existsError(w.cfg.Op, "/")
		}
	}
	return n.replace(), nil
}

// fail keeps the first error, and returns it; nil is none.
func (w *Writer) fail(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	return w.err
}

// Flush sends what was gathered, unless there was an error, and waits for all
// that is in flight. Then it sets the counts of children: those of the children
// that were written are in them.
func (w *Writer) Flush() error {
	_ = w.send() // its error is w.err
	w.awaitAll()
	counts := w.counts
	w.counts = nil
	var all sync.WaitGroup
	for part := range slices.Chunk(counts, max(1, (len(counts)+raising-1)/raising)) {
		all.Go(func() { w.raise(part) })
	}
	all.Wait()
	return w.fail(nil)
}

func (w *Writer) awaitAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.flying > 0 {
		w.answered.Wait()
	}
}

// raise sets counts one after another, until somebody fails. A node that has gone
// since it was written has none.
func (w *Writer) raise(counts []count) {
	for _, c := range counts {
		if w.fail(nil) != nil {
			return
		}
		if err := w.client.RaiseSequence(w.ctx, c.path, c.atLeast); err != nil && !errors.Is(err, client.ErrNoNode) {
			w.fail(err)
		}
	}
}

// Written counts the nodes that are known to be there.
func (w *Writer) Written() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written
}

// awaitParent waits for the parent of path, and for nothing if that is not in
// flight: within one transaction operations see those before them.
func (w *Writer) awaitParent(path string) error {
	parent := znode.Parent(path)
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.unsettled[parent] && w.err == nil {
		w.answered.Wait()
	}
	return w.err
}

func (w *Writer) send() error {
	b := w.next
	w.next = batch{}
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.flying == inFlight && w.err == nil {
		w.answered.Wait()
	}
	if w.err != nil || len(b.ops) == 0 {
		return w.err
	}
	w.flying++
	for _, path := range b.paths {
		w.unsettled[path] = true
	}
	go w.fly(b)
	return nil
}

// fly is one transaction. Flush waits for it.
func (w *Writer) fly(b batch) {
	_, err := w.client.Commit(w.ctx, b.ops...)
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.answered.Broadcast()
	w.flying--
	for _, path := range b.paths {
		delete(w.unsettled, path)
	}
	if err != nil {
		if w.err == nil {
			w.err = w.nameCulprit(err, b.paths)
		}
		return
	}
	w.written += b.nodes
	if w.cfg.Progress != nil {
		w.cfg.Progress(b.nodes)
	}
}

// nameCulprit turns the number of the operation that failed into its path.
func (w *Writer) nameCulprit(err error, paths []string) error {
	call, failed := (*client.Error)(nil), (*client.MultiError)(nil)
	if !errors.As(err, &call) || !errors.As(err, &failed) {
		return err
	}
	named := *call
	named.Op, named.Path, named.Err = w.cfg.Op, paths[failed.Index], failed.Err
	if errors.Is(failed.Err, client.ErrNodeExists) {
		named.Detail = ExistsHint
	}
	return &named
}
