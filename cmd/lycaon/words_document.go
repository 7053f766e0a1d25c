package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/atomicfile"
	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/target"
	"github.com/lycaon-io/lycaon/znode"
)

const documentHelp = `
Of form yaml or json it is a mapping of paths to nodes, which plan and apply read
too, with data (what is not UTF-8 as base64), ACLs and kinds. Ephemeral nodes belong
to sessions and are left out.`

// treeForm is how export writes a tree and import reads one.
type treeForm string

const (
	formDir      treeForm = "dir"
	formYAMLTree treeForm = "yaml"
	formJSONTree treeForm = "json"
)

// formFlag is the flag that names the form. Without it the name of the file
// does.
type formFlag struct{ text string }

// add says what holds without the flag: where the ending of FILE says nothing
// it is dir, else otherwise.
func (f *formFlag) add(cmd *cobra.Command, otherwise string) {
	cmd.Flags().StringVarP(&f.text, "format", "f", "", "form of the tree: `dir|yaml|json`; without it what the ending of FILE says, else dir, "+otherwise)
}

func (f *formFlag) form(file string) (treeForm, error) {
	switch form := treeForm(f.text); {
	case form == "":
		return formOf(file), nil
	case form != formDir && form != formYAMLTree && form != formJSONTree:
		return "", usageError{fmt.Errorf("--format %q: want dir, yaml or json", f.text)}
	case form == formDir && file == "-":
		return "", usageError{errors.New("--format dir wants a directory")}
	default:
		return form, nil
	}
}

func formOf(file string) treeForm {
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return formDir
	}
	switch ext := filepath.Ext(file); {
	case ext == ".json":
		return formJSONTree
	case ext == ".yaml", ext == ".yml", file == "-":
		return formYAMLTree
	}
	return formDir
}

// exportDocument writes the tree at source into file, - for standard output.
func (e *env) exportDocument(ctx context.Context, source, file string, form treeForm, replace bool) error {
	c, err := e.reader(ctx)
	if err != nil {
		return err
	}
	if st, err := c.Exists(ctx, source); err != nil || st == nil {
		return errors.Join(err, absent("export", source, st))
	}
	if file == "-" {
		x := e.exporter(c, source, e.out.w, form)
		if e.out.tty {
			x.doc.tty, x.doc.w = true, visibleWriter{x.out}
		}
		if err := x.run(ctx); err != nil {
			return err
		}
		e.tellSkipped(x.skips)
		return nil
	}
	if _, err := os.Lstat(file); err == nil && !replace {
		return usageError{fmt.Errorf("%s is there; --replace writes over it", file)}
	}
	start := time.Now()
	out, err := atomicfile.Create(file, 0o600)
	if err != nil {
		return usageError{err}
	}
	defer out.Discard()
	x := e.exporter(c, source, out, form)
	if err := x.run(ctx); err != nil {
		return err
	}
	if err := out.Commit(); err != nil {
		return err
	}
	return e.summary("exported", source, file, x.doc.nodes, x.doc.bytes, time.Since(start), x.skips)
}

// exporter walks a tree and writes it page by page.
type exporter struct {
	e      *env
	c      *client.Client
	source string
	doc    treeDocument
	out    *bufio.Writer
	skips  []skipped
}

func (e *env) exporter(c *client.Client, source string, w io.Writer, form treeForm) *exporter {
	out := bufio.NewWriter(w)
	return &exporter{e: e, c: c, source: source, out: out, doc: treeDocument{w: out, json: form == formJSONTree}}
}

func (x *exporter) run(ctx context.Context) error {
	count := func(int) {}
	if !x.barIsBetween() {
		bar := x.e.progress("exporting")
		defer bar.Finish()
		count = bar.Add
	}
	var page []string
	for n, err := range x.c.Walk(ctx, x.source, client.KeysOnly()) {
		if err != nil {
			return err
		}
		switch {
		case x.source == "/" && isSystem(n.Path):
			x.skips = append(x.skips, skipped{Path: n.Path, Reason: "system node"})
			continue
		case n.Stat.Owner != 0:
			x.skips = append(x.skips, skipped{Path: n.Path, Reason: "ephemeral"})
			continue
		}
		if page = append(page, n.Path); len(page) == lookPage {
			if err := x.write(ctx, page); err != nil {
				return err
			}
			count(len(page))
			page = page[:0]
		}
	}
	return errors.Join(x.write(ctx, page), x.doc.end(), x.out.Flush())
}

// barIsBetween tells that a bar would stand between the nodes.
func (x *exporter) barIsBetween() bool { return x.doc.tty && x.e.barsAreSeen() }

func (x *exporter) write(ctx context.Context, page []string) error {
	found, err := look(ctx, x.c, page)
	if err != nil {
		return err
	}
	for i, path := range page {
		n := &found[i]
		if errors.Is(n.err, client.ErrNoNode) {
			continue // it went since the walk passed it
		}
		if err := cmp.Or(n.err, n.aclErr); err != nil {
			return err
		}
		if err := copyable("export", path, n.acl); err != nil {
			return err
		}
		if again, err := znode.ParseACL(aclText(n.acl)); err != nil || !slices.Equal(again, n.acl) {
			return fmt.Errorf("export: %s: its ACL %q does not read as it is meant", path, aclText(n.acl))
		}
		if err := x.doc.write(path, &twig{data: n.Data, stat: n.Stat, acl: n.acl}); err != nil {
			return err
		}
	}
	return nil
}

// importDocument makes the nodes of file, below to if it is given.
func (e *env) importDocument(ctx context.Context, file, to string, existing target.Existing) error {
	wishes, err := readPlan(file, e.in)
	if err != nil {
		return err
	}
	if to != "" {
		if err := moved(file, wishes, to); err != nil {
			return err
		}
	}
	tops := topsOf(wishes)
	c, err := e.session(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, top := range tops {
		found, err := target.Prepare(ctx, c, "import", top, existing)
		if err != nil {
			return err
		}
		for path := range found {
			there[path] = true
		}
	}
	bar, start, total := e.progress("importing"), time.Now(), int64(0)
	w := target.NewWriter(ctx, c, target.Config{Op: "import", Existing: existing, There: there, Progress: func(n int) { bar.Add(n) }})
	for i := range wishes {
		total += int64(len(wishes[i].data))
		if err = w.Put(wishes[i].node()); err != nil {
			break
		}
	}
	err = cmp.Or(w.Flush(), err)
	bar.Finish()
	if err != nil {
		return fmt.Errorf("after %d nodes: %w", w.Written(), err)
	}
	return e.summary("imported", file, strings.Join(tops, " "), w.Written(), total, time.Since(start), nil)
}

func (w *wish) node() target.Node {
	n := target.Node{Path: w.path, Data: w.data, AnyData: !w.hasData, ACL: w.acl, TTLMs: w.ttlMs}
	if w.kind != nil {
		n.Kind = *w.kind
	}
	return n
}

// topsOf returns the paths of those wishes that are below no other.
func topsOf(wishes []wish) (tops []string) {
	for _, w := range wishes { // parents first, and what is below one comes right after it
		if n := len(tops); n == 0 || !isBelow(w.path, tops[n-1]) {
			tops = append(tops, w.path)
		}
	}
	return tops
}

// moved puts the one tree that the wishes are at another path.
func moved(file string, wishes []wish, to string) error {
	tops := topsOf(wishes)
	if len(tops) > 1 {
		return usageError{fmt.Errorf("%s: it has several trees, at %s and %s: they go where they were, without %s", file, tops[0], tops[1], to)}
	}
	for i := range wishes {
		wishes[i].path = below(to, relative(tops[0], wishes[i].path))
		if err := znode.ValidatePath(wishes[i].path); err != nil {
			return usageError{fmt.Errorf("%s: %w", file, err)}
		}
	}
	return nil
}

func isBelow(path, root string) bool {
	return root == "/" || path == root || strings.HasPrefix(path, root+"/")
}
