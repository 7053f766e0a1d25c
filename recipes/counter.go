package recipes

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/lycaon-io/lycaon/client"
)

var (
	// ErrNotCounter: the node's data is not 8 bytes.
	ErrNotCounter = errors.New("not a counter")
	// ErrOverflow: the sum is beyond 64 bits.
	ErrOverflow = errors.New("counter overflow")
)

// Counter is a number of 64 bits that everybody adds to. It is a persistent node
// with the number in big endian, as Curator's DistributedAtomicLong has it.
type Counter struct {
	c    Client
	conf config
	path string
}

// NewCounter makes nothing in the tree before it is used. A counter begins at 0.
func NewCounter(c Client, path string, opts ...Option) *Counter {
	return &Counter{c, newConfig(opts), path}
}

// Get returns a number no older than any that anybody has been told.
func (c *Counter) Get(ctx context.Context) (int64, error) {
	n, err := c.c.Get(ctx, c.path, client.Linearizable())
	if errors.Is(err, client.ErrNoNode) {
		return 0, nil
	}
	if err != nil {
		return 0, wrap("get", c.path, err)
	}
	v, err := decodeCount(n.Data)
	return v, wrap("get", c.path, err)
}

// Add adds n, which may be negative, and returns the sum. It is added once, or not
// at all if there is an error that has no client.Error with Maybe. Who loses a race
// tries again, as long as ctx lasts.
func (c *Counter) Add(ctx context.Context, n int64) (int64, error) {
	var sum int64
	err := update(ctx, c.c, c.conf, c.path, func(old *client.Node) ([]byte, error) {
		var v int64
		if old != nil {
			var err error
			if v, err = decodeCount(old.Data); err != nil {
				return nil, err
			}
		}
		if n > 0 && v > math.MaxInt64-n || n < 0 && v < math.MinInt64-n {
			return nil, fmt.Errorf("%w: %d and %d", ErrOverflow, v, n)
		}
		sum = v + n
		return binary.BigEndian.AppendUint64(nil, uint64(sum)), nil
	})
	if err != nil {
		return 0, wrap("add", c.path, err)
	}
	return sum, nil
}

func decodeCount(data []byte) (int64, error) {
	switch len(data) {
	case 0:
		return 0, nil
	case 8:
		return int64(binary.BigEndian.Uint64(data)), nil
	}
	return 0, fmt.Errorf("%w: %d bytes", ErrNotCounter, len(data))
}

// update sets what f makes of a node's data, nil if there is no node, again and
// again while somebody else is faster.
func update(ctx context.Context, c Client, conf config, path string, f func(old *client.Node) ([]byte, error)) error {
	var fenced error // because what was read is gone, or by a guard of the caller's
	var read uint64  // which node that was
	for {
		old, err := c.Get(ctx, path)
		switch {
		case err != nil && !errors.Is(err, client.ErrNoNode):
			return err
		case fenced != nil && old != nil && old.Stat.Czxid == read:
			return fenced
		}
		data, err := f(old)
		if err != nil {
			return err
		}
		if old == nil {
			err = conf.inDir(ctx, c, parent(path), func() error {
				_, err := c.Create(ctx, path, data, conf.create()...)
				return err
			})
		} else {
			// The versions of a node that is made again begin anew.
			this := client.WithGuard(ctx, client.NewGuard(path, old.Stat.Czxid))
			_, err = c.Set(this, path, data, client.IfVersion(old.Stat.Version))
		}
		fenced = nil
		switch {
		case errors.Is(err, client.ErrFenced) && old != nil:
			fenced, read = err, old.Stat.Czxid
		case !errors.Is(err, client.ErrBadVersion) && !errors.Is(err, client.ErrNodeExists):
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}
