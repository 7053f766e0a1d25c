package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// errConflict: what a command had read was changed before it could write.
var errConflict = errors.New("somebody changed it meanwhile, nothing was done")

// step is one operation of a transaction, as errors are to name it.
type step struct {
	op   client.Op
	does string // create, set, ...
	path string
	// seen: the operation rests on what was read, so that its failure is a
	// conflict.
	seen bool
}

// maxSteps is what servers take in one transaction.
var maxSteps = int(protocol.DefaultLimits().MaxMultiOps)

// commit does all steps or none.
func commit(ctx context.Context, c *client.Client, what string, steps []step) error {
	if len(steps) > maxSteps {
		return fmt.Errorf("%s: %w: it takes %d operations and one transaction has room for %d; nothing was done; "+
			"in parts it would fit, each done whole or not at all", what, client.ErrTooLarge, len(steps), maxSteps)
	}
	_, err := c.Commit(ctx, operations(steps)...)
	return explain(what, steps, err)
}

// commitWithResults is commit for few steps, that tells what each made.
func commitWithResults(ctx context.Context, c *client.Client, what string, steps []step) (*client.MultiResult, error) {
	res, err := c.Multi(ctx, operations(steps)...)
	return res, explain(what, steps, err)
}

func operations(steps []step) []client.Op {
	ops := make([]client.Op, len(steps))
	for i, s := range steps {
		ops[i] = s.op
	}
	return ops
}

// explain says of a failed transaction which step was to blame, and why.
func explain(what string, steps []step, err error) error {
	culprit, ok := errors.AsType[*client.MultiError](err)
	switch {
	case !ok && errors.Is(err, client.ErrFenced): // a guard that is on all writes
		return fmt.Errorf("%s: %w; nothing was done", what, client.ErrFenced)
	case errors.Is(err, client.ErrTooLarge):
		return fmt.Errorf("%s: its %d operations are too much for one transaction, nothing was done: %w", what, len(steps), err)
	case !ok:
		return err
	}
	s := steps[culprit.Index]
	if s.seen && conflicts(culprit.Err) {
		return fmt.Errorf("%s: %s: %w (%s: %w)", what, s.path, errConflict, s.does, culprit.Err)
	}
	if s.does == "create" && errors.Is(culprit.Err, client.ErrNoNode) {
		return fmt.Errorf("%s: create %s: %w: the parent %s; nothing was done", what, s.path, culprit.Err, znode.Parent(s.path))
	}
	if call, ok := errors.AsType[*client.Error](err); ok && call.Detail != "" {
		return fmt.Errorf("%s: %s %s: %w: %s; nothing was done", what, s.does, s.path, culprit.Err, call.Detail)
	}
	return fmt.Errorf("%s: %s %s: %w; nothing was done", what, s.does, s.path, culprit.Err)
}

func conflicts(err error) bool {
	for _, kind := range []error{client.ErrBadVersion, client.ErrNoNode, client.ErrNodeExists, client.ErrNotEmpty, client.ErrFenced} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
