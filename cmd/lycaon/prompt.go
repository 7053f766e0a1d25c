package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"

	"github.com/ergochat/readline"

	"github.com/lycaon-io/lycaon/client"
)

// historyLines is how many lines are kept between runs.
const historyLines = 1000

// prompt is an interactive shell at work.
type prompt struct {
	env      *env
	rl       *readline.Instance
	lines    []string       // of this run, for history and redo
	followed *client.Client // by a goroutine that ends with it

	mu     sync.Mutex
	typing bool   // a line is typed now, and nothing else touches env
	shown  string // the prompt before it
}

func runPrompt(ctx context.Context, e *env) error {
	if !e.out.compat() {
		if _, err := e.session(ctx); err != nil {
			return err
		}
	}
	// From here on Ctrl-C belongs to the line or the command, not to the shell.
	ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), endSignals()...)
	defer stop()
	catchStopKey() // the line editor waits for SIGCONT also where the kernel stops nobody
	p := &prompt{env: e}
	history, tab := e.historyFile(), &completer{env: e}
	rl, err := readline.NewFromConfig(&readline.Config{
		HistoryFile: history, HistoryLimit: historyLines, HistorySearchFold: true,
		AutoComplete: tab, Undo: true, DisableAutoSaveHistory: true,
		Listener: emptyAtCtrlC, FuncFilterInputRune: p.resting(dropAfterTab()),
	})
	if err != nil {
		return err
	}
	defer rl.Close()
	defer context.AfterFunc(ctx, func() { rl.Close() })() // wakes a ReadLine
	if err := os.Chmod(history, 0o600); err != nil && history != "" {
		fmt.Fprintln(e.errw, "lycaon: lines are not kept between runs:", err)
	}
	p.rl = rl
	e.screen, tab.tell = &screen{tty: e.out.w}, rl.Stdout()
	e.out.w, e.errw = e.screen.layer(rl.Stdout()), e.screen.layer(rl.Stderr())
	e.history = func() []string { return p.lines }
	e.ask = p.ask
	if !e.greet(ctx, "enabled") {
		fmt.Fprintln(e.out.w, "Connected. help lists the commands, Tab completes, quit ends.")
	}
	return p.loop(ctx)
}

// emptyAtCtrlC and dropAfterTab have Ctrl-C give up the line also while names are
// offered for it or a search goes on: there the line editor ends that alone, and
// the next Enter would run what is left.
func emptyAtCtrlC(line []rune, pos int, key rune) ([]rune, int, bool) {
	return nil, 0, key == readline.CharInterrupt
}

// dropAfterTab is for the names that a second Tab walks through, of which the
// listener does not hear.
func dropAfterTab() func(rune) (rune, bool) {
	var last rune
	return func(key rune) (rune, bool) {
		was := last
		last = key
		if was == readline.CharTab && key == readline.CharInterrupt {
			return readline.CharCtrlU, true
		}
		return key, true
	}
}

// resting has nobody draw the prompt anew from a key on that may end the line: the
// line editor then takes the line out of its buffer without a lock.
func (p *prompt) resting(filter func(rune) (rune, bool)) func(rune) (rune, bool) {
	return func(key rune) (rune, bool) {
		key, take := filter(key)
		p.mu.Lock()
		defer p.mu.Unlock()
		switch key {
		case readline.CharEnter, readline.CharCtrlJ, readline.CharInterrupt, readline.CharEOT:
			p.typing = false
		default:
			p.typing = true
		}
		return key, take
	}
}

func (p *prompt) loop(ctx context.Context) error {
	for ctx.Err() == nil {
		line, err := p.read()
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
			p.lines = append(p.lines, line)
			p.env.report(err)
			continue
		}
		p.remember(line)
		quit, err := p.run(ctx, line)
		p.env.report(err)
		if quit {
			return nil
		}
	}
	return nil
}

// read takes a line behind a prompt that is true at every moment.
func (p *prompt) read() (string, error) {
	if c := p.env.conn; c != nil && c != p.followed {
		p.followed = c
		go p.follow(c)
	}
	p.mu.Lock()
	p.typing, p.shown = true, p.text()
	p.rl.SetPrompt(p.shown)
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.typing = false
		p.mu.Unlock()
	}()
	return p.rl.ReadLine()
}

// follow draws the prompt anew with each state of a session, until its end.
func (p *prompt) follow(c *client.Client) {
	for range c.Session().States() {
		p.mu.Lock()
		if p.typing && p.shown != p.text() {
			p.shown = p.text()
			p.rl.SetPrompt(p.shown)
			p.rl.Refresh()
		}
		p.mu.Unlock()
	}
}

func (p *prompt) text() string {
	state := "CLOSED"
	if c := p.env.conn; c != nil {
		state = strings.ToUpper(c.Session().State().String())
	}
	if p.env.out.compat() {
		return p.env.zooPrompt(len(p.lines))
	}
	return visible(fmt.Sprintf("[lycaon: %s(%s) %s %d] ", shortServers(p.env.target.server), state, p.env.cwd, len(p.lines)))
}

// shortServers leaves room for typing: of several servers it names the first
// and counts the others.
func shortServers(text string) string {
	hosts, chroot, hasChroot := strings.Cut(text, "/")
	first, others, several := strings.Cut(hosts, ",")
	if several {
		first = fmt.Sprintf("%s+%d", first, strings.Count(others, ",")+1)
	}
	if hasChroot {
		first += "/" + chroot
	}
	return first
}

// ask puts a question, which Ctrl-C and Ctrl-D answer with nothing.
func (p *prompt) ask(question string) (string, error) {
	config := p.rl.GetConfig()
	config.Prompt, config.AutoComplete, config.FuncFilterInputRune = question, nil, nil
	answer, err := p.rl.ReadLineWithConfig(config)
	if errors.Is(err, readline.ErrInterrupt) || errors.Is(err, io.EOF) {
		return "", nil
	}
	return answer, err
}

// remember keeps a line, but a password for this run alone.
func (p *prompt) remember(line string) {
	p.lines = append(p.lines, line)
	if secret(line) {
		line = "" // which also has the line editor forget what was typed
	}
	if err := p.rl.SaveToHistory(line); err != nil {
		fmt.Fprintln(p.env.errw, "the line is not in the history file:", err)
	}
}

// secret tells that a line may hold a password, also one that was mistyped: an
// addauth with an open quote, or a scheme on its own.
func secret(line string) bool {
	words, last := scanWords(line)
	return slices.ContainsFunc(append(words, last.text), func(w string) bool {
		return w == "addauth" || w == "digest" || w == "sasl" || strings.HasPrefix(w, "--auth")
	})
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
