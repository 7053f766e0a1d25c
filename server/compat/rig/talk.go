package rig

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Talk is a running program whose input stays open until Finish: what it writes
// tells the test how far it is, and what it reads, or the end of it, lets it go on.
type Talk struct {
	cmd   *exec.Cmd
	input io.WriteCloser
	stop  func() bool
	ctx   context.Context
	ended chan struct{} // closed when it has written its last line

	mu    sync.Mutex // guards what follows
	said  strings.Builder
	heard chan struct{} // closed and replaced at each line
}

// Begin starts command, which is killed with the processes that it has started
// when ctx ends.
func Begin(t testing.TB, ctx context.Context, command ...string) *Talk {
	t.Helper()
	talk := &Talk{cmd: exec.Command(command[0], command[1:]...), ctx: ctx, ended: make(chan struct{}), heard: make(chan struct{})}
	input, err := talk.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := talk.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	talk.input, talk.cmd.Stderr = input, talk.cmd.Stdout
	if err := spawn(talk.cmd, nil); err != nil {
		t.Fatalf("%s: %v", command[0], err)
	}
	talk.stop = context.AfterFunc(ctx, func() { _ = syscall.Kill(-talk.cmd.Process.Pid, syscall.SIGKILL) })
	go talk.listen(output)
	return talk
}

func (p *Talk) listen(output io.Reader) {
	defer close(p.ended)
	for lines := bufio.NewScanner(output); lines.Scan(); {
		p.mu.Lock()
		p.said.WriteString(lines.Text() + "\n")
		close(p.heard)
		p.heard = make(chan struct{})
		p.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, output) // behind a line that is too long
}

// Say writes a line to the program's input, which may have ended.
func (p *Talk) Say(line string) { _, _ = io.WriteString(p.input, line+"\n") }

// Await waits for a line that begins with prefix and returns the rest of it;
// false if the program has ended without one.
func (p *Talk) Await(prefix string) (string, bool) {
	for {
		ended := false
		select {
		case <-p.ended:
			ended = true
		default:
		}
		p.mu.Lock()
		said, heard := p.said.String(), p.heard
		p.mu.Unlock()
		for line := range strings.Lines(said) {
			if rest, found := strings.CutPrefix(line, prefix); found {
				return strings.TrimSuffix(rest, "\n"), true
			}
		}
		if ended {
			return "", false
		}
		select {
		case <-heard:
		case <-p.ended:
		}
	}
}

// Finish ends the program's input, waits for its end and returns all that it
// wrote. The error is as that of Run.
func (p *Talk) Finish() (string, error) {
	_ = p.input.Close() // it may have ended already
	<-p.ended
	err := p.cmd.Wait()
	if !p.stop() {
		err = fmt.Errorf("%s: %w", filepath.Base(p.cmd.Path), context.Cause(p.ctx))
	}
	return p.said.String(), err
}
