package zkfile

import (
	"fmt"
	"maps"
	"slices"

	"github.com/lycaon-io/lycaon/znode"
)

// Node is a node of a Tree as it is after the last transaction.
type Node struct {
	Path    string
	Data    []byte    // nil is null
	ACL     znode.ACL // never empty
	Kind    znode.Kind
	TTLMs   int64 // of a TTL node
	Created int64 // children ever made below it
}

// Walk yields the nodes, parents before children, level by level and names in
// order. The error says of a node what rule it breaks.
func (t *Tree) Walk(visit func(*Node) error) error {
	type level struct {
		path string
		node *node
	}
	for todo := []level{{"", t.root}}; len(todo) > 0; {
		var below []level
		for _, l := range todo {
			n, err := t.export(l.path, l.node)
			if err == nil {
				err = visit(n)
			}
			if err != nil {
				return err
			}
			for _, name := range slices.Sorted(maps.Keys(l.node.children)) {
				below = append(below, level{l.path + "/" + name, l.node.children[name]})
			}
		}
		todo = below
	}
	return nil
}

func (t *Tree) export(path string, n *node) (*Node, error) {
	if path == "" {
		path = "/"
	}
	acl, ok := t.aclOf(n)
	if !ok {
		return nil, fmt.Errorf("node %.200q: its ACL, number %d, is not in the snapshot: %w", path, n.aclID, ErrDamaged)
	}
	kind, ttlMs, err := t.kind(n)
	if err != nil {
		return nil, fmt.Errorf("node %.200q: %w", path, err)
	}
	return &Node{Path: path, Data: n.data, ACL: acl, Kind: kind, TTLMs: ttlMs, Created: int64(uint32(n.cversion))}, nil
}

// Zxid is the last transaction that is in the tree.
func (t *Tree) Zxid() int64 { return t.zxid }
