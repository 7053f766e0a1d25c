package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/target"
	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/zkfile"
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// zkList is what is to be written, parents first.
type zkList struct {
	nodes      []target.Node
	quotas     []target.Node
	bytes      int64
	ephemerals int
	system     int // left out below /zookeeper
	strangers  int // of those, that are not ZooKeeper's own

	refused     []error // the first shownRefusals
	moreRefused int
}

// shownRefusals is how many nodes are named that Lycaon may not have: often
// they break one rule.
const shownRefusals = 20

// list takes from a tree what is imported, at its new place, and checks that
// Lycaon may have it.
func (z *zkImport) list(tree *zkfile.Tree) (*zkList, error) {
	list, children := &zkList{}, map[string]int64{}
	for n, err := range tree.Walk() {
		switch err := z.take(list, children, n, err); {
		case err == nil:
		case len(list.refused) < shownRefusals:
			list.refused = append(list.refused, fmt.Errorf("node %.*q: %w", znode.MaxPathBytes, n.Path, err))
		default:
			list.moreRefused++
		}
	}
	if err := list.refusal(); err != nil {
		return nil, err
	}
	if len(list.nodes) == 0 {
		return nil, fmt.Errorf("there is no node %s that stays", z.from)
	}
	for i := range list.nodes { // the children that come raise it themselves
		if n := &list.nodes[i]; n.Sequence <= children[n.Path] {
			n.Sequence = 0
		}
	}
	return list, nil
}

// take takes a node. wrong is what cannot be read of it.
func (z *zkImport) take(list *zkList, children map[string]int64, n *zkfile.Node, wrong error) error {
	if n.Path == systemNodes || strings.HasPrefix(n.Path, systemNodes+"/") {
		return z.takeSystem(list, n, wrong)
	}
	path, ok := z.place(n.Path)
	switch {
	case !ok:
		return nil
	case n.Kind == znode.Ephemeral:
		list.ephemerals++
		return nil
	case wrong != nil:
		return wrong
	}
	node := target.Node{Path: path, Data: n.Data, ACL: n.ACL, Kind: n.Kind, TTLMs: n.TTLMs, Sequence: n.Created}
	if err := checkNode(&node); err != nil {
		return err
	}
	if path == "/" && z.existing != target.Replace && len(n.Data) == 0 && znode.FormatACL(n.ACL) == znode.FormatACL(znode.OpenACL) {
		node.Data, node.ACL = nil, nil // as every root is
	}
	list.nodes = append(list.nodes, node)
	list.bytes += int64(len(n.Data))
	children[znode.Parent(path)]++
	return nil
}

// refusal is one error of all nodes that Lycaon may not have, on a line each.
func (l *zkList) refusal() error {
	if len(l.refused) <= 1 {
		return errors.Join(l.refused...)
	}
	lines := l.refused
	if l.moreRefused > 0 {
		lines = append(lines, fmt.Errorf("and %d more", l.moreRefused))
	}
	return fmt.Errorf("%d nodes cannot be imported\n%w", len(l.refused)+l.moreRefused, errors.Join(lines...))
}

// limits counts the quotas.
func (l *zkList) limits() (n int) {
	for i := range l.quotas {
		if strings.HasSuffix(l.quotas[i].Path, "/"+limitsName) {
			n++
		}
	}
	return n
}

// takeSystem takes the quotas of what is imported.
func (z *zkImport) takeSystem(list *zkList, n *zkfile.Node, wrong error) error {
	name := n.Path[strings.LastIndexByte(n.Path, '/')+1:]
	of, ok := strings.CutPrefix(strings.TrimSuffix(n.Path, "/"+name), quotaNodes+"/")
	if !ok || name != limitsName && name != statsName {
		list.system++
		if n.Path != systemNodes && n.Path != systemNodes+"/config" && !strings.HasPrefix(n.Path+"/", quotaNodes+"/") {
			list.strangers++
		}
		return nil
	}
	path, ok := z.place("/" + of)
	if !ok || path == "/" {
		list.system++
		return nil
	}
	quota := target.Node{Path: quotaNodes + path + "/" + name, Data: n.Data, ACL: n.ACL}
	err := cmp.Or(wrong, checkNode(&quota))
	if err == nil && name == limitsName {
		_, err = znode.ParseLimits(n.Data)
	}
	if err != nil {
		return err
	}
	list.quotas = append(list.quotas, quota)
	return nil
}

// place is where a node of ZooKeeper's comes to be; false for one that does not
// come along.
func (z *zkImport) place(path string) (string, bool) {
	rel, ok := strings.CutPrefix(path, strings.TrimSuffix(z.from, "/"))
	if !ok || rel != "" && rel[0] != '/' {
		return "", false
	}
	return below(z.to, strings.TrimPrefix(rel, "/")), true
}

// checkNode holds a node against Lycaon's rules.
func checkNode(n *target.Node) error {
	if err := znode.ValidatePath(n.Path); err != nil {
		return err
	}
	if most := protocol.DefaultLimits().MaxData; len(n.Data) > int(most) {
		return fmt.Errorf("%w: %d bytes of data, a node holds at most %d", client.ErrTooLarge, len(n.Data), most)
	}
	if n.Kind == znode.TTL && (n.TTLMs < 1 || n.TTLMs > znode.MaxTTLMs) {
		return fmt.Errorf("%w: a TTL of %d ms, it must be 1 to 2^40-1", client.ErrBadArguments, n.TTLMs)
	}
	_, err := znode.NormalizeACL(n.ACL, new(znode.Actor))
	return err
}

// refuseExisting looks for what is there before anything is written.
func (l *zkList) refuseExisting(ctx context.Context, c *client.Client, there map[string]bool) error {
	exists := func(path string) error {
		return &client.Error{Op: "import", Path: path, Err: client.ErrNodeExists, Detail: target.ExistsHint}
	}
	for i := range l.nodes {
		if path := l.nodes[i].Path; path != "/" && there[path] {
			return exists(path)
		}
	}
	for i := range l.quotas {
		if st, err := c.Exists(ctx, l.quotas[i].Path); err != nil {
			return err
		} else if st != nil {
			return exists(l.quotas[i].Path)
		}
	}
	return nil
}

// writeQuotas comes last, so that no limit is in the way of the nodes before.
func writeQuotas(ctx context.Context, c *client.Client, existing target.Existing, quotas []target.Node) error {
	for _, q := range quotas {
		made, err := c.Create(ctx, q.Path, q.Data, client.WithACL(q.ACL), client.Parents(), client.IfAbsent())
		if err == nil && made.Existed && existing == target.Replace && strings.HasSuffix(q.Path, "/"+limitsName) {
			_, err = c.Set(ctx, q.Path, q.Data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
