package target

import (
	"context"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/znode"
)

// ExistsHint goes with an error about a node that is there already.
const ExistsHint = "--existing keep or replace goes on"

// Prepare looks at what is at and below path and makes the missing parents of
// path, before any node is written. With Refuse it wants path to be absent. It
// returns the nodes that are there where a Writer has to know: with Replace, and
// of the root, which is always there, with Refuse.
func Prepare(ctx context.Context, c *client.Client, op, path string, existing Existing) (map[string]bool, error) {
	st, err := c.Exists(ctx, path)
	if err != nil {
		return nil, err
	}
	if st != nil && existing == Refuse && path != "/" {
		return nil, existsError(op, path)
	}
	if parent := znode.Parent(path); st == nil && parent != "/" {
		if _, err := c.Create(ctx, parent, nil, client.Parents(), client.IfAbsent()); err != nil {
			return nil, err
		}
	}
	if st == nil || existing == Keep {
		return nil, nil
	}
	return survey(ctx, c, path)
}

func existsError(op, path string) error {
	return &client.Error{Op: op, Path: path, Err: client.ErrNodeExists, Detail: ExistsHint}
}

func survey(ctx context.Context, c *client.Client, path string) (map[string]bool, error) {
	there := map[string]bool{}
	for node, err := range c.Walk(ctx, path, client.KeysOnly()) {
		if err != nil {
			return nil, err
		}
		there[node.Path] = true
	}
	return there, nil
}
