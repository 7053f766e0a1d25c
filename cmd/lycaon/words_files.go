package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/target"
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

const filesHelp = `
A directory is a node with null data, a file a node with the file's bytes, exactly.
What files cannot say is said by names that begin with .lycaon-, which are
reserved:

  DIR/.lycaon-data           the data of the node DIR itself
  DIR/.lycaon-n-HASH         a node whose name no file may have (longer than 255
                             bytes, or reserved), with the name in
  DIR/.lycaon-n-HASH.name    this file

Modes, owners, times, ACLs and kinds (ephemeral, container, TTL) do not come along;
snapshot save keeps everything.`

func newImport(e *env) *cobra.Command {
	var existing existingFlag
	var format formFlag
	var zk zkImport
	cmd := &cobra.Command{
		Use:   "import {FILE [PATH] | --zk-snapshot FILE [--zk-log FILE|DIR]... [PATH]}",
		Short: "Load a directory, a document or ZooKeeper's files into a tree of nodes",
		Long: `Load a tree that export wrote, or another of its form, into PATH; missing parents of
PATH are created. A document without PATH goes where its paths say; one that is a
single tree may go elsewhere. FILE may be - for standard input.

Of a directory what cannot come along is skipped, and told with its reason: symbolic
links, devices and sockets, unreadable files, files larger than a node may be, and
names that no node may have (ZooKeeper's rules: valid UTF-8, no control characters).
Of many of a kind the first are listed and the others counted; -v and -o json list all.
` + filesHelp + `
` + documentHelp + `
` + zkImportHelp + `

An import is made of many changes, each of up to ` + fmt.Sprint(target.MaxOps) + ` nodes; apply makes one. After an
error, run it again with --existing keep: what is there already is passed over.`,
		Example: "  import /etc /etc\n  import --existing replace ./config /app/config\n  import app.yaml\n" +
			"  import --zk-snapshot version-2/snapshot.100000a1 --zk-log version-2",
		GroupID: groupTree,
		Args: func(cmd *cobra.Command, args []string) error {
			if zk.wanted() {
				return zk.check(args)
			}
			return rangeArgs(1, 2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			policy, err := existing.policy()
			if err != nil {
				return err
			}
			if zk.wanted() {
				zk.existing = policy
				return e.importZooKeeper(cmd.Context(), &zk)
			}
			return e.importInto(cmd.Context(), args, &format, policy)
		},
	}
	existing.add(cmd)
	format.add(cmd, "and of standard input yaml")
	e.addSkipsFlag(cmd)
	zk.addFlags(cmd)
	return cmd
}

// importInto reads what args are: a file or directory, and perhaps a path.
func (e *env) importInto(ctx context.Context, args []string, format *formFlag, existing target.Existing) error {
	form, err := format.form(args[0])
	if err != nil {
		return err
	}
	to := ""
	if len(args) > 1 {
		to = args[1]
		if err := znode.ValidatePath(to); err != nil {
			return usageError{err}
		}
	}
	if form != formDir {
		return e.importDocument(ctx, args[0], to, existing)
	}
	info, err := os.Stat(args[0])
	switch {
	case err == nil && !info.IsDir():
		return usageError{fmt.Errorf("%s is no directory, and its ending tells no form: --format yaml or json does", args[0])}
	case to == "":
		return usageError{errors.New("import of a directory wants the PATH to put it at")}
	}
	return e.importTree(ctx, args[0], to, existing)
}

var existingPolicies = map[string]target.Existing{"fail": target.Refuse, "keep": target.Keep, "replace": target.Replace}

// existingFlag is the flag of the commands that write nodes from elsewhere.
type existingFlag struct{ text string }

func (f *existingFlag) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.text, "existing", "fail", "what to do with nodes that exist: `fail|keep|replace`")
}

func (f *existingFlag) policy() (target.Existing, error) {
	policy, ok := existingPolicies[f.text]
	if !ok {
		return 0, usageError{fmt.Errorf("--existing %q: want fail, keep or replace", f.text)}
	}
	return policy, nil
}

func (e *env) importTree(ctx context.Context, dir, to string, existing target.Existing) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return usageError{err}
	}
	defer root.Close()
	c, err := e.session(ctx)
	if err != nil {
		return err
	}
	there, err := target.Prepare(ctx, c, "import", to, existing)
	if err != nil {
		return err
	}
	bar, start, total := e.progress("importing"), time.Now(), int64(0)
	w := target.NewWriter(ctx, c, target.Config{Op: "import", Existing: existing, There: there, Progress: func(n int) { bar.Add(n) }})
	r := &treeReader{root: root, maxData: int(protocol.DefaultLimits().MaxData), prefix: to}
	err = r.read(func(n treeNode) error {
		total += int64(len(n.data))
		return w.Put(target.Node{Path: below(to, n.path), Data: n.data})
	})
	err = cmp.Or(w.Flush(), err)
	bar.Finish()
	if err != nil {
		return fmt.Errorf("after %d nodes: %w", w.Written(), err)
	}
	return e.summary("imported", dir, to, w.Written(), total, time.Since(start), r.skips)
}

// below is the path of a node whose path below root is rel, "" for root itself.
func below(root, rel string) string {
	if rel == "" {
		return root
	}
	return znode.Join(root, rel)
}

func newExport(e *env) *cobra.Command {
	var replace bool
	var format formFlag
	cmd := &cobra.Command{
		Use:   "export PATH [FILE]",
		Short: "Write a tree of nodes into a directory or a document",
		Long: `Write the node PATH and all below it into FILE, a directory or a document, or without
FILE a document to standard output. A directory must be absent or empty, a document
absent; with --replace files that exist are written over, and none is ever deleted.
New files and directories are for their owner alone, as ACLs may hide what they hold.
Nodes are read one page after another while others may write; snapshot save is one
instant. Of / the system nodes below /zookeeper are left out.
` + filesHelp + `
` + documentHelp,
		Example: "  export /app /tmp/app\n  export /app app.yaml\n  export /app -f json | jq keys",
		GroupID: groupTree,
		Args:    rangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			file := "-"
			if len(args) > 1 {
				file = args[1]
			} else if format.text == "" && e.out.form == formJSON {
				format.text = string(formJSONTree)
			}
			form, err := format.form(file)
			if err != nil {
				return err
			}
			if form != formDir {
				return e.exportDocument(cmd.Context(), args[0], file, form, replace)
			}
			return e.exportTree(cmd.Context(), args[0], file, replace)
		},
	}
	format.add(cmd, "and without FILE yaml, or json if that is the form of the output")
	e.addSkipsFlag(cmd)
	cmd.Flags().BoolVar(&replace, "replace", false, "write over files that exist")
	return cmd
}

const systemNodes = "/zookeeper"

func isSystem(path string) bool {
	return path == systemNodes || strings.HasPrefix(path, systemNodes+"/")
}

func (e *env) exportTree(ctx context.Context, source, dir string, replace bool) error {
	c, err := e.reader(ctx)
	if err != nil {
		return err
	}
	if st, err := c.Exists(ctx, source); err != nil || st == nil {
		return errors.Join(err, absent("export", source, st))
	}
	root, err := outputRoot(dir, replace)
	if err != nil {
		return err
	}
	defer root.Close()
	w, bar, start := newTreeWriter(root, replace), e.progress("exporting"), time.Now()
	defer bar.Finish()
	var skips []skipped
	for node, err := range c.Walk(ctx, source) {
		if err != nil {
			return err
		}
		if source == "/" && isSystem(node.Path) {
			skips = append(skips, skipped{Path: node.Path, Reason: "system node"})
			continue
		}
		rel := strings.TrimPrefix(strings.TrimPrefix(node.Path, source), "/")
		if err := w.write(treeNode{path: rel, data: node.Data, leaf: node.Stat.NumChildren == 0}); err != nil {
			return fmt.Errorf("%s: %w", path.Join(dir, rel), reason(err))
		}
		bar.Add(1)
	}
	bar.Finish()
	return e.summary("exported", source, dir, w.nodes, w.bytes, time.Since(start), skips)
}

func absent(op, node string, st *client.Stat) error {
	if st != nil {
		return nil
	}
	return &client.Error{Op: op, Path: node, Err: client.ErrNoNode}
}

// outputRoot opens the directory to write to, which is made, or must be empty.
func outputRoot(dir string, replace bool) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, usageError{err}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, usageError{err}
	}
	entries, err := fs.ReadDir(root.FS(), ".")
	if err == nil && len(entries) > 0 && !replace {
		err = usageError{fmt.Errorf("%s is not empty; --replace writes over what is there", dir)}
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

// summary says what was moved, and lists what was not.
func (e *env) summary(did, from, to string, nodes int, bytes int64, took time.Duration, skips []skipped) error {
	if e.out.structured() {
		if skips == nil {
			skips = []skipped{}
		}
		return e.out.value(map[string]any{"from": from, "to": to, "nodes": nodes, "bytes": bytes, "ms": took.Milliseconds(), "skipped": skips})
	}
	e.tellSkipped(skips)
	line := fmt.Sprintf("%s %s, %d bytes from %s to %s in %s", did, counted(nodes, "node"), bytes, from, to, took.Round(time.Millisecond))
	if len(skips) > 0 {
		line += fmt.Sprintf("; skipped %d, see above", len(skips))
	}
	return e.out.line("%s", line)
}

// counted is "1 node" or "2 nodes", "1 watch" or "2 watches".
func counted(n int, what string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(what, "ch"):
		what += "es"
	default:
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// shownSkips is how many of a kind are listed where not all are wanted: a usual
// /etc has hundreds of symbolic links.
const shownSkips = 3

// tellSkipped lists what did not come along, with -v all of it.
func (e *env) tellSkipped(skips []skipped) {
	count := map[string]int{}
	var kinds []string
	for _, s := range skips {
		if count[s.kind()]++; count[s.kind()] == 1 {
			kinds = append(kinds, s.kind())
		}
		if e.allSkips || count[s.kind()] <= shownSkips {
			fmt.Fprintf(e.errw, "skipped %q: %s\n", s.Path, s.Reason)
		}
	}
	for _, kind := range kinds {
		if more := count[kind] - shownSkips; more > 0 && !e.allSkips {
			fmt.Fprintf(e.errw, "skipped %d more: %s (-v lists them)\n", more, kind)
		}
	}
}

func (e *env) addSkipsFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&e.allSkips, "verbose", "v", false, "list all that is skipped, not the first of each kind")
}
