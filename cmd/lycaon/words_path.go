package main

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lycaon-io/lycaon/znode"
)

// resolvePaths makes those of the arguments that are paths absolute, in place.
func (e *env) resolvePaths(cmd *cobra.Command, args []string) error {
	for i := range args {
		name := argumentAt(cmd, i).name
		if !pathNames[name] {
			continue
		}
		abs, err := e.path(args[i], name == "PREFIX" || sequential(cmd.Flags()))
		if err != nil {
			return err
		}
		args[i] = abs
	}
	return nil
}

// sequential tells whether a number comes behind the path.
func sequential(flags *pflag.FlagSet) bool {
	f := flags.Lookup("sequential")
	return f != nil && f.Changed
}

// path is the absolute form of a path that was typed. Outside the shell there
// is no current node: a relative path is a mistake, and dots are for the server
// to refuse. A slash at the end says nothing but where something is put behind
// it.
func (e *env) path(typed string, slash bool) (string, error) {
	abs := typed
	if e.shell {
		abs = e.inShell(typed)
	} else if !strings.HasPrefix(typed, "/") {
		return "", usageError{fmt.Errorf("path %q: outside the shell paths begin with /", typed)}
	}
	slash = slash && strings.HasSuffix(typed, "/")
	if abs = strings.TrimSuffix(abs, "/"); abs == "" || slash {
		abs += "/"
	}
	return abs, nil
}

// inShell starts at the current node and takes out dots, which no name is.
func (e *env) inShell(typed string) string {
	abs := typed
	if !strings.HasPrefix(typed, "/") {
		abs = znode.Join(e.cwd, typed)
	}
	if steps := strings.Split(abs, "/"); slices.Contains(steps, ".") || slices.Contains(steps, "..") {
		abs = path.Clean(abs)
	}
	return abs
}

// pathOrHere is the path at place i of the arguments, the current one if there
// is none.
func (e *env) pathOrHere(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return e.cwd
}

func newCd(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "cd [PATH]",
		Short: "Make a node the one that relative paths begin at",
		Long: `Make PATH the current node, / if it is left out. Each command takes paths relative
to it: a and ./a are below it, .. is above it.`,
		Example: "  cd /app\n  ls ..\n  get config",
		GroupID: groupTree,
		Args:    maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			to := "/"
			if len(args) > 0 {
				to = args[0]
			}
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			if _, err := mustExist(cmd, c, to); err != nil {
				return err
			}
			e.cwd = to
			return nil
		},
	}
}

func newPwd(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "pwd",
		Short:   "Print the path that relative paths begin at",
		Example: "  pwd",
		GroupID: groupTree,
		Args:    exactArgs(0),
		RunE: func(*cobra.Command, []string) error {
			if e.out.structured() {
				return e.out.value(map[string]string{"path": e.cwd})
			}
			return e.out.line("%s", e.cwd)
		},
	}
	e.addOutputFlag(cmd)
	return cmd
}
