package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/lycaon-io/lycaon/client"
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
	var existing string
	cmd := &cobra.Command{
		Use:   "import DIR PATH",
		Short: "Load a directory tree into a tree of nodes",
		Long: `Load a directory into PATH; missing parents of PATH are created. What cannot come
along is skipped and listed with its reason: symbolic links, devices and sockets,
unreadable files, files larger than a node may be, and names that no node may
have (ZooKeeper's rules: valid UTF-8, no control characters).
` + filesHelp + `

An import is made of many changes, each of up to ` + fmt.Sprint(importOps) + ` nodes. After an error, run it again
with --existing keep: what is there already is passed over.`,
		Example: "  import /etc /etc\n  import --existing replace ./config /app/config",
		GroupID: groupTree,
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			policy, ok := existingPolicies[existing]
			if !ok {
				return usageError{fmt.Errorf("--existing %q: want fail, keep or replace", existing)}
			}
			if err := znode.ValidatePath(args[1]); err != nil {
				return usageError{err}
			}
			return e.importTree(cmd.Context(), args[0], args[1], policy)
		},
	}
	cmd.Flags().StringVar(&existing, "existing", "fail", "what to do with nodes that exist: `fail|keep|replace`")
	return cmd
}

type existingPolicy uint8

const (
	existingFail existingPolicy = iota
	existingKeep
	existingReplace
)

var existingPolicies = map[string]existingPolicy{"fail": existingFail, "keep": existingKeep, "replace": existingReplace}

// An import gathers nodes into transactions of this many operations or bytes.
const (
	importOps   = 500
	importBytes = 512 << 10
)

// importer gathers nodes and sends them, parents before children.
type importer struct {
	ctx    context.Context
	client *client.Client
	target string
	policy existingPolicy
	there  map[string]bool // existing paths, with existingReplace
	ops    []client.Op
	paths  []string // of ops
	bytes  int
	nodes  int
	total  int64
	bar    *progressbar.ProgressBar
}

func (e *env) importTree(ctx context.Context, dir, target string, policy existingPolicy) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return usageError{err}
	}
	defer root.Close()
	c, err := e.session(ctx)
	if err != nil {
		return err
	}
	im := &importer{ctx: ctx, client: c, target: target, policy: policy, bar: e.progress("importing")}
	if err := im.prepare(); err != nil {
		return err
	}
	r := &treeReader{root: root, maxData: int(protocol.DefaultLimits().MaxData), prefix: target}
	start := time.Now()
	err = r.read(im.add)
	if err == nil {
		err = im.flush()
	}
	im.bar.Finish()
	if err != nil {
		return fmt.Errorf("after %d nodes: %w", im.nodes-len(im.ops), err) // what was gathered last is not there
	}
	return e.summary("imported", dir, target, im.nodes, im.total, time.Since(start), r.skips)
}

const existsHint = "--existing keep or replace goes on"

// prepare looks at what is there before anything is changed.
func (im *importer) prepare() error {
	st, err := im.client.Exists(im.ctx, im.target)
	if err != nil {
		return err
	}
	if st != nil && im.policy == existingFail && im.target != "/" {
		return &client.Error{Op: "import", Path: im.target, Err: client.ErrNodeExists, Detail: existsHint}
	}
	if parent := znode.Parent(im.target); st == nil && parent != "/" {
		if _, err := im.client.Create(im.ctx, parent, nil, client.Parents(), client.IfAbsent()); err != nil {
			return err
		}
	}
	im.there = map[string]bool{}
	if st == nil || im.policy != existingReplace {
		return nil
	}
	for node, err := range im.client.Walk(im.ctx, im.target, client.KeysOnly()) {
		if err != nil {
			return err
		}
		im.there[node.Path] = true
	}
	return nil
}

func (im *importer) add(n treeNode) error {
	p := im.target
	if n.path != "" {
		p = znode.Join(im.target, n.path)
	}
	if p == "/" && n.data == nil {
		return nil
	}
	if len(im.ops) >= importOps || im.bytes+len(n.data)+len(p) > importBytes && len(im.ops) > 0 {
		if err := im.flush(); err != nil {
			return err
		}
	}
	im.paths = append(im.paths, p)
	switch {
	case im.there[p] || p == "/" && im.policy == existingReplace:
		im.ops = append(im.ops, client.OpSet(p, n.data))
	case im.policy == existingKeep:
		im.ops = append(im.ops, client.OpCreate(p, n.data, client.IfAbsent()))
	default:
		im.ops = append(im.ops, client.OpCreate(p, n.data))
	}
	im.bytes += len(n.data) + len(p)
	im.nodes++
	im.total += int64(len(n.data))
	return nil
}

func (im *importer) flush() error {
	if len(im.ops) == 0 {
		return nil
	}
	if _, err := im.client.Multi(im.ctx, im.ops...); err != nil {
		return im.nameCulprit(err)
	}
	im.bar.Add(len(im.ops))
	im.ops, im.paths, im.bytes = im.ops[:0], im.paths[:0], 0
	return nil
}

// nameCulprit turns the number of the operation that failed into its path.
func (im *importer) nameCulprit(err error) error {
	call, failed := (*client.Error)(nil), (*client.MultiError)(nil)
	if !errors.As(err, &call) || !errors.As(err, &failed) {
		return err
	}
	named := *call
	named.Op, named.Path, named.Err = "import", im.paths[failed.Index], failed.Err
	if errors.Is(failed.Err, client.ErrNodeExists) {
		named.Detail = existsHint
	}
	return &named
}

func newExport(e *env) *cobra.Command {
	var replace bool
	cmd := &cobra.Command{
		Use:   "export PATH DIR",
		Short: "Write a tree of nodes into a directory",
		Long: `Write the node PATH and all below it into DIR, which must be absent or empty; with
--replace files that exist are written over, and none is ever deleted. Nodes are
read one page after another while others may write; snapshot save is one instant.
Of / the system nodes below /zookeeper are left out.
` + filesHelp,
		Example: "  export /app /tmp/app",
		GroupID: groupTree,
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.exportTree(cmd.Context(), args[0], args[1], replace)
		},
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "write over files that exist")
	return cmd
}

const systemNodes = "/zookeeper"

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
	var skips []skipped
	for node, err := range c.Walk(ctx, source) {
		if err != nil {
			return err
		}
		if source == "/" && (node.Path == systemNodes || strings.HasPrefix(node.Path, systemNodes+"/")) {
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
	if err := os.MkdirAll(dir, 0o755); err != nil {
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

// progress is a bar on a terminal and nothing elsewhere.
func (e *env) progress(doing string) *progressbar.ProgressBar {
	errw, isFile := e.errw.(*os.File)
	seen := e.ask != nil || isFile && term.IsTerminal(int(errw.Fd())) // the shell's prompt stands between it and the terminal
	return progressbar.NewOptions(-1, progressbar.OptionSetDescription(doing), progressbar.OptionSetWriter(e.errw),
		progressbar.OptionSetVisibility(seen && !e.out.json), progressbar.OptionShowCount(), progressbar.OptionSetItsString("nodes"),
		progressbar.OptionShowIts(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
}

// summary says what was moved, and lists what was not.
func (e *env) summary(did, from, to string, nodes int, bytes int64, took time.Duration, skips []skipped) error {
	if e.out.json {
		if skips == nil {
			skips = []skipped{}
		}
		return e.out.value(map[string]any{"from": from, "to": to, "nodes": nodes, "bytes": bytes, "ms": took.Milliseconds(), "skipped": skips})
	}
	for _, s := range skips {
		fmt.Fprintf(e.errw, "skipped %q: %s\n", s.Path, s.Reason)
	}
	line := fmt.Sprintf("%s %d nodes, %d bytes from %s to %s in %s", did, nodes, bytes, from, to, took.Round(time.Millisecond))
	if len(skips) > 0 {
		line += fmt.Sprintf("; skipped %d, listed above", len(skips))
	}
	return e.out.line("%s", line)
}
