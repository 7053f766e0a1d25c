package client

import (
	"context"
	"errors"
	"iter"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// WalkOption shapes a Walk.
type WalkOption interface{ applyWalk(*walkConfig) }

type walkConfig struct {
	read  readConfig
	depth int
	op    protocol.Op
}

type walkOption func(*walkConfig)

func (f walkOption) applyWalk(c *walkConfig) { f(c) }

// Depth goes no further below the path than this: 0 is the node alone.
func Depth(n int) WalkOption { return walkOption(func(c *walkConfig) { c.depth = n }) }

// KeysOnly leaves the data out.
func KeysOnly() WalkOption { return walkOption(func(c *walkConfig) { c.op = protocol.OpExists }) }

// Walk yields a node and everything below it, parents first, names in order.
// It reads ahead, a few nodes at a time, and is not of one instant: a node
// deleted meanwhile is left out. A node that may not be read is yielded as its
// path with the error, and the walk goes on beside it; any other error is the
// last thing yielded.
func (c *Client) Walk(ctx context.Context, path string, opts ...WalkOption) iter.Seq2[*Node, error] {
	w := &walk{c: c, ctx: ctx, conf: walkConfig{read: c.defaultRead(), depth: znode.MaxPathDepth, op: protocol.OpGet}}
	for _, o := range opts {
		o.applyWalk(&w.conf)
	}
	return func(yield func(*Node, error) bool) {
		full, err := c.cfg.full(path)
		if err != nil {
			yield(nil, opError("walk", path, err))
			return
		}
		told := false
		w.yield = func(n *Node, err error) bool { told = true; return yield(n, err) }
		n, ok := w.take(w.begin(full), full)
		switch {
		case !told:
			yield(nil, opError("walk", path, ErrNoNode))
		case ok:
			w.below(full, n, 1)
		}
	}
}

type walk struct {
	c     *Client
	ctx   context.Context
	conf  walkConfig
	yield func(*Node, error) bool
}

// ahead is a read that has been started.
type ahead struct {
	cl  *call
	err error
}

func (w *walk) begin(full string) ahead {
	cl := w.c.newRead(w.conf.op, w.conf.read)
	cl.req.Read.Path = full
	return ahead{cl, w.c.start(cl)}
}

// take yields a started read's node. It returns no node if there is none any
// more or it may not be read, and false if the walk is over.
func (w *walk) take(a ahead, full string) (n *Node, goOn bool) {
	m, err := protocol.Message{}, a.err
	if err == nil {
		m, err = w.c.wait(w.ctx, a.cl)
	}
	local := w.c.cfg.local(full)
	switch {
	case errors.Is(err, ErrNoNode):
		return nil, true
	case errors.Is(err, ErrNoAuth):
		return nil, w.yield(&Node{Path: local, Zxid: m.Zxid}, opError("walk", local, err))
	case err != nil:
		w.yield(nil, opError("walk", local, err))
		return nil, false
	}
	n = &Node{Path: local, Data: m.Data, Stat: m.Stat, Zxid: m.Zxid}
	return n, w.yield(n, nil)
}

// below walks the children of n, which is at depth-1. It returns false if the
// walk is over.
func (w *walk) below(full string, n *Node, depth int) bool {
	if n == nil || n.Stat.NumChildren == 0 || depth > min(w.conf.depth, znode.MaxPathDepth) {
		return true
	}
	_, names, err := w.c.listAll(w.ctx, full, w.conf.read, 0, "")
	if errors.Is(err, ErrNoNode) {
		return true
	}
	if err != nil {
		w.yield(nil, opError("walk", w.c.cfg.local(full), err))
		return false
	}
	var started queue[ahead]
	defer w.forget(&started)
	next := 0
	for _, name := range names {
		for ; next < len(names) && started.len() < walkAhead; next++ {
			started.push(w.begin(znode.Join(full, names[next])))
		}
		child := znode.Join(full, name)
		n, ok := w.take(started.pop(), child)
		if !ok || !w.below(child, n, depth+1) {
			return false
		}
	}
	return true
}

// forget gives up reads that nobody will take.
func (w *walk) forget(started *queue[ahead]) {
	for started.len() > 0 {
		a := started.pop()
		if a.err == nil && w.c.abandon(a.cl, context.Canceled) == nil {
			w.c.recycle(a.cl)
		}
	}
}
