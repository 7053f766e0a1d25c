package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/znode"
)

// aclPage is how many ACLs are read at once: those of a page fit in one reply,
// however long they are.
const aclPage = 100

// twig is a node of a subtree that was read whole.
type twig struct {
	rel  string // below the root of the subtree, "" for itself
	data []byte
	stat client.Stat
	acl  client.ACL
}

// readSubtree reads root and up to depth levels below it, at most limit nodes,
// in the order of Walk.
func readSubtree(ctx context.Context, c *client.Client, what, root string, depth, limit int) ([]twig, error) {
	var nodes []twig
	for n, err := range c.Walk(ctx, root, client.Depth(depth)) {
		if err != nil {
			return nil, err
		}
		if len(nodes) == limit {
			return nil, fmt.Errorf("%s: %w: %s is more than the %d nodes that one transaction has room for; nothing was done",
				what, client.ErrTooLarge, root, limit)
		}
		nodes = append(nodes, twig{rel: relative(root, n.Path), data: n.Data, stat: n.Stat})
	}
	for page := range slices.Chunk(nodes, aclPage) {
		if err := readACLs(ctx, c, what, root, page); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

func readACLs(ctx context.Context, c *client.Client, what, root string, nodes []twig) error {
	reads := make([]client.ReadOp, len(nodes))
	for i, n := range nodes {
		reads[i] = client.ReadACL(below(root, n.rel))
	}
	results, err := c.MultiRead(ctx, reads)
	if err != nil {
		return err
	}
	for i, r := range results {
		n, path := &nodes[i], below(root, nodes[i].rel)
		switch {
		case r.Err != nil && conflicts(r.Err), r.Err == nil && (r.Stat.Czxid != n.stat.Czxid || r.Stat.Aversion != n.stat.Aversion):
			return fmt.Errorf("%s: %s: %w", what, path, errConflict)
		case r.Err != nil:
			return r.Err
		}
		n.acl = r.ACL
	}
	return nil
}

// lookPage is how many nodes are looked at in one request.
const lookPage = 100

// sight is what was found at a path, data and ACL at one instant, unless they
// were too large to be read together.
type sight struct {
	client.Node
	acl      client.ACL
	aversion int64 // of acl
	err      error // of the node
	aclErr   error // of the ACL alone
}

// look reads nodes and their ACLs.
func look(ctx context.Context, c *client.Client, paths []string) ([]sight, error) {
	reads := make([]client.ReadOp, 0, 2*len(paths))
	for _, path := range paths {
		reads = append(reads, client.ReadGet(path), client.ReadACL(path))
	}
	found, err := c.MultiRead(ctx, reads)
	if err != nil {
		return nil, err
	}
	sights := make([]sight, len(paths))
	for i, path := range paths {
		n, acl := &found[2*i], &found[2*i+1]
		if errors.Is(n.Err, client.ErrTooLarge) || errors.Is(acl.Err, client.ErrTooLarge) {
			if err := lookAlone(ctx, c, path, n, acl); err != nil {
				return nil, err
			}
		}
		sights[i] = sight{n.Node, acl.ACL, acl.Stat.Aversion, n.Err, acl.Err}
	}
	return sights, nil
}

// lookAlone reads again what did not fit into one reply beside the others.
func lookAlone(ctx context.Context, c *client.Client, path string, n, acl *client.ReadResult) error {
	whole, err := c.Get(ctx, path)
	if n.Err = err; err == nil {
		n.Node = *whole
	}
	again, err := c.MultiRead(ctx, []client.ReadOp{client.ReadACL(path)})
	if err == nil {
		*acl = again[0]
	}
	return err
}

// aclText is the form that commands take an ACL in.
func aclText(acl client.ACL) string {
	var entries []string
	for _, a := range acl {
		entries = append(entries, fmt.Sprintf("%s:%s:%s", a.Scheme, a.ID, a.Perms))
	}
	return strings.Join(entries, ",")
}

// copyable tells whether an ACL can be put on another node: hashes that are
// hidden from us cannot.
func copyable(what, path string, acl client.ACL) error {
	for _, a := range acl {
		if a.Scheme == "digest" && strings.HasSuffix(a.ID, ":x") {
			return fmt.Errorf("%s: the hashes in the ACL of %s are hidden from you: %w", what, path, client.ErrNoAuth)
		}
	}
	return nil
}

// createStep makes a node like n at path.
func createStep(path string, n *twig) step {
	opts := []client.CreateOption{client.WithACL(n.acl)}
	switch n.stat.Kind {
	case znode.Container:
		opts = append(opts, client.Container())
	case znode.TTL:
		opts = append(opts, client.TTL(msDuration(n.stat.TTLMs)))
	}
	return step{op: client.OpCreate(path, n.data, opts...), does: "create", path: path}
}
