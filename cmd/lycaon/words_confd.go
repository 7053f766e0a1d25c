package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/confd"
)

const confdHelp = `Keep files equal to what templates make of the tree: a file and its template for each
argument TEMPLATE:FILE[:RELOAD]. A template is rendered at the start and whenever
something that it read has changed, also a node that was not there.
A file is replaced whole (a new file in its folder, made durable, takes its name) and
keeps its mode and owner; a template that makes what the file holds already changes
nothing and reloads nothing. Whatever goes wrong, a missing node, a failing check, no
server, the file stays as it is; it is told, and tried again by itself.

Templates are Go's (text/template). From the tree they read with

  getv PATH [DEFAULT]    the data of a node; without DEFAULT it has to be there
  get PATH               the node: .Path .Name .Value
  exists PATH            whether it is there
  ls PATH                the names of its children, in order; none if it is not there
  gets PATTERN           the nodes at /a/*/b, with *, ? and [a-z] in names; getvs: their data
  tree PATH              all nodes below, parents first; .Rel is the part of .Path below

and else they have

  env NAME [DEFAULT], default D S, fail TEXT, json, toJSON, yaml, toYAML, base64Encode,
  base64Decode, split S SEP, join LIST SEP, lines, trim, trimPrefix S P, trimSuffix S P,
  replace S OLD NEW, toLower, toUpper, contains S PART, hasPrefix S P, hasSuffix S P,
  indent N S, quote, base, dir, atoi, parseBool, add, sub, mul, div, mod, seq FROM TO,
  sort, reverse, list, map NAME VALUE...

RELOAD, and the command of --reload, run by sh when the content of FILE has changed, once
for all files that changed together, after the last of them is in place. One that fails
is told and run again until it succeeds, but not by the next run of this command, for
which the file is right already. --check runs before a file is replaced, which
it prevents by failing: $LYCAON_NEW is the file with the new content, $LYCAON_TARGET
the one that it is for.

With --once it ends when all files are right: with 0 then, with 3 if a node was
missing, with 7 if no server could be reached, with 1 if a check, a reload or a file
failed. Without, Ctrl-C and SIGTERM end it, with 0.`

const confdExample = `  lycaon confd nginx.tmpl:/etc/nginx/nginx.conf:'nginx -s reload' --check 'nginx -t -c $LYCAON_NEW'
  lycaon confd --once app.tmpl:/run/app.conf --mode 0640
  lycaon confd --dry-run app.tmpl:app.conf
  cat nginx.tmpl
    {{range gets "/services/web/*"}}server {{.Value}};
    {{end}}workers {{getv "/app/workers" "4"}};`

// commandTimeout is how long a check or reload may take unless told otherwise.
const commandTimeout = 30 * time.Second

type confdFlags struct {
	check, reload, mode, wait string
	once, dryRun              bool
	timeout                   time.Duration
}

func newConfd(e *env) *cobra.Command {
	var f confdFlags
	cmd := &cobra.Command{
		Use:     "confd TEMPLATE:FILE...",
		Short:   "Keep configuration files equal to what templates make of the tree",
		Long:    confdHelp,
		Example: confdExample,
		GroupID: groupOther,
		Args:    rangeArgs(1, math.MaxInt),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := e.confd(args, &f)
			switch {
			case err != nil:
				return usageError{err}
			case f.dryRun:
				return r.Preview(cmd.Context(), e.showFile)
			case f.once:
				return r.Once(cmd.Context())
			}
			return r.Run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.once, "once", false, "make the files once, and end")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what the files are to be, and end")
	flags.StringVar(&f.check, "check", "", "`CMD` that a new content must pass; it is at $LYCAON_NEW")
	flags.StringVar(&f.reload, "reload", "", "`CMD` to run when any file has changed")
	flags.StringVar(&f.mode, "mode", "", "`MODE` of the files, as 0640; else they keep theirs, and a new one has 0644 less the umask")
	flags.StringVar(&f.wait, "wait", "200ms:2s", "after a change wait until all is quiet for the first of `MIN:MAX`, at most for the second")
	flags.DurationVar(&f.timeout, "command-timeout", commandTimeout, "end a command after this long")
	return cmd
}

func (e *env) showFile(file string, content []byte) error {
	if e.out.structured() {
		return e.out.value(dataFields(map[string]any{"file": file}, append([]byte{}, content...)))
	}
	return e.out.text(string(content))
}

func (e *env) confd(args []string, f *confdFlags) (*confd.Runner, error) {
	cfg := confd.Config{
		Check: f.check, Reload: f.reload, Open: e.session, Getenv: e.getenv,
		Tell: func(text string) { e.tell("lycaon: confd: " + strings.ReplaceAll(text, "\n", "; ")) },
		Run: func(ctx context.Context, command string, environ []string) error {
			return e.runCommand(ctx, command, environ, f.timeout)
		},
	}
	for _, arg := range args {
		t, err := confd.ParseTemplate(arg)
		if err != nil {
			return nil, err
		}
		cfg.Templates = append(cfg.Templates, t)
	}
	var err error
	if cfg.Mode, err = parseMode(f.mode); err != nil {
		return nil, err
	}
	if cfg.WaitMin, cfg.WaitMax, err = parseWait(f.wait); err != nil {
		return nil, err
	}
	return confd.New(cfg)
}

func parseMode(text string) (fs.FileMode, error) {
	if text == "" {
		return 0, nil
	}
	mode, err := strconv.ParseUint(text, 8, 32)
	if err != nil || mode == 0 || mode > uint64(fs.ModePerm) {
		return 0, fmt.Errorf("--mode %q: want an octal number such as 0640", text)
	}
	return fs.FileMode(mode), nil
}

// parseWait reads MIN or MIN:MAX; MAX is else ten times MIN.
func parseWait(text string) (least, most time.Duration, err error) {
	first, second, both := strings.Cut(text, ":")
	if least, err = time.ParseDuration(first); err == nil {
		most = 10 * least
	}
	if err == nil && both {
		most, err = time.ParseDuration(second)
	}
	if err != nil || least < 0 || most < least {
		return 0, 0, fmt.Errorf("--wait %q: want MIN:MAX such as 200ms:2s", text)
	}
	return least, most, nil
}

// runCommand has the shell run a command. When ctx or its time ends it gets
// SIGTERM, and after the grace SIGKILL.
func (e *env) runCommand(ctx context.Context, command string, environ []string, longest time.Duration) error {
	within, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	c, err := e.startChild(program{argv: []string{"sh", "-c", command}, environ: environ})
	if err != nil {
		return err
	}
	stop, kill := within.Done(), (<-chan time.Time)(nil)
	for {
		select {
		case err := <-c.ended:
			if stop == nil && ctx.Err() == nil {
				return fmt.Errorf("it was ended after %s", longest)
			}
			return errors.Join(ctx.Err(), plainStatus(c.status(err)))
		case <-stop:
			stop = nil
			c.signal(syscall.SIGTERM)
			kill = time.After(childGrace)
		case <-kill:
			c.signal(syscall.SIGKILL)
		}
	}
}

// plainStatus is an error to be told: the exit code is not passed on.
func plainStatus(err error) error {
	if status, ok := errors.AsType[exitStatus](err); ok {
		return fmt.Errorf("exit code %d", int(status))
	}
	return err
}
