package recipes

import (
	"context"
	"errors"

	"github.com/lycaon-io/lycaon/client"
)

// Barrier holds up everybody who waits while it is raised. It outlives its
// clients: it is a persistent node, that of Curator's DistributedBarrier.
type Barrier struct {
	c    Client
	conf config
	path string
}

// NewBarrier makes nothing in the tree before it is used.
func NewBarrier(c Client, path string, opts ...Option) *Barrier {
	return &Barrier{c, newConfig(opts), path}
}

// Raise holds up those who wait from now on. It may be raised already.
func (b *Barrier) Raise(ctx context.Context) error {
	err := b.conf.inDir(ctx, b.c, parent(b.path), func() error {
		_, err := b.c.Create(ctx, b.path, notNull(nil), b.conf.create(client.IfAbsent())...)
		return err
	})
	return wrap("raise", b.path, err)
}

// Lower lets everybody go. It may be down already.
func (b *Barrier) Lower(ctx context.Context) error {
	return wrap("lower", b.path, unlessGone(b.c.Delete(ctx, b.path)))
}

// Wait returns when the barrier is down, or was for a moment after the call began.
func (b *Barrier) Wait(ctx context.Context) error {
	return wrap("wait", b.path, untilGone(patient{ctx}, b.c, b.path))
}

// untilGone returns when there is no node at path, or was none for a moment. It asks
// the leader first: a server that is behind may not have heard of the node.
func untilGone(ctx context.Context, c Client, path string) error {
	w, err := c.Watch(ctx, path, client.Types(client.EventDeleted))
	if err != nil {
		return err
	}
	defer w.Close()
	n, err := c.Get(ctx, path, client.Linearizable())
	if err != nil {
		return unlessGone(err)
	}
	return gone(ctx, w, n.Stat.Czxid)
}

func unlessGone(err error) error {
	if errors.Is(err, client.ErrNoNode) {
		return nil
	}
	return err
}
