package zkfile

import (
	"fmt"
	"iter"
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
// order. The error says of a node what cannot be read of it; then it has its path
// alone, and its kind if that can be.
func (t *Tree) Walk() iter.Seq2[*Node, error] {
	type level struct {
		path string
		node *node
	}
	return func(yield func(*Node, error) bool) {
		for todo := []level{{"", t.root}}; len(todo) > 0; {
			var below []level
			for _, l := range todo {
				if !yield(t.export(l.path, l.node)) {
					return
				}
				for _, name := range slices.Sorted(maps.Keys(l.node.children)) {
					below = append(below, level{l.path + "/" + name, l.node.children[name]})
				}
			}
			todo = below
		}
	}
}

func (t *Tree) export(path string, n *node) (*Node, error) {
	if path == "" {
		path = "/"
	}
	kind, ttlMs, err := t.kind(n)
	if err != nil {
		return &Node{Path: path}, err
	}
	acl, ok := t.aclOf(n)
	if !ok {
		return &Node{Path: path, Kind: kind}, fmt.Errorf("its ACL, number %d, is not in the snapshot: %w", n.aclID, ErrDamaged)
	}
	return &Node{Path: path, Data: n.data, ACL: acl, Kind: kind, TTLMs: ttlMs, Created: int64(uint32(n.cversion))}, nil
}

// Zxid is the last transaction that is in the tree.
func (t *Tree) Zxid() int64 { return t.zxid }
