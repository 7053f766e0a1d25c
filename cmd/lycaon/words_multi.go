package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/znode"
)

func newMulti(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "multi COMMAND...",
		Short: "Do several changes as one transaction",
		Long: `Do all of the commands or none, each of them one argument, so in quotes. With - alone
they are read from standard input, one a line, and end there. About 1,000 are
possible; apply has room for 20,000. The commands, with flags as in the commands of
the same name, are

  create [-s] [-e] [-c] [-t TIME] [--if-absent] PATH [DATA [ACL]]
  set [-v VERSION] PATH DATA
  setAcl [-v VERSION] PATH ACL
  delete [-v VERSION] PATH
  check PATH VERSION            nothing is done unless the node is at this version

Each sees what those before it did. The paths of what was created are printed.`,
		Example: "  multi 'create /a x' 'set -v 3 /b y' 'check /c 3'\n  multi - < changes",
		GroupID: groupTree,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exactArgs(1)(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			lines, err := e.multiLines(args)
			if err != nil {
				return err
			}
			var steps []step
			for i, line := range lines {
				s, err := e.multiStep(line)
				if err != nil {
					return usageError{fmt.Errorf("multi: command %d, %q: %w", i+1, line, err)}
				}
				if s != nil {
					steps = append(steps, *s)
				}
			}
			return e.multi(cmd.Context(), steps)
		},
	}
}

func (e *env) multiLines(args []string) ([]string, error) {
	if len(args) != 1 || args[0] != "-" {
		return args, nil
	}
	text, err := io.ReadAll(e.in)
	if err != nil {
		return nil, err
	}
	e.in = strings.NewReader("")
	return strings.Split(string(text), "\n"), nil
}

// multiWords are the commands of multi: each defines its flags and returns what
// makes an operation of its arguments.
var multiWords = map[string]func(*pflag.FlagSet) func(e *env, args []string) (client.Op, error){
	"create": multiCreate, "set": multiSet, "setAcl": multiSetACL, "delete": multiDelete, "check": multiCheck,
}

var errMultiArgs = errors.New("arguments are missing or too many: each command is one argument, in quotes; see multi --help")

// multiStep reads one command, nil if the line has none.
func (e *env) multiStep(line string) (*step, error) {
	words, err := splitWords(line)
	if err != nil || len(words) == 0 {
		return nil, err
	}
	define, ok := multiWords[words[0]]
	if !ok {
		return nil, errors.New("want create, set, setAcl, delete or check")
	}
	flags := pflag.NewFlagSet(words[0], pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	make := define(flags)
	switch err := flags.Parse(words[1:]); {
	case errors.Is(err, pflag.ErrHelp):
		return nil, errors.New("see multi --help")
	case err != nil:
		return nil, err
	case flags.NArg() == 0:
		return nil, errMultiArgs
	}
	args := flags.Args()
	if args[0], err = e.path(args[0], sequential(flags)); err != nil {
		return nil, err
	}
	op, err := make(e, args)
	return &step{op: op, does: words[0], path: args[0]}, err
}

func multiCreate(f *pflag.FlagSet) func(*env, []string) (client.Op, error) {
	var opt createFlags
	opt.add(f)
	return func(e *env, args []string) (client.Op, error) {
		if len(args) > 3 {
			return client.Op{}, errMultiArgs
		}
		opts, err := opt.options()
		if err != nil {
			return client.Op{}, err
		}
		data, err := e.dataArg(args, 1)
		if err != nil {
			return client.Op{}, err
		}
		if len(args) == 3 {
			acl, err := znode.ParseACL(args[2])
			if err != nil {
				return client.Op{}, err
			}
			opts = append(opts, client.WithACL(acl))
		}
		return client.OpCreate(args[0], data, opts...), nil
	}
}

func multiSet(f *pflag.FlagSet) func(*env, []string) (client.Op, error) {
	version := anyVersion(f)
	return func(e *env, args []string) (client.Op, error) {
		if len(args) != 2 {
			return client.Op{}, errMultiArgs
		}
		data, err := e.dataArg(args, 1)
		return client.OpSet(args[0], data, client.IfVersion(*version)), err
	}
}

func multiSetACL(f *pflag.FlagSet) func(*env, []string) (client.Op, error) {
	version := anyVersion(f)
	return func(_ *env, args []string) (client.Op, error) {
		if len(args) != 2 {
			return client.Op{}, errMultiArgs
		}
		acl, err := znode.ParseACL(args[1])
		return client.OpSetACL(args[0], acl, client.IfVersion(*version)), err
	}
}

func multiDelete(f *pflag.FlagSet) func(*env, []string) (client.Op, error) {
	version := anyVersion(f)
	return func(_ *env, args []string) (client.Op, error) {
		if len(args) != 1 {
			return client.Op{}, errMultiArgs
		}
		return client.OpDelete(args[0], client.IfVersion(*version)), nil
	}
}

func multiCheck(*pflag.FlagSet) func(*env, []string) (client.Op, error) {
	return func(_ *env, args []string) (client.Op, error) {
		if len(args) != 2 {
			return client.Op{}, errMultiArgs
		}
		version, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return client.Op{}, fmt.Errorf("version %q: want a number", args[1])
		}
		return client.OpCheck(args[0], version), nil
	}
}

func anyVersion(f *pflag.FlagSet) *int64 { return f.Int64P("version", "v", znode.AnyVersion, "") }

func (e *env) multi(ctx context.Context, steps []step) error {
	if len(steps) == 0 {
		return usageError{errors.New("multi: no command")}
	}
	c, err := e.session(ctx)
	if err != nil {
		return err
	}
	done, err := commitWithResults(ctx, c, "multi", steps)
	if err != nil {
		return err
	}
	results := make([]map[string]any, len(steps))
	for i, n := range done.Nodes {
		does := steps[i].does
		switch {
		case e.out.structured():
			results[i] = map[string]any{"command": does, "path": n.Path}
			if n.Stat != (client.Stat{}) {
				results[i]["stat"] = statValue(n.Stat)
			}
		case does == "create":
			if err := e.printCreated(&n); err != nil {
				return err
			}
		}
	}
	if e.out.structured() {
		return e.out.value(map[string]any{"zxid": done.Zxid, "results": results})
	}
	return nil
}
