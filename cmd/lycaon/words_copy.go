package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/znode"
)

func msDuration(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

func newCp(e *env) *cobra.Command {
	var recursive bool
	cmd := &cobra.Command{
		Use:   "cp FROM TO",
		Short: "Copy a node, with -r a tree",
		Long: fmt.Sprintf(`Make TO, which must not exist, a copy of FROM: data, ACL and kind, and with -r of all
below it. It is one transaction, and refused with exit code 4 if a copied node was
changed between reading and writing. That bounds it to %d nodes, and in all to what
one request takes (1 MiB); export and import take more.

Ephemeral nodes are left out, since they are their sessions'. Numbers of sequential
nodes begin anew below TO.`, treeMost),
		Example: "  cp /app/config /app/config.old\n  cp -r /app /backup/app",
		GroupID: groupTree,
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			depth := 0
			if recursive {
				depth = znode.MaxPathDepth
			}
			return e.copyTree(cmd.Context(), args[0], args[1], depth)
		},
	}
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "all below it, too")
	e.addSkipsFlag(cmd)
	return cmd
}

func newMv(e *env) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "mv FROM TO",
		Short: "Move a tree",
		Long: fmt.Sprintf(`Move FROM and all below it to TO, which must not exist: data, ACLs and kinds. It is one
transaction: nobody sees half of it, and it is refused with exit code 4 if data or
children were changed between reading and writing. That bounds it to %d nodes, and in
all to what one request takes (1 MiB).

The nodes of TO are new ones: their versions and the numbers of sequential nodes
begin anew. A tree with ephemeral nodes, which are their sessions', is not moved.
Above %d nodes it asks first, or wants --yes where nobody can be asked.`, treeMost, confirmAbove),
		Example: "  mv /app/new /app/current",
		GroupID: groupTree,
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.moveTree(cmd.Context(), args[0], args[1], yes)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// treeMost is how many nodes one transaction can copy or move: each takes three
// operations.
var treeMost = maxSteps / 3

// still fails if the node was deleted and made again: its version begins anew
// then, and may be the same.
func still(path string, n *twig) step {
	return step{client.OpGuard(client.NewGuard(path, n.stat.Czxid)), "check", path, true}
}

// apart refuses to copy a tree into itself.
func apart(what, from, to string) error {
	for _, path := range []string{from, to} {
		if err := znode.ValidatePath(path); err != nil {
			return usageError{err}
		}
	}
	if from == "/" || from == to || strings.HasPrefix(to, from+"/") {
		return usageError{fmt.Errorf("%s: %s is in %s, and a tree does not go into itself", what, to, from)}
	}
	return nil
}

func (e *env) copyTree(ctx context.Context, from, to string, depth int) error {
	if err := apart("cp", from, to); err != nil {
		return err
	}
	c, err := e.session(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	nodes, err := readSubtree(ctx, c, "cp", from, depth, treeMost)
	if err != nil {
		return err
	}
	var checks, creates []step
	var skips []skipped
	bytes := 0
	for i := range nodes {
		n, path := &nodes[i], below(from, nodes[i].rel)
		if n.stat.Owner != 0 {
			skips = append(skips, skipped{Path: path, Reason: "ephemeral"})
			continue
		}
		if err := copyable("cp", path, n.acl); err != nil {
			return err
		}
		checks = append(checks, still(path, n), step{client.OpCheck(path, n.stat.Version), "check", path, true})
		creates = append(creates, createStep(below(to, n.rel), n))
		bytes += len(n.data)
	}
	if len(creates) > 0 {
		if err := commit(ctx, c, "cp", append(checks, creates...)); err != nil {
			return err
		}
	}
	return e.summary("copied", from, to, len(creates), int64(bytes), time.Since(start), skips)
}

func (e *env) moveTree(ctx context.Context, from, to string, yes bool) error {
	if err := apart("mv", from, to); err != nil {
		return err
	}
	c, err := e.session(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	nodes, err := readSubtree(ctx, c, "mv", from, znode.MaxPathDepth, treeMost)
	if err != nil {
		return err
	}
	if len(nodes) > confirmAbove && !yes {
		if err := e.confirm(fmt.Sprintf("move %s and %d nodes below it?", from, len(nodes)-1)); err != nil {
			return err
		}
	}
	var guards []step
	steps := make([]step, 2*len(nodes))
	bytes := 0
	for i := range nodes {
		n, path := &nodes[i], below(from, nodes[i].rel)
		if n.stat.Owner != 0 {
			return fmt.Errorf("mv: %s is ephemeral and belongs to session %s; nothing was done", path, client.SessionID(n.stat.Owner))
		}
		if err := copyable("mv", path, n.acl); err != nil {
			return err
		}
		guards = append(guards, still(path, n))
		steps[i] = createStep(below(to, n.rel), n)
		steps[len(steps)-1-i] = step{client.OpDelete(path, client.IfVersion(n.stat.Version)), "delete", path, true}
		bytes += len(n.data)
	}
	if err := commit(ctx, c, "mv", append(guards, steps...)); err != nil {
		return err
	}
	return e.summary("moved", from, to, len(nodes), int64(bytes), time.Since(start), nil)
}
