package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/ergochat/readline"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

const historyLines = 1000

func newShell(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "shell",
		Short: "Talk to a server interactively",
		Long: `Open a session and take commands, one a line. Tab completes commands and paths, the
arrows and Ctrl-R find earlier lines, Ctrl-C ends a command, Ctrl-D or quit the
shell. Lines from a pipe or a file run as a script, which ends at the first error.

cd makes a node the current one, which the prompt shows, and paths that do not begin
with / begin there: a, ./a and ../a. Outside the shell paths begin with /.

Words are cut at blanks; '...', "..." and a backslash keep them together, and a word
that begins with # begins a comment.

Earlier lines, but for those of addauth, are kept in ~/.config/lycaon/history;
LYCAON_HISTORY names another file.`,
		GroupID: groupOther,
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			e.shell = true
			in, isFile := e.in.(*os.File)
			if !isFile || !term.IsTerminal(int(in.Fd())) {
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
	var ran []string
	e.history = func() []string { return ran }
	for number := 1; lines.Scan(); number++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		line, err := e.redo(lines.Text())
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		ran = append(ran, line)
		quit, err := runLine(ctx, e, line)
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if quit {
			return nil
		}
	}
	return lines.Err()
}

// prompt is an interactive shell at work.
type prompt struct {
	env   *env
	rl    *readline.Instance
	lines []string // of this run, for history and redo
}

func runPrompt(ctx context.Context, e *env) error {
	if _, err := e.session(ctx); err != nil {
		return err
	}
	// From here on Ctrl-C belongs to the line or the command, not to the shell.
	ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), syscall.SIGTERM)
	defer stop()
	p := &prompt{env: e}
	rl, err := readline.NewFromConfig(&readline.Config{
		HistoryFile: e.historyFile(), HistoryLimit: historyLines, HistorySearchFold: true,
		AutoComplete: &completer{env: e}, Undo: true, DisableAutoSaveHistory: true,
	})
	if err != nil {
		return err
	}
	defer rl.Close()
	defer context.AfterFunc(ctx, func() { rl.Close() })() // wakes a ReadLine
	p.rl = rl
	e.out.w, e.errw = rl.Stdout(), rl.Stderr()
	e.history = func() []string { return p.lines }
	e.ask = func(question string) (string, error) {
		rl.SetPrompt(question)
		return rl.ReadLine()
	}
	fmt.Fprintln(e.out.w, "Connected. help lists the commands, Tab completes, quit ends.")
	return p.loop(ctx)
}

func (p *prompt) loop(ctx context.Context) error {
	for ctx.Err() == nil {
		p.rl.SetPrompt(p.text())
		line, err := p.rl.ReadLine()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, readline.ErrInterrupt):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		if line, err = p.env.redo(line); err != nil {
			fmt.Fprintln(p.env.errw, err)
			continue
		}
		p.remember(line)
		quit, err := p.run(ctx, line)
		if err != nil && !errors.Is(err, errQuiet) {
			fmt.Fprintln(p.env.errw, describe(err))
		}
		if quit {
			return nil
		}
	}
	return nil
}

// remember keeps a line, but a password for this run alone.
func (p *prompt) remember(line string) {
	p.lines = append(p.lines, line)
	if words, err := splitWords(line); err == nil && len(words) > 0 && words[0] == "addauth" {
		return
	}
	if err := p.rl.SaveToHistory(line); err != nil {
		fmt.Fprintln(p.env.errw, "the line is not in the history file:", err)
	}
}

// run lets Ctrl-C end the command without ending the shell.
func (p *prompt) run(ctx context.Context, line string) (quit bool, err error) {
	command, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	quit, err = runLine(command, p.env, line)
	if command.Err() != nil {
		fmt.Fprintln(p.env.out.w) // behind the ^C
	}
	return quit, err
}

func (p *prompt) text() string {
	state := "CLOSED"
	if c := p.env.conn; c != nil {
		state = strings.ToUpper(c.Session().State().String())
	}
	return fmt.Sprintf("[lycaon: %s(%s) %s %d] ", p.env.target.server, state, p.env.cwd, len(p.lines))
}

// redo replaces "redo N" by line N of this run.
func (e *env) redo(line string) (string, error) {
	words := strings.Fields(line)
	if len(words) == 0 || words[0] != "redo" {
		return line, nil
	}
	lines := e.history()
	if len(words) == 2 {
		if n, err := strconv.Atoi(words[1]); err == nil && n >= 0 && n < len(lines) {
			return lines[n], e.out.line("%s", lines[n])
		}
	}
	if len(lines) == 0 {
		return "", usageError{errors.New("usage: redo N, with N as history shows it; there is no earlier line")}
	}
	return "", usageError{fmt.Errorf("usage: redo N, with N as history shows it, 0 to %d", len(lines)-1)}
}

// runLine runs one line with fresh flags. It tells whether the shell is to end.
func runLine(ctx context.Context, e *env, line string) (quit bool, err error) {
	words, err := splitWords(line)
	if err != nil || len(words) == 0 {
		return false, err
	}
	if words[0] == "quit" || words[0] == "exit" {
		return true, nil
	}
	if e.conn != nil && e.conn.Session().Context().Err() != nil {
		fmt.Fprintf(e.errw, "the session was lost (%v); a new one is opened\n", context.Cause(e.conn.Session().Context()))
	}
	defer func(was printer) { e.out = was }(e.out)
	e.out = e.out.apart()
	root := newShellRoot(e)
	root.SetArgs(words)
	err = root.ExecuteContext(ctx)
	return false, errors.Join(err, e.out.flush())
}

// shellUsage is that of cobra without the name of a program, which here has
// none.
const shellUsage = `{{if .HasParent}}Usage:
  {{.Use}}{{if .HasAvailableLocalFlags}} [flags]{{end}}{{if .Aliases}}

Aliases:
  {{.NameAndAliases}}{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{else}}{{$commands := .Commands}}{{range $group := .Groups}}{{.Title}}{{range $commands}}{{if eq .GroupID $group.ID}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}

{{end}}help COMMAND tells more of one.
{{end}}`

func newShellRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              cobra.ArbitraryArgs,
		RunE:              func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args[0]) },
	}
	root.SetIn(e.in)
	root.SetOut(e.out.w)
	root.SetErr(e.errw)
	root.SetUsageTemplate(shellUsage)
	root.SetFlagErrorFunc(flagError)
	root.AddGroup(&cobra.Group{ID: groupTree, Title: "The tree:"}, &cobra.Group{ID: groupOther, Title: "Sessions and more:"},
		&cobra.Group{ID: groupServer, Title: "Server:"})
	root.SetHelpCommand(newHelp())
	root.AddCommand(shellWords(e)...)
	root.AddCommand(newCd(e), newPwd(e), newHistory(e), &cobra.Command{Use: "quit", Aliases: []string{"exit"}, Short: "End the shell and its session", GroupID: groupOther, Run: func(*cobra.Command, []string) {}},
		&cobra.Command{Use: "redo N", Short: "Run line N of the history again", GroupID: groupOther, Run: func(*cobra.Command, []string) {}})
	e.adopt(root)
	return root
}

func newHistory(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "history",
		Short:   "List the lines typed so far",
		GroupID: groupOther,
		Args:    exactArgs(0),
		RunE: func(*cobra.Command, []string) error {
			for i, line := range e.history() {
				if err := e.out.line("%d - %s", i, line); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
