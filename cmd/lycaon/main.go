package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func main() {
	takeSlack(os.Args[1:])
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

// endSignals are those that end the process, beside the one that ends a command.
func endSignals() []os.Signal {
	if signal.Ignored(syscall.SIGHUP) { // by nohup
		return []os.Signal{syscall.SIGTERM}
	}
	return []os.Signal{syscall.SIGTERM, syscall.SIGHUP}
}

// run is the whole process but for its exit. Signals end what it does by its context.
func run(args []string, in io.Reader, out, errw io.Writer, getenv func(string) string) int {
	ctx, stop := signal.NotifyContext(context.Background(), append(endSignals(), os.Interrupt)...)
	defer stop()
	e := newEnv(in, out, errw, getenv)
	defer e.close()
	err := e.run(ctx, args)
	if flushed := e.out.flush(); err == nil {
		err = flushed
	}
	if zoo := (zooError{}); errors.As(err, &zoo) {
		e.tell(zoo.text)
	} else if err != nil && !errors.Is(err, errQuiet) {
		e.tell("lycaon: " + describe(err))
	}
	return exitCode(err)
}

// run runs a command line.
func (e *env) run(ctx context.Context, args []string) error {
	zoo, args := zooCommandLine(e, args)
	if zoo != nil {
		defer zoo.close()
		ctx, err := zoo.guarded(ctx)
		if err != nil {
			return err
		}
		return runZoo(ctx, zoo, zoo.flags.Args())
	}
	root := newRoot(e)
	root.SetArgs(args)
	return execute(ctx, root)
}

// execute runs a command line. Cobra looks for --help before it looks at the
// words, and would show the help of lycaon for a command that there is not.
func execute(ctx context.Context, root *cobra.Command) error {
	var wrong error
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if words := cmd.Flags().Args(); cmd.HasSubCommands() && len(words) > 0 {
			wrong = cmd.RunE(cmd, words)
			return
		}
		help(cmd, args)
	})
	err := root.ExecuteContext(ctx)
	return cmp.Or(frontFlagError(root, err), wrong)
}

const rootLong = `Lycaon keeps a replicated tree of small nodes for locks, configuration and discovery.

  lycaon serve --help      run a server
  lycaon shell             talk to one interactively
  lycaon COMMAND --help    one command, from here or in the shell

The flags below come before the command; -o may also stand behind it. Each is
also an environment variable: --server is LYCAON_SERVER. One that may be repeated
takes its values there one a line.

Forms of the output: text for people; json, one value a line, and yaml, one document
a value, for programs; table, a value a row, of which long ones are cut; compat, the
text of ZooKeeper's shell where it has the command, with its exit codes, 1 and 127.

Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 version mismatch, 5 not
permitted, 6 session lost, 7 no server available; from 10 on see serve --help.`

func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:                   "lycaon [flags] COMMAND [arguments]",
		Short:                 "A coordination service",
		Long:                  rootLong,
		Version:               version(),
		DisableFlagsInUseLine: true,
		TraverseChildren:      true, // -s before the command is the server, behind it the command's own flag
		SilenceErrors:         true,
		SilenceUsage:          true,
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			e.beforeCompleting(cmd, args)
			return e.prepare(cmd)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.SetIn(e.in)
	root.SetOut(e.out.w)
	root.SetErr(e.errw)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetUsageTemplate(wrapFlags.Replace(plainUsage.Replace(root.UsageTemplate())))
	root.SetFlagErrorFunc(flagError)
	e.target.addFlags(root.Flags())
	e.flags = root.Flags()
	root.AddGroup(&cobra.Group{ID: groupServer, Title: "Server:"}, &cobra.Group{ID: groupTree, Title: "The tree:"},
		&cobra.Group{ID: groupOther, Title: "Sessions and more:"})
	root.SetHelpCommand(newHelp())
	root.AddCommand(newServe(e), newSnapshot(e), newMigrate(e), newShell(e), newCompletion(), newConfd(e))
	root.AddCommand(shellWords(e)...)
	e.adopt(root)
	return root
}

// wrapFlags makes the flags of a usage as wide as the rest of it.
var wrapFlags = strings.NewReplacer(".FlagUsages ", fmt.Sprintf(".FlagUsagesWrapped %d ", helpColumns))

// plainUsage says once how a command is used that has others below it, and does nothing
// itself.
var plainUsage = strings.NewReplacer(
	"{{if .Runnable}}\n  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}\n  {{.CommandPath}} [command]{{end}}",
	"\n  {{if and .HasParent .HasAvailableSubCommands}}{{.CommandPath}} COMMAND [arguments]{{else}}{{.UseLine}}{{end}}",
	"Available Commands:", "Commands:",
	`Use "{{.CommandPath}} [command] --help" for more information about a command.`, "{{.CommandPath}} COMMAND --help tells more of one.",
)

func flagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	if words := cmd.Flags().Args(); !cmd.HasParent() && len(words) > 0 { // the flags behind it were its own
		return unknownCommand(cmd, words[0])
	}
	return usageError{fmt.Errorf("%w; see %s --help", plainFlagError(err), commandName(cmd))}
}

// frontFlagError is for a flag before the command, of which cobra asks no
// flagError.
func frontFlagError(root *cobra.Command, err error) error {
	usage, unknown := usageError{}, (*pflag.NotExistError)(nil)
	if errors.As(err, &unknown) && !errors.As(err, &usage) {
		return usageError{fmt.Errorf("%w; see %s --help", err, commandName(root))}
	}
	return plainFlagError(err)
}

// plainFlagError says what a value has to be in place of how it was parsed.
func plainFlagError(err error) error {
	invalid := (*pflag.InvalidValueError)(nil)
	if !errors.As(err, &invalid) {
		return err
	}
	plain := fmt.Sprintf("--%s %q: %s", invalid.GetFlag().Name, invalid.GetValue(), valueRule(err))
	return usageError{errors.New(strings.Replace(err.Error(), invalid.Error(), plain, 1))} // behind what says where it stands
}

// valueRule is the rule that the value of a flag breaks.
func valueRule(err error) string {
	invalid, number := (*pflag.InvalidValueError)(nil), (*strconv.NumError)(nil)
	if !errors.As(err, &invalid) {
		return err.Error()
	}
	switch kind, isNumber := invalid.GetFlag().Value.Type(), errors.As(err, &number); {
	case kind == "duration":
		return "want a time such as 10s or 1m30s"
	case kind == "bool":
		return "want true or false"
	case !isNumber:
		return strings.TrimPrefix(invalid.Unwrap().Error(), strconv.Quote(invalid.GetValue())+": ")
	case errors.Is(number.Err, strconv.ErrRange):
		return "the number is out of range"
	case number.Func == "ParseUint":
		return "want a number, 0 or more"
	}
	return "want a number"
}

// commandName is how a command is typed: in the shell without a program.
func commandName(cmd *cobra.Command) string { return strings.TrimSpace(cmd.CommandPath()) }

// shellOnly are the words that mean something between the lines of a shell alone,
// programOnly those that do on a command line alone.
var (
	shellOnly   = words("cd pwd history redo quit exit")
	programOnly = words("serve snapshot migrate shell completion confd")
)

const suggestWithin = 2 // letters typed wrong

func unknownCommand(root *cobra.Command, name string) error {
	root.SuggestionsMinimumDistance = suggestWithin
	hint := strings.TrimSpace(root.Name()+" help") + " lists them"
	switch {
	case root.HasParent():
		hint = commandName(root) + " --help lists them"
	case root.Name() != "" && shellOnly[name]:
		return usageError{fmt.Errorf("%q is a word of the shell; lycaon shell starts it", name)}
	case root.Name() == "" && programOnly[name]:
		return usageError{fmt.Errorf("%q is no word of the shell; outside it, lycaon %s --help tells of it", name, name)}
	}
	near := slices.DeleteFunc(root.SuggestionsFor(name), func(s string) bool {
		return name == "" || len(s) <= suggestWithin && !strings.HasPrefix(name, s[:1]) // as many letters wrong as it has
	})
	if len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return usageError{fmt.Errorf("unknown command %q; %s", name, hint)}
}

func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:               "help [COMMAND]",
		Short:             "Tell what a command does",
		Example:           "  help\n  help create\n  help queue take",
		GroupID:           groupOther,
		PersistentPreRun:  func(*cobra.Command, []string) {}, // help needs no settings
		ValidArgsFunction: offerCommands,
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(about, strings.Join(rest, " "))
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}
