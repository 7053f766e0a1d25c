package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/znode"
)

func newGet(e *env) *cobra.Command {
	var stat, watch, b64, hexdump, raw bool
	cmd := &cobra.Command{
		Use:   "get PATH",
		Short: "Print the data of a node",
		Long: `Print the data of a node, and a line end. Null data prints as null. A terminal shows
control characters, and those that turn the order of a text, as \u001b and \u202e, and
bytes that are not UTF-8 as \xff; with --raw it gets them as they are.
With -w it also waits for the next change of the node: in the shell the event is
printed when it comes, else the command ends with it.`,
		Example: "  get /app/config\n  get -s /app/config\n  get --raw /app/cert > cert.der",
		GroupID: groupTree,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.reader(cmd.Context())
			if watch {
				c, err = e.session(cmd.Context())
			}
			if err != nil {
				return err
			}
			return e.watching(cmd.Context(), c, watch, args[0], watchData, func() error {
				node, err := c.Get(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return e.printNode(node, stat, b64, hexdump, raw)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&stat, "stat", "s", false, "print the stat too")
	f.BoolVarP(&watch, "watch", "w", false, "tell the next change")
	f.BoolVarP(&b64, "base64", "b", false, "print the data as base64")
	f.BoolVarP(&hexdump, "hex", "x", false, "print the data as a hex dump")
	f.BoolVarP(&raw, "raw", "r", false, "print the bytes alone, without a line end")
	exclusive(cmd, []string{"base64", "hex", "raw"}, []string{"raw", "stat"})
	return cmd
}

func (e *env) printNode(n *client.Node, stat, b64, hexdump, raw bool) error {
	if e.out.structured() {
		v := map[string]any{"path": n.Path, "zxid": n.Zxid}
		if stat {
			v["stat"] = statValue(n.Stat)
		}
		return e.out.value(dataFields(v, n.Data))
	}
	var err error
	switch {
	case raw:
		_, err = e.out.w.Write(n.Data)
	case n.Data == nil:
		err = e.out.line("null")
	case b64:
		err = e.out.line("%s", base64.StdEncoding.EncodeToString(n.Data))
	case hexdump && e.out.compat():
		_, err = fmt.Fprint(e.out.w, zooHexDump(n.Data))
	case hexdump:
		_, err = fmt.Fprint(e.out.w, hex.Dump(n.Data))
	default:
		err = e.out.line("%s", n.Data)
	}
	if err != nil || !stat {
		return err
	}
	return e.out.statBlock(n.Stat)
}

func newLs(e *env) *cobra.Command {
	var stat, watch, recursive bool
	cmd := &cobra.Command{
		Use:   "ls [PATH]",
		Short: "List the children of a node",
		Long: `List the names of the children of a node in order, without PATH of the current one; with
-R the paths of the node and all below it, one a line.
` + hiddenHelp,
		Example: "  ls /\n  ls -R /app",
		GroupID: groupTree,
		Args:    maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.reader(cmd.Context())
			if watch {
				c, err = e.session(cmd.Context())
			}
			if err != nil {
				return err
			}
			node := e.pathOrHere(args, 0)
			return e.watching(cmd.Context(), c, watch, node, watchChildren, func() error {
				if recursive {
					return e.listAll(cmd, c, node)
				}
				return e.list(cmd, c, node, stat)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&stat, "stat", "s", false, "print the stat too")
	f.BoolVarP(&watch, "watch", "w", false, "tell the next change of the children")
	f.BoolVarP(&recursive, "recursive", "R", false, "list the whole tree below")
	exclusive(cmd, []string{"stat", "recursive"}, []string{"watch", "recursive"})
	return cmd
}

func (e *env) list(cmd *cobra.Command, c *client.Client, node string, stat bool) error {
	names, err := c.Children(cmd.Context(), node)
	if err != nil {
		return err
	}
	if names == nil {
		names = []string{} // null in JSON
	}
	if !stat {
		return e.out.names(names)
	}
	st, err := mustExist(cmd, c, node)
	if err != nil {
		return err
	}
	if e.out.structured() {
		return e.out.value(map[string]any{"path": node, "children": names, "stat": statValue(*st)})
	}
	if err := e.out.names(names); err != nil {
		return err
	}
	return e.out.statBlock(*st)
}

func (e *env) listAll(cmd *cobra.Command, c *client.Client, root string) error {
	paths := []string{}
	show := func(node *client.Node) error {
		if e.out.structured() {
			paths = append(paths, node.Path)
			return nil
		}
		return e.out.line("%s", node.Path)
	}
	if e.out.form == formCompat { // ZooKeeper's shell ends at the first that may not be read
		for node, err := range c.Walk(cmd.Context(), root, client.KeysOnly()) {
			if err != nil {
				return err
			}
			if err := show(node); err != nil {
				return err
			}
		}
		return nil
	}
	err := e.visit(cmd.Context(), root, show, client.KeysOnly())
	return e.printFound(paths, err)
}

// mustExist is Exists for commands to which an absent node is an error.
func mustExist(cmd *cobra.Command, c *client.Client, node string) (*client.Stat, error) {
	st, err := c.Exists(cmd.Context(), node)
	if err == nil && st == nil {
		err = &client.Error{Op: cmd.Name(), Path: node, Err: client.ErrNoNode}
	}
	return st, err
}

func newStat(e *env) *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:     "stat PATH",
		Short:   "Print the stat of a node",
		Long:    "Print who made a node and when, its versions and sizes. With -w the node may be absent:\nits creation is told too.",
		Example: "  stat /app\n  stat -w /app",
		GroupID: groupTree,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.reader(cmd.Context())
			if watch {
				c, err = e.session(cmd.Context())
			}
			if err != nil {
				return err
			}
			absent := &client.Error{Op: "stat", Path: args[0], Err: client.ErrNoNode}
			missing := false // ZooKeeper's shell watches what it misses
			err = e.watching(cmd.Context(), c, watch, args[0], watchData, func() error {
				st, err := c.Exists(cmd.Context(), args[0])
				switch {
				case err != nil:
					return err
				case st == nil && watch && e.out.compat():
					missing = true
					return nil
				case st == nil && watch:
					return e.out.line("%s does not exist yet", args[0])
				case st == nil:
					return absent
				case e.out.structured():
					return e.out.value(statValue(*st))
				}
				return e.out.statBlock(*st)
			})
			if err == nil && missing {
				return absent
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "tell the next change")
	return cmd
}

func newGetACL(e *env) *cobra.Command {
	var stat bool
	cmd := &cobra.Command{
		Use:     "getAcl PATH",
		Short:   "Print the ACL of a node",
		Long:    "Print the ACL of a node, an entry a line as 'scheme,'id and its permissions.\nDigests show as x to whoever may not change the ACL.",
		Example: "  getAcl /app\n  getAcl -s /app",
		GroupID: groupTree,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.reader(cmd.Context())
			if err != nil {
				return err
			}
			acl, err := c.GetACL(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := e.printACL(acl); err != nil || !stat {
				return err
			}
			st, err := mustExist(cmd, c, args[0])
			if err != nil {
				return err
			}
			if e.out.structured() {
				return e.out.value(statValue(*st))
			}
			return e.out.statBlock(*st)
		},
	}
	cmd.Flags().BoolVarP(&stat, "stat", "s", false, "print the stat too")
	return cmd
}

func (e *env) printACL(acl znode.ACL) error {
	if e.out.structured() {
		entries := []map[string]string{}
		for _, a := range acl {
			entries = append(entries, map[string]string{"scheme": a.Scheme, "id": a.ID, "perms": a.Perms.String()})
		}
		return e.out.value(entries)
	}
	for _, a := range acl {
		if err := e.out.line("'%s,'%s\n: %s", a.Scheme, a.ID, a.Perms); err != nil {
			return err
		}
	}
	return nil
}

func newTree(e *env) *cobra.Command {
	var depth int
	var stat bool
	cmd := &cobra.Command{
		Use:   "tree [PATH]",
		Short: "Draw the tree below a node",
		Long: `Draw the tree below a node, without PATH of the current one: a name a line, indented by
its depth.
` + hiddenHelp,
		Example: "  tree /\n  tree -d 2 -s /app",
		GroupID: groupTree,
		Args:    maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if depth < 0 {
				return usageError{fmt.Errorf("--depth %d: want a number, or 0 for all", depth)}
			}
			return e.drawTree(cmd.Context(), e.pathOrHere(args, 0), depth, stat)
		},
	}
	cmd.Flags().IntVarP(&depth, "depth", "d", 0, "this many levels below the node; 0 = all")
	cmd.Flags().BoolVarP(&stat, "stat", "s", false, "print version, size and owner of each node")
	return cmd
}

// drawTree indents each node by its depth. The walk has parents before
// children and names in order, so that nothing needs to be kept.
func (e *env) drawTree(ctx context.Context, root string, depth int, stat bool) error {
	opts := []client.WalkOption{client.KeysOnly()}
	if depth > 0 {
		opts = append(opts, client.Depth(depth))
	}
	nodes := []map[string]any{}
	err := e.visit(ctx, root, func(node *client.Node) error {
		level := 0
		if node.Path != root {
			level = strings.Count(strings.TrimPrefix(node.Path, strings.TrimSuffix(root, "/")), "/")
		}
		if e.out.structured() {
			nodes = append(nodes, map[string]any{"path": node.Path, "depth": level, "stat": statValue(node.Stat)})
			return nil
		}
		name := path.Base(node.Path)
		if level == 0 {
			name = root
		}
		line := strings.Repeat("  ", level) + name
		if stat {
			line += treeStat(node.Stat)
		}
		return e.out.line("%s", line)
	}, opts...)
	return e.printFound(nodes, err)
}

func treeStat(s client.Stat) string {
	text := fmt.Sprintf("  v%d %d B", s.Version, s.DataLength)
	if s.Kind != znode.Persistent {
		text += " " + kindNames[s.Kind]
	}
	if s.Owner != 0 {
		text += fmt.Sprintf(" 0x%x", s.Owner)
	}
	return text
}

func newCount(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "count PATH",
		Aliases: []string{"getAllChildrenNumber"},
		Short:   "Count the nodes below a node",
		Long:    "Count the nodes below a node, itself not counted.",
		Example: "  count /app",
		GroupID: groupTree,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.reader(cmd.Context())
			if err != nil {
				return err
			}
			n, err := c.Count(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return e.out.line("%d", n)
		},
	}
}
