package confd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/atomicfile"
)

// What a command finds in its environment.
const (
	EnvNew    = "LYCAON_NEW"    // check: the file with the content to be checked
	EnvTarget = "LYCAON_TARGET" // check: the file that it is for
)

const newFileMode = 0o644

// Config says what a Runner keeps up, and with whose help.
type Config struct {
	Templates []Template
	Check     string      // command that must succeed before a file is replaced; "" for none
	Reload    string      // command to run when any file has changed; "" for none
	Mode      fs.FileMode // of the files; 0: that of the file that is there, else 0644 less the umask

	// After a change nothing happens until all has been quiet for WaitMin, at most WaitMax.
	WaitMin, WaitMax time.Duration

	Open   func(context.Context) (*client.Client, error) // the client of the last call, if its session lives
	Run    func(ctx context.Context, command string, environ []string) error
	Tell   func(text string) // news for a person
	Getenv func(string) string
}

// Runner renders templates and puts their files in place.
type Runner struct {
	cfg     Config
	source  *source
	pending []string // reload commands that have not succeeded since their file changed
	told    string   // the error that was told last
}

// New reads and parses the templates.
func New(cfg Config) (*Runner, error) {
	for i := range cfg.Templates {
		if err := cfg.Templates[i].parse(); err != nil {
			return nil, err
		}
	}
	return &Runner{cfg: cfg, source: newSource()}, nil
}

// Once makes all files what they are to be, once.
func (r *Runner) Once(ctx context.Context) error {
	defer r.source.close()
	return r.round(ctx)
}

// Preview shows what the files are to be, and changes nothing.
func (r *Runner) Preview(ctx context.Context, show func(file string, content []byte) error) error {
	defer r.source.close()
	return r.each(ctx, func(t *Template, content []byte) error { return show(t.Target, content) })
}

// Run keeps the files up until ctx ends. Nothing else ends it: what fails is
// told and tried again, and the files stay as they are.
func (r *Runner) Run(ctx context.Context) error {
	defer r.source.close()
	for wait := retryMin; ; {
		err := r.round(ctx)
		if ctx.Err() != nil {
			return nil
		}
		r.report(err)
		var retry <-chan time.Time
		if err != nil {
			retry = time.After(wait)
			wait = min(2*wait, retryMax)
		} else {
			wait = retryMin
		}
		select {
		case <-ctx.Done():
			return nil
		case <-retry:
		case <-r.source.dirty:
			r.settle(ctx)
		}
	}
}

// report tells an error unless it is the one that was told already, and that
// there is none any more.
func (r *Runner) report(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case text == r.told:
	case text == "":
		r.cfg.Tell("all files are as they should be again")
	default:
		r.cfg.Tell(text)
	}
	r.told = text
}

// settle waits until changes have paused.
func (r *Runner) settle(ctx context.Context) {
	longest := time.NewTimer(r.cfg.WaitMax)
	defer longest.Stop()
	for {
		quiet := time.NewTimer(r.cfg.WaitMin)
		select {
		case <-r.source.dirty:
			quiet.Stop()
			continue
		case <-quiet.C:
		case <-longest.C:
		case <-ctx.Done():
		}
		quiet.Stop()
		return
	}
}

// round renders everything and does what follows from it. An error of one file
// does not keep the others back.
func (r *Runner) round(ctx context.Context) error {
	failed := r.each(ctx, func(t *Template, content []byte) error { return r.install(ctx, t, content) })
	for _, command := range slices.Clone(r.pending) {
		if err := r.cfg.Run(ctx, command, nil); err != nil {
			failed = errors.Join(failed, fmt.Errorf("reload: %s: %w", command, err))
			continue
		}
		r.pending = slices.DeleteFunc(r.pending, func(c string) bool { return c == command })
		r.cfg.Tell("ran " + command)
	}
	return failed
}

// each renders the templates one after the other.
func (r *Runner) each(ctx context.Context, do func(*Template, []byte) error) error {
	c, err := r.cfg.Open(ctx)
	if err != nil {
		return err
	}
	r.source.begin(c)
	var failed error
	for i := range r.cfg.Templates {
		t := &r.cfg.Templates[i]
		content, err := t.render(ctx, r.source, r.cfg.Getenv)
		if err == nil {
			err = do(t, content)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", t.Target, err))
		}
		if lost(err) {
			return failed // the others would wait for the same
		}
	}
	r.source.end()
	return failed
}

// lost tells an error of the connection from one of a template.
func lost(err error) bool {
	for _, kind := range []error{client.ErrDisconnected, client.ErrSessionExpired, client.ErrClosed, client.ErrNotReady, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// install puts content into its file, unless it is there.
func (r *Runner) install(ctx context.Context, t *Template, content []byte) error {
	old, err := os.ReadFile(t.Target)
	switch {
	case err == nil && bytes.Equal(old, content):
		return r.setMode(t.Target)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	f, err := atomicfile.Create(t.Target, newFileMode)
	if err != nil {
		return err
	}
	defer f.Discard()
	if err := r.setMode(f.Name()); err != nil { // before there is anything in it that it keeps from others
		return err
	}
	if _, err := f.Write(content); err != nil {
		return err
	}
	if r.cfg.Check != "" {
		if err := r.cfg.Run(ctx, r.cfg.Check, []string{EnvNew + "=" + f.Name(), EnvTarget + "=" + t.Target}); err != nil {
			return fmt.Errorf("it stays as it is: check: %s: %w", r.cfg.Check, err)
		}
	}
	if err := f.Commit(); err != nil {
		return err
	}
	r.cfg.Tell("wrote " + t.Target)
	for _, command := range []string{t.Reload, r.cfg.Reload} {
		if command != "" && !slices.Contains(r.pending, command) {
			r.pending = append(r.pending, command)
		}
	}
	return nil
}

func (r *Runner) setMode(file string) error {
	if r.cfg.Mode == 0 {
		return nil
	}
	return os.Chmod(file, r.cfg.Mode)
}
