package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/znode"
)

const dataHelp = `DATA is taken as it is; - reads standard input to its end, @FILE a file, and
@@ or @- stand for a first @ or - that is meant. After -- nothing is a flag.
`

func newCreate(e *env) *cobra.Command {
	var opt createFlags
	parents := false
	cmd := &cobra.Command{
		Use:   "create PATH [DATA [ACL]]",
		Short: "Create a node",
		Long: `Create a node and print its path. Without DATA its data is null.

` + dataHelp + `
ACL is scheme:id:perms[,...] with perms out of cdrwa, for example
digest:ann:HASH:cdrwa,world:anyone:r; auth::cdrwa means yourself. The default is
open to everyone.

An ephemeral node (-e) goes with the session of this shell; run on its own, the
command ends its session and the node with it.`,
		Example: "  create /app hello\n  create -s /app/job-\n  create -t 10m /app/lease me\n  create -p /deep/er/node @value.json",
		GroupID: groupTree,
		Args:    rangeArgs(1, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, err := opt.options()
			if err != nil {
				return err
			}
			if parents {
				opts = append(opts, client.Parents())
			}
			data, err := e.dataArg(args, 1)
			if err != nil {
				return err
			}
			if len(args) == 3 {
				acl, err := znode.ParseACL(args[2])
				if err != nil {
					return usageError{err}
				}
				opts = append(opts, client.WithACL(acl))
			}
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			node, err := c.Create(cmd.Context(), args[0], data, opts...)
			if err != nil {
				return err
			}
			if e.out.structured() {
				return e.out.value(map[string]any{"path": node.Path, "zxid": node.Zxid, "existed": node.Existed, "stat": statValue(node.Stat)})
			}
			return e.printCreated(node)
		},
	}
	opt.add(cmd.Flags())
	cmd.Flags().BoolVarP(&parents, "parents", "p", false, "create missing parents, too")
	exclusive(cmd, []string{"container", "ephemeral", "ttl"}, []string{"container", "sequential"})
	return cmd
}

func (e *env) printCreated(n *client.Node) error {
	if n.Existed {
		return e.out.line("Exists %s", n.Path)
	}
	if e.out.compat() {
		_, err := fmt.Fprintf(e.errw, "Created %s\n", n.Path)
		return err
	}
	return e.out.line("Created %s", n.Path)
}

// createFlags are those of create, alone and in a multi.
type createFlags struct {
	sequential, ephemeral, container, ifAbsent bool
	ttl                                        string
}

func (c *createFlags) add(f *pflag.FlagSet) {
	f.BoolVarP(&c.sequential, "sequential", "s", false, "append a number that rises with each child of the parent")
	f.BoolVarP(&c.ephemeral, "ephemeral", "e", false, "delete it when the session ends")
	f.BoolVarP(&c.container, "container", "c", false, "delete it when its last child is gone")
	f.StringVarP(&c.ttl, "ttl", "t", "", "delete it when it is without children and unchanged for `TIME`: 10m, or milliseconds")
	f.BoolVar(&c.ifAbsent, "if-absent", false, "a node that exists is no error and stays as it is")
}

func (c *createFlags) options() (opts []client.CreateOption, err error) {
	for _, o := range []struct {
		on  bool
		opt client.CreateOption
	}{
		{c.sequential, client.Sequential()}, {c.ephemeral, client.Ephemeral()},
		{c.container, client.Container()}, {c.ifAbsent, client.IfAbsent()},
	} {
		if o.on {
			opts = append(opts, o.opt)
		}
	}
	if c.ttl != "" {
		ttl, err := parseTTL(c.ttl)
		if err != nil {
			return nil, err
		}
		opts = append(opts, client.TTL(ttl))
	}
	return opts, nil
}

// parseTTL takes a duration, or plain milliseconds as ZooKeeper's shell does.
func parseTTL(text string) (time.Duration, error) {
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(ms) * time.Millisecond, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, usageError{fmt.Errorf("--ttl %q: want a time such as 10m or milliseconds", text)}
	}
	return d, nil
}

// dataArg reads the data argument at place i, nil if there is none.
func (e *env) dataArg(args []string, i int) ([]byte, error) {
	if len(args) <= i {
		return nil, nil
	}
	text := args[i]
	switch {
	case e.literal:
	case text == "-":
		if e.screen != nil {
			fmt.Fprintln(e.errw, "DATA from here on; Ctrl-D at the beginning of a line ends it")
		}
		return io.ReadAll(e.in)
	case strings.HasPrefix(text, "@@"), strings.HasPrefix(text, "@-"):
		return []byte(text[1:]), nil
	case strings.HasPrefix(text, "@"):
		data, err := os.ReadFile(text[1:])
		if err != nil {
			return nil, usageError{err}
		}
		return data, nil
	}
	return []byte(text), nil
}

// versionFlag adds -v, whose absence means any version.
func versionFlag(cmd *cobra.Command, into *int64) {
	cmd.Flags().Int64VarP(into, "version", "v", znode.AnyVersion, "only if the node is at this version; -1 = any")
}

// notAt names the version that was asked for.
func notAt(version int64, err error) error {
	if errors.Is(err, client.ErrBadVersion) {
		return fmt.Errorf("%w: it is not at %d", err, version)
	}
	return err
}

func newSet(e *env) *cobra.Command {
	var stat, b64 bool
	version := znode.AnyVersion
	cmd := &cobra.Command{
		Use:     "set PATH DATA",
		Short:   "Set the data of a node",
		Long:    "Set the data of a node.\n\n" + dataHelp,
		Example: "  set /app/config @config.json\n  set -v 3 /app/config new",
		GroupID: groupTree,
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := e.dataArg(args, 1)
			if err != nil {
				return err
			}
			if b64 {
				if data, err = base64.StdEncoding.DecodeString(string(data)); err != nil {
					return usageError{fmt.Errorf("DATA: %w", err)}
				}
			}
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			st, err := c.Set(cmd.Context(), args[0], data, client.IfVersion(version))
			if err != nil {
				return notAt(version, err)
			}
			return e.printChanged(st, stat)
		},
	}
	cmd.Flags().BoolVarP(&stat, "stat", "s", false, "print the new stat")
	cmd.Flags().BoolVarP(&b64, "base64", "b", false, "DATA is base64")
	versionFlag(cmd, &version)
	return cmd
}

// printChanged tells the stat after a change: always in JSON, else if asked.
func (e *env) printChanged(st *client.Stat, stat bool) error {
	switch {
	case e.out.structured():
		return e.out.value(statValue(*st))
	case stat:
		return e.out.statBlock(*st)
	}
	return nil
}

func newDelete(e *env) *cobra.Command {
	version := znode.AnyVersion
	cmd := &cobra.Command{
		Use:     "delete PATH",
		Short:   "Delete a node without children",
		Example: "  delete /app/config\n  delete -v 3 /app/config",
		GroupID: groupTree,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			return notAt(version, c.Delete(cmd.Context(), args[0], client.IfVersion(version)))
		},
	}
	versionFlag(cmd, &version)
	return cmd
}

// confirmAbove is how many nodes a recursive delete takes without asking.
const confirmAbove = 100

func newDeleteAll(e *env) *cobra.Command {
	var yes bool
	var batch int
	cmd := &cobra.Command{
		Use:        "deleteall PATH",
		SuggestFor: []string{"rmr", "rm"},
		Short:      "Delete a node and all below it",
		Long: fmt.Sprintf(`Delete a node and all below it, as one change. Above %d nodes it asks first, or
wants --yes where nobody can be asked.`, confirmAbove),
		Example: "  deleteall /app\n  deleteall -y /app",
		GroupID: groupTree,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			below, err := c.Count(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if below >= confirmAbove && !yes && !e.out.compat() {
				if err := e.confirm(fmt.Sprintf("delete %s and %d nodes below it?", args[0], below)); err != nil {
					return err
				}
			}
			bar := e.progressOf(fmt.Sprintf("deleting %d nodes", below+1), "")
			defer bar.Finish()
			return c.Delete(cmd.Context(), args[0], client.Recursive())
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().IntVarP(&batch, "batch", "b", 0, "`SIZE` is taken as ZooKeeper's shell does; it is one change all the same")
	return cmd
}

// confirm asks a person. Where there is none the answer is no.
func (e *env) confirm(question string) error {
	ask := e.ask
	if ask == nil {
		ask = e.askTerminal()
	}
	if ask == nil {
		return usageError{fmt.Errorf("%s say --yes", question)}
	}
	answer, err := ask(question + " [y/N] ")
	if err != nil {
		return err
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return usageError{fmt.Errorf("not confirmed, nothing was changed")}
	}
	return nil
}

func newSetACL(e *env) *cobra.Command {
	var stat, recursive bool
	version := znode.AnyVersion
	cmd := &cobra.Command{
		Use:     "setAcl PATH ACL",
		Short:   "Set the ACL of a node",
		Long:    "Set the ACL of a node: scheme:id:perms[,...] with perms out of cdrwa.\nWith -R also of every node below it, one after the other.",
		Example: "  setAcl /app auth::cdrwa,world:anyone:r",
		GroupID: groupTree,
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			acl, err := znode.ParseACL(args[1])
			if err != nil {
				return usageError{err}
			}
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			if recursive {
				return setACLBelow(cmd, c, args[0], acl)
			}
			if err := c.SetACL(cmd.Context(), args[0], acl, client.IfVersion(version)); err != nil || !stat {
				return notAt(version, err)
			}
			st, err := mustExist(cmd, c, args[0])
			if err != nil {
				return err
			}
			return e.printChanged(st, stat)
		},
	}
	cmd.Flags().BoolVarP(&stat, "stat", "s", false, "print the new stat")
	cmd.Flags().BoolVarP(&recursive, "recursive", "R", false, "all nodes below, too")
	versionFlag(cmd, &version)
	exclusive(cmd, []string{"version", "recursive"}, []string{"stat", "recursive"})
	return cmd
}

// setACLBelow collects the paths first: an ACL that takes away our own READ
// would end the walk.
func setACLBelow(cmd *cobra.Command, c *client.Client, root string, acl znode.ACL) error {
	var paths []string
	for node, err := range c.Walk(cmd.Context(), root, client.KeysOnly()) {
		if err != nil {
			return err
		}
		paths = append(paths, node.Path)
	}
	for _, p := range paths {
		if err := c.SetACL(cmd.Context(), p, acl); err != nil {
			return err
		}
	}
	return nil
}
