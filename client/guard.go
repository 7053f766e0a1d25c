package client

import (
	"context"
	"fmt"
	"slices"

	"github.com/lycaon-io/lycaon/protocol"
)

// Guard names a node as one transaction made it. A write under a guard happens
// only while that very node is there: neither deleted, nor deleted and made again.
// A client that holds a lock by a node of its own puts it on its writes, and what
// it sends after it has lost the lock, however late, changes nothing.
type Guard struct {
	path  string
	czxid uint64
}

// NewGuard guards by the node at path that transaction czxid created (Stat.Czxid,
// or Node.Stat.Czxid of a Create). The path is of the clients whose writes it is
// put on, below their chroot.
func NewGuard(path string, czxid uint64) Guard { return Guard{path, czxid} }

// Path is that of the node.
func (g Guard) Path() string { return g.path }

// Token is a fencing token: it rises with every node that is created, so that of
// two holders of a lock the later one has the higher.
func (g Guard) Token() uint64 { return g.czxid }

// String is PATH@CZXID, as LYCAON_GUARD has it.
func (g Guard) String() string { return fmt.Sprintf("%s@%d", g.path, g.czxid) }

type guardKey struct{}

// WithGuard puts g on every write under ctx, beside those that ctx has already.
// A write whose guard does not hold is refused with ErrFenced, and none of it
// happens. Reads are not guarded.
func WithGuard(ctx context.Context, g Guard) context.Context {
	return context.WithValue(ctx, guardKey{}, append(slices.Clip(guardsOf(ctx)), g))
}

func guardsOf(ctx context.Context) []Guard {
	guards, _ := ctx.Value(guardKey{}).([]Guard)
	return guards
}

// guardOps are the operations that come before those of a guarded write.
func (c *Client) guardOps(ctx context.Context) ([]protocol.WriteOp, error) {
	guards := guardsOf(ctx)
	ops := make([]protocol.WriteOp, len(guards))
	for i, g := range guards {
		full, err := c.cfg.full(g.path)
		if err != nil {
			return nil, err
		}
		ops[i] = protocol.WriteOp{Op: protocol.OpGuard, Path: full, Czxid: g.czxid}
	}
	return ops, nil
}

// guarded sends a single write behind its guards, and answers as if it were
// alone.
func (c *Client) guarded(ctx context.Context, guards []protocol.WriteOp, w protocol.WriteOp) (protocol.Message, error) {
	m, err := c.all(ctx, append(guards, w))
	if err != nil {
		return m, unguarded(err, len(guards)+1) // which of them failed is not told either
	}
	alone := m.More.Results[len(guards)]
	alone.Zxid = m.Zxid
	return alone, nil
}
