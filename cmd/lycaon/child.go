package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// child is a process that runs while something is held.
type child struct {
	cmd   *exec.Cmd
	group bool // it leads a process group of its own
	ended chan error
}

// pipeDelay is how long the output of a child is copied after its end, which
// what it left running would hold open without end.
const pipeDelay = time.Second

// program is a command to be run.
type program struct {
	argv    []string
	environ []string  // beside what this command has, and how to reach the servers
	in      io.Reader // nil: nothing
}

// input is what a command may read that runs in the place of this one.
func (e *env) input() io.Reader {
	if e.ask != nil { // the prompt reads the terminal
		return nil
	}
	return e.in
}

// checkCommand fails before anything is held for a command that there is not.
func checkCommand(argv []string) error {
	if len(argv) == 0 {
		return nil
	}
	if _, err := exec.LookPath(argv[0]); err != nil {
		return usageError{err}
	}
	return nil
}

// startChild begins a process. It gets a group of its own, so that signals
// reach all of it, unless a terminal is its input, whose keys go to one group.
func (e *env) startChild(p program) (*child, error) {
	c := &child{cmd: exec.Command(p.argv[0], p.argv[1:]...), ended: make(chan error, 1)}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = p.in, e.out.w, e.errw
	c.group = !isTerminal(p.in)
	c.cmd.Env = slices.Concat(os.Environ(), e.target.environ(), p.environ)
	c.cmd.WaitDelay = pipeDelay
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: c.group}
	endWithParent(c.cmd.SysProcAttr)
	started := make(chan error, 1)
	go c.run(started)
	return c, <-started
}

// run keeps its thread until the process ends: to Linux it is the thread that
// is the parent.
func (c *child) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	started <- err
	if err == nil {
		c.ended <- c.cmd.Wait()
	}
}

func (c *child) signal(s syscall.Signal) {
	pid := c.cmd.Process.Pid
	if c.group {
		pid = -pid
	}
	syscall.Kill(pid, s) // ESRCH: it has ended, which is told elsewhere
}

// status is nil or the exit code of a process that has ended, as shells count:
// 128 and the number of the signal that killed it.
func (c *child) status(err error) error {
	exit := (*exec.ExitError)(nil)
	switch {
	case errors.Is(err, exec.ErrWaitDelay):
		return nil // the process itself ended with 0
	case !errors.As(err, &exit):
		return err
	}
	if how, ok := exit.Sys().(syscall.WaitStatus); ok && how.Signaled() {
		return exitStatus(signalled + int(how.Signal()))
	}
	return exitStatus(exit.ExitCode())
}

const signalled = 128

// runUnder runs a command while held lasts. When that ends the command gets
// SIGTERM, and SIGKILL after the grace; if ctx ends, SIGTERM alone, and what is
// held stays so until the command has ended. What a command that got a signal
// leaves running in its group got it too, and is given the grace to end. A terminal's
// key that stops this process would not reach that group, which would go on while
// what is held is lost: it stops neither.
func (e *env) runUnder(ctx, held context.Context, p program, grace time.Duration) error {
	paused := make(chan os.Signal, 1)
	if held.Done() != nil && !isTerminal(p.in) {
		catchStopKey()
		notStopped.Store(&paused)
		defer notStopped.CompareAndSwap(&paused, nil)
	}
	c, err := e.startChild(p)
	if err != nil {
		return usageError{err}
	}
	stop, lost, kill := ctx.Done(), held.Done(), (<-chan time.Time)(nil)
	for {
		select {
		case <-paused:
			e.tell(fmt.Sprintf("lycaon: not stopped: %s would go on while what it holds is lost; Ctrl-C ends it", p.argv[0]))
		case err := <-c.ended:
			if stop == nil || lost == nil {
				c.awaitGroup(kill, grace)
			}
			return c.status(err)
		case <-stop:
			stop = nil
			c.signal(syscall.SIGTERM)
		case <-lost:
			lost = nil
			e.tell(fmt.Sprintf("lycaon: %v; ending %s", context.Cause(held), p.argv[0]))
			c.signal(syscall.SIGTERM)
			kill = time.After(grace)
		case <-kill:
			c.signal(syscall.SIGKILL)
		}
	}
}

// awaitGroup waits for what a process that has ended has left in its group. That is
// killed at the time that was set for it; in any case nobody waits beyond the grace.
func (c *child) awaitGroup(kill <-chan time.Time, grace time.Duration) {
	if !c.group {
		return
	}
	most := time.After(grace + groupPause) // behind the kill
	again := time.NewTicker(groupPause)
	defer again.Stop()
	for syscall.Kill(-c.cmd.Process.Pid, 0) == nil {
		select {
		case <-kill:
			c.signal(syscall.SIGKILL)
			return
		case <-most: // a slow machine may find both times past
			if kill != nil {
				c.signal(syscall.SIGKILL)
			}
			return
		case <-again.C:
		}
	}
}

const groupPause = 20 * time.Millisecond // between two looks
