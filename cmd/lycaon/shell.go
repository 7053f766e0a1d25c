package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func newShell(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "shell",
		Short: "Talk to a server interactively",
		Long: `Open a session and take commands, one a line. Tab completes commands, flags and what
they take, and paths; behind a - it tells the flags. The arrows and Ctrl-R find earlier
lines, Ctrl-C ends a command, Ctrl-D or quit the shell. Lines from a pipe or a file run
as a script, which ends at the first error.

cd makes a node the current one, which the prompt shows, and paths that do not begin
with / begin there: a, ./a and ../a. Outside the shell paths begin with /.

Words are cut at blanks; '...', "..." and a backslash keep them together, and a word
that begins with # begins a comment.

With --compat before shell it takes and prints what ZooKeeper's shell does; a script
then goes on behind an error, and its exit code is that of its last line.

Earlier lines, but for those that may hold a password, are kept in ~/.config/lycaon/history;
LYCAON_HISTORY names another file.`,
		Example: "  lycaon shell\n  lycaon -s 10.0.0.1:2181,10.0.0.2:2181 shell\n  lycaon shell < script",
		GroupID: groupOther,
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			e.shell = true
			if !isTerminal(e.in) {
				return runScript(cmd.Context(), e)
			}
			return runPrompt(cmd.Context(), e)
		},
	}
}

// maxLine is how long a line of a script may be: a node's data in quotes, twice
// over.
const maxLine = 2 << 20

// runScript takes commands from a pipe or a file, each as soon as it is there.
func runScript(ctx context.Context, e *env) error {
	lines := bufio.NewScanner(e.in)
	lines.Buffer(nil, maxLine)
	e.in = strings.NewReader("")
	e.greet(ctx, "disabled")
	var ran []string
	var last error // with which ZooKeeper's shell ends, having told it
	e.history = func() []string { return ran }
	for number := 1; lines.Scan(); number++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		line, err := e.redo(lines.Text())
		ran = append(ran, line)
		quit := false
		if err == nil {
			quit, err = runLine(ctx, e, line)
		}
		switch {
		case quit:
			return last
		case err == nil:
			last = nil
		case e.out.compat():
			e.report(err)
			last = exitStatus(exitCode(err))
		default:
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return cmp.Or(lines.Err(), last)
}

// report tells a person what went wrong.
func (e *env) report(err error) {
	switch zoo := (zooError{}); {
	case err == nil, errors.Is(err, errQuiet):
	case errors.As(err, &zoo):
		e.tell(zoo.text)
	default:
		e.tell(describe(err))
	}
}

// redo replaces "redo N" by line N of this run. A line with a mistake comes back
// as it was.
func (e *env) redo(line string) (string, error) {
	words := strings.Fields(line)
	if len(words) == 0 || words[0] != "redo" {
		return line, nil
	}
	lines := e.history()
	n, err := strconv.Atoi(strings.Join(words[1:], " "))
	known := err == nil && n >= 0 && n < len(lines)
	switch {
	case e.out.compat() && known:
		return zooRedo(line, lines[n])
	case e.out.compat():
		return zooRedo(line, "")
	case len(lines) == 0:
		return line, usageError{errors.New("usage: redo N, with N as history shows it; there is no earlier line")}
	case !known:
		return line, usageError{fmt.Errorf("usage: redo N, with N as history shows it, 0 to %d", len(lines)-1)}
	case isRedo(lines[n]):
		return line, usageError{fmt.Errorf("line %d is a redo itself", n)}
	}
	return lines[n], e.out.line("%s", lines[n])
}

func isRedo(line string) bool {
	words := strings.Fields(line)
	return len(words) > 0 && words[0] == "redo"
}

// runLine runs one line. It tells whether the shell is to end.
func runLine(ctx context.Context, e *env, line string) (quit bool, err error) {
	words, run := splitZoo(line), runZoo
	if !e.out.compat() {
		run = runWords
		words, err = splitWords(line)
	}
	if err != nil || len(words) == 0 {
		return false, err
	}
	if words[0] == "quit" || words[0] == "exit" {
		return true, nil
	}
	if e.conn != nil && e.conn.Session().Context().Err() != nil {
		e.tell(fmt.Sprintf("the session was lost (%v); a new one is opened", context.Cause(e.conn.Session().Context())))
	}
	return false, run(ctx, e, words)
}

// runWords runs one command with fresh flags.
func runWords(ctx context.Context, e *env, words []string) error {
	defer func(was printer) { e.out = was }(e.out)
	e.out = e.out.apart()
	root := newShellRoot(e)
	root.SetArgs(words)
	return errors.Join(execute(ctx, root), e.out.flush())
}

// shellUsage is that of cobra without the name of a program: it has none here, so that
// a UseLine and a CommandPath begin with a blank.
const shellUsage = `{{if .HasParent}}Usage:
 {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND [arguments]{{else}}{{.UseLine}}{{end}}{{if .Aliases}}

Aliases:
  {{.NameAndAliases}}{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{if .HasAvailableSubCommands}}
help{{.CommandPath}} COMMAND tells more of one.
{{end}}{{else}}{{$commands := .Commands}}{{range $group := .Groups}}{{.Title}}{{range $commands}}{{if eq .GroupID $group.ID}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}

{{end}}help COMMAND tells more of one.
{{end}}`

func newShellRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRun:  e.beforeCompleting,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              cobra.ArbitraryArgs,
		RunE:              func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args[0]) },
	}
	root.SetIn(e.in)
	root.SetOut(e.out.w)
	root.SetErr(e.errw)
	root.SetUsageTemplate(wrapFlags.Replace(shellUsage))
	root.SetFlagErrorFunc(flagError)
	root.AddGroup(&cobra.Group{ID: groupTree, Title: "The tree:"}, &cobra.Group{ID: groupOther, Title: "Sessions and more:"},
		&cobra.Group{ID: groupServer, Title: "Server:"})
	root.SetHelpCommand(newHelp())
	root.AddCommand(shellWords(e)...)
	root.AddCommand(newCd(e), newPwd(e), newHistory(e), &cobra.Command{Use: "quit", Aliases: []string{"exit"}, Short: "End the shell and its session", Example: "  quit", GroupID: groupOther, Run: func(*cobra.Command, []string) {}},
		&cobra.Command{Use: "redo N", Short: "Run line N of the history again", Example: "  redo 3", GroupID: groupOther, Run: func(*cobra.Command, []string) {}})
	e.adopt(root)
	return root
}

func newHistory(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "history",
		Short:   "List the lines typed so far",
		Example: "  history",
		GroupID: groupOther,
		Args:    exactArgs(0),
		RunE: func(*cobra.Command, []string) error {
			lines := e.history()
			from := 0
			if e.out.compat() {
				from = max(0, len(lines)-zooHistory)
			}
			for i, line := range lines[from:] {
				i += from
				if err := e.out.line("%d - %s", i, line); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
