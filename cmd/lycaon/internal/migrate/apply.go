package migrate

import (
	"context"
	"errors"
	"fmt"

	"github.com/lycaon-io/lycaon/znode"
)

// apply makes the changes of items, which do not depend on each other, many at
// a time.
func (c *Copier) apply(ctx context.Context, items []*item, done *Pass) error {
	batches := batched(items)
	passes := make([]Pass, len(batches))
	err := parallel(ctx, len(batches), appliers, func(ctx context.Context, i int) error {
		return c.applyBatch(ctx, batches[i], &passes[i])
	})
	for i := range passes {
		done.Created += passes[i].Created
		done.Changed += passes[i].Changed
		done.Bytes += passes[i].Bytes
	}
	return err
}

// batched gathers items into transactions. The changes of one node are in one.
func batched(items []*item) (batches [][]*item) {
	ops, bytes := 0, 0
	for _, it := range items {
		size := 0
		for i := range it.changes {
			size += it.changes[i].size()
		}
		if len(batches) == 0 || ops+len(it.changes) > batchOps || bytes+size > batchBytes {
			batches, ops, bytes = append(batches, nil), 0, 0
		}
		last := len(batches) - 1
		batches[last] = append(batches[last], it)
		ops, bytes = ops+len(it.changes), bytes+size
	}
	return batches
}

// applyBatch makes the changes of a batch in one transaction. A node that the
// target refuses is taken out, and one that is not as it was thought is tried
// in another way, until the rest is done.
func (c *Copier) applyBatch(ctx context.Context, items []*item, done *Pass) error {
	for {
		var changes []Change
		var owners []*item
		for _, it := range items {
			if it.node.problem != "" {
				continue
			}
			for _, change := range it.changes {
				changes, owners = append(changes, change), append(owners, it)
			}
		}
		if len(changes) > 0 {
			if culprit, err := c.dst.Apply(ctx, changes); err != nil {
				if err := owners[culprit].retry(err, done); err != nil {
					return err
				}
				continue
			}
		}
		for _, it := range items {
			it.applied(done)
		}
		return nil
	}
}

// retry decides what becomes of a node whose change has failed. The error is
// one that ends the migration.
func (it *item) retry(err error, done *Pass) error {
	it.tries++
	switch {
	case it.tries == maxTries:
		it.node.problem = fmt.Sprintf("the target changes under us: %v", err)
	case errors.Is(err, znode.ErrNodeExists):
		it.node.there = true
		it.changes = it.replace(All)
	case errors.Is(err, znode.ErrNoNode) && it.node.there:
		it.node.there = false
		it.node.problem = "the target has lost it; the next pass makes it anew"
		done.Changed++ // so that there is a next pass
	case refused(err):
		it.node.problem = fmt.Sprintf("the target refuses it: %v", err)
	default:
		return fmt.Errorf("%s: %w", it.path, err)
	}
	return nil
}

// refused tells what is wrong with one node, and will be so again.
func refused(err error) bool {
	for _, refusal := range []error{znode.ErrInvalidACL, znode.ErrBadArguments, znode.ErrTooLarge, znode.ErrQuotaExceeded, znode.ErrTooManyQuotas, znode.ErrNoNode, znode.ErrNoChildrenForEphemerals} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// applied takes note that the target has what was seen of the source.
func (it *item) applied(done *Pass) {
	n := it.node
	if n.problem != "" {
		n.copied = false
		return
	}
	switch {
	case len(it.changes) == 0:
	case !n.there:
		done.Created++
	default:
		done.Changed++
	}
	for i := range it.changes {
		done.Bytes += int64(len(it.changes[i].Data))
	}
	n.at, n.children, n.there, n.copied = it.seen.Stat, it.seen.Children, true, true
}
