package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/znode"
)

const planHelp = `FILE, - for standard input, is YAML or JSON: a mapping of paths to nodes, as export
writes it. A node is a text, its data, or a mapping of

  data         a text, null for null data; without it any data is right
  dataBase64   or data that is no text
  acl          scheme:id:perms[,...]; without it any ACL is right, and a node that is
               created is open to everyone
  kind         persistent, container or ttl; without it any kind is right, and a node
               that is created is persistent
  ttl          of kind ttl: 10m
  children     a mapping of names to nodes

Nodes that are not in FILE stay as they are. With --prune those below its paths are
deleted, but for ephemeral nodes and what is above them.
`

const planExample = "  cat app.yaml\n    /app:\n      children:\n        config: {data: 'v=1', acl: 'world:anyone:r'}\n        motd: hello\n"

func newPlan(e *env) *cobra.Command {
	var prune bool
	cmd := &cobra.Command{
		Use:     "plan FILE",
		Short:   "Tell what apply would do",
		Long:    "Compare nodes with what FILE wants them to be, and print what apply would change.\n\n" + planHelp,
		Example: planExample + "  plan app.yaml",
		GroupID: groupTree,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.apply(cmd.Context(), args[0], applyOptions{prune: prune, dryRun: true})
		},
	}
	pruneFlag(cmd, &prune)
	return cmd
}

func pruneFlag(cmd *cobra.Command, into *bool) {
	cmd.Flags().BoolVar(into, "prune", false, "delete what is below the paths of FILE and not in it")
}

type applyOptions struct{ prune, dryRun, yes bool }

func newApply(e *env) *cobra.Command {
	var opt applyOptions
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Make nodes what a file wants them to be",
		Long: "Compare nodes with what FILE wants them to be, and change them in one transaction.\n\n" + planHelp + fmt.Sprintf(`
The transaction rests on the versions that were read, also of nodes that are right
already: if any node of FILE was set, made or deleted meanwhile nothing is done, and
the exit code is 4. It has room for %d operations, one to three a node, and in all for
what one request takes (1 MiB); more is refused, never applied in pieces. To delete
more than %d nodes it asks first, or wants --yes where nobody can be asked.`, maxSteps, confirmAbove),
		Example: planExample + "  apply --dry-run app.yaml\n  apply --prune app.yaml",
		GroupID: groupTree,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.apply(cmd.Context(), args[0], opt)
		},
	}
	pruneFlag(cmd, &opt.prune)
	cmd.Flags().BoolVar(&opt.dryRun, "dry-run", false, "tell what would be done, as plan does")
	cmd.Flags().BoolVarP(&opt.yes, "yes", "y", false, "do not ask")
	return cmd
}

// planned is one change, as it is told.
type planned struct {
	Action string `json:"action"` // create, set, setAcl or delete
	Path   string `json:"path"`
	text   string
}

// plan is what has to be done. The steps are told apart by when they come: a
// new ACL may take the rights that other steps need, and deletions want
// children before parents.
type plan struct {
	wished                 map[string]bool
	parents                map[string]bool // known to be there
	changes                []planned
	write, deletions, acls []step
	right                  int // nodes that need no change
	creates, sets, setACLs int
}

func (p *plan) tell(action, path, text string) {
	p.changes = append(p.changes, planned{action, path, text})
}

func (e *env) apply(ctx context.Context, file string, opt applyOptions) error {
	wishes, err := readPlan(file, e.in)
	if err != nil {
		return err
	}
	c, err := e.session(ctx)
	if err != nil {
		return err
	}
	p := plan{wished: map[string]bool{}, parents: map[string]bool{}}
	for page := range slices.Chunk(wishes, lookPage) {
		if err := p.addPage(ctx, c, page); err != nil {
			return err
		}
	}
	if opt.prune {
		if err := p.prune(ctx, c, topsOf(wishes)); err != nil {
			return err
		}
	}
	if err := e.printPlan(&p); err != nil {
		return err
	}
	if opt.dryRun || len(p.changes) == 0 {
		return e.printOutcome(&p, false)
	}
	if n := len(p.deletions); n > confirmAbove && !opt.yes {
		if err := e.confirm(fmt.Sprintf("apply %s and delete %d nodes?", file, n)); err != nil {
			return err
		}
	}
	if err := commit(ctx, c, "apply", slices.Concat(p.write, p.deletions, p.acls)); err != nil {
		return err
	}
	return e.printOutcome(&p, true)
}

// addPage compares nodes with what they should be.
func (p *plan) addPage(ctx context.Context, c *client.Client, page []wish) error {
	paths := make([]string, len(page))
	for i := range page {
		paths[i] = page[i].path
	}
	found, err := look(ctx, c, paths)
	if err != nil {
		return err
	}
	for i := range page {
		w, n := &page[i], &found[i]
		p.wished[w.path] = true
		switch {
		case errors.Is(n.err, client.ErrNoNode):
			err = p.create(ctx, c, w)
		case n.err != nil:
			err = n.err
		case n.aclErr != nil && w.acl != nil:
			err = n.aclErr
		default:
			err = p.add(w, n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// add compares one node with what it should be.
func (p *plan) add(w *wish, n *sight) error {
	if w.kind != nil && (*w.kind != n.Stat.Kind || w.ttlMs != n.Stat.TTLMs) {
		return fmt.Errorf("%s: it is %s and shall be %s: no node changes its kind, delete it first; nothing was done",
			w.path, kindText(n.Stat), kindText(client.Stat{Kind: *w.kind, TTLMs: w.ttlMs}))
	}
	p.keep(&n.Node)
	right := true
	if w.hasData && (!bytes.Equal(n.Data, w.data) || (n.Data == nil) != (w.data == nil)) {
		right = false
		p.sets++
		p.tell("set", w.path, fmt.Sprintf("%s, now %s", valueText(w.data), valueText(n.Data)))
		p.write = append(p.write, step{client.OpSet(w.path, w.data, client.IfVersion(n.Stat.Version)), "set", w.path, true})
	} else {
		p.write = append(p.write, step{client.OpCheck(w.path, n.Stat.Version), "check", w.path, true})
	}
	if w.acl != nil && !slices.Equal(n.acl, w.acl) {
		right = false
		p.setACLs++
		p.tell("setAcl", w.path, aclText(w.acl)+", now "+aclText(n.acl))
		p.acls = append(p.acls, step{client.OpSetACL(w.path, w.acl, client.IfVersion(n.aversion)), "setAcl", w.path, true})
	}
	if right {
		p.right++
	}
	return nil
}

// keep lets the transaction fail if n was deleted and made again, which its
// version does not tell: one that is new may have come as far.
func (p *plan) keep(n *client.Node) {
	p.write = append(p.write, step{client.OpGuard(client.NewGuard(n.Path, n.Stat.Czxid)), "check", n.Path, true})
}

// create plans a node, whose parent is planned or there.
func (p *plan) create(ctx context.Context, c *client.Client, w *wish) error {
	if parent := znode.Parent(w.path); !p.wished[parent] && !p.parents[parent] {
		st, err := c.Exists(ctx, parent)
		if err != nil {
			return err
		}
		if st == nil {
			return fmt.Errorf("create %s: %w: the parent %s; nothing was done", w.path, client.ErrNoNode, parent)
		}
		p.parents[parent] = true
	}
	p.creates++
	p.tell("create", w.path, valueText(w.data))
	p.write = append(p.write, step{client.OpCreate(w.path, w.data, w.createOptions()...), "create", w.path, true})
	return nil
}

// prune deletes what is below tops and not wished for, children first.
func (p *plan) prune(ctx context.Context, c *client.Client, tops []string) error {
	stays := maps.Clone(p.wished)
	for path := range p.wished { // also what is above a node that is yet to be created
		for path = znode.Parent(path); !stays[path]; path = znode.Parent(path) {
			stays[path] = true
		}
	}
	var there []*client.Node
	for _, top := range tops {
		for n, err := range c.Walk(ctx, top, client.KeysOnly()) {
			if errors.Is(err, client.ErrNoNode) {
				continue
			}
			if err != nil {
				return err
			}
			if !isSystem(n.Path) {
				there = append(there, n)
			}
		}
	}
	slices.SortFunc(there, func(a, b *client.Node) int { return comparePaths(b.Path, a.Path) })
	for _, n := range there {
		if n.Stat.Owner != 0 || stays[n.Path] {
			stays[znode.Parent(n.Path)] = true
			continue
		}
		p.keep(n)
		p.tell("delete", n.Path, "")
		p.deletions = append(p.deletions, step{client.OpDelete(n.Path, client.IfVersion(n.Stat.Version)), "delete", n.Path, true})
	}
	return nil
}

// valueText is data as a line has room for it: itself, or its size.
func valueText(data []byte) string {
	const room = 60
	if data == nil || len(data) > room || !utf8.Valid(data) || bytes.ContainsFunc(data, unicode.IsControl) {
		return dataSize(&client.Node{Data: data})
	}
	return strconv.Quote(string(data))
}

func (e *env) printPlan(p *plan) error {
	if e.out.structured() {
		return nil
	}
	for _, c := range p.changes {
		line := c.Action + " " + c.Path
		if c.text != "" {
			line += ": " + c.text
		}
		if err := e.out.line("%s", line); err != nil {
			return err
		}
	}
	return nil
}

func (e *env) printOutcome(p *plan, applied bool) error {
	if e.out.structured() {
		changes := p.changes
		if changes == nil {
			changes = []planned{}
		}
		return e.out.value(map[string]any{"changes": changes, "unchanged": p.right, "applied": applied})
	}
	did := "to do"
	if applied {
		did = "done"
	}
	are := "are"
	if p.right == 1 {
		are = "is"
	}
	return e.out.line("%s: %d create, %d set, %d setAcl, %d delete; %s %s right", did, p.creates, p.sets, p.setACLs, len(p.deletions), counted(p.right, "node"), are)
}
