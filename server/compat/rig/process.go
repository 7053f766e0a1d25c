package rig

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Process is a program that runs beside the test: a server of an ensemble, or a
// system that uses one. It can be ended and started again, and ends with the test
// binary. Its methods are called from one goroutine.
type Process struct {
	Command []string
	Dir     string   // where it runs
	Log     string   // the file that its output is appended to, by each life
	Env     []string // beside the environment of the test
	User    string   // whom it runs as; "" is who runs the test

	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
}

// spawner starts processes from one thread that lives as long as the test: the
// kernel kills a child of ours with the thread that started it.
var spawner = sync.OnceValue(func() chan func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// spawn starts cmd so that it never outlives the test binary, in a process group of its own.
func spawn(cmd *exec.Cmd, as *syscall.Credential) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: as}
	endWithParent(cmd.SysProcAttr)
	started := make(chan error)
	spawner() <- func() { started <- cmd.Start() }
	return <-started
}

// credential is nil for "".
func credential(name string) (*syscall.Credential, error) {
	if name == "" {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("group of user %s: %w", name, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// Start starts the program, which must not be running.
func (p *Process) Start() error {
	if !p.Ended() {
		return fmt.Errorf("it is running already, as process %d", p.Pid())
	}
	as, err := credential(p.User)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.Command[0], p.Command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.Dir, log, log
	cmd.Env = append(os.Environ(), p.Env...)
	if err := spawn(cmd, as); err != nil {
		return err
	}
	done := make(chan struct{})
	p.cmd, p.done = cmd, done
	go func() {
		_ = cmd.Wait() // the exit code of a killed process says nothing
		close(done)
	}()
	return nil
}

// Pid is that of the present or last life; the program must have been started.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Ended says whether no life of the program goes on.
func (p *Process) Ended() bool {
	if p.cmd == nil {
		return true
	}
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Signal does nothing to a program that has ended.
func (p *Process) Signal(sig syscall.Signal) {
	if !p.Ended() {
		_ = p.cmd.Process.Signal(sig) // it may end meanwhile
	}
}

// paused tells whether every thread stands still: they see the signal one after
// the other. A program that has ended does too.
func (p *Process) paused() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Pid()))
	if err != nil {
		return false
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended
		}
		_, state, _ := strings.Cut(string(stat), ") ")
		if !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

// Kill ends the program at once and returns when it is gone.
func (p *Process) Kill() {
	if p.cmd != nil {
		p.Signal(syscall.SIGKILL)
		<-p.done
	}
}

// Stop ends the program by SIGTERM, and by force if that takes too long, which it tells.
func (p *Process) Stop() error {
	p.Signal(syscall.SIGTERM)
	if Poll(stopWithin, p.Ended) {
		return nil
	}
	p.Kill()
	return fmt.Errorf("%s did not stop within %v of SIGTERM", p.Command[0], stopWithin)
}

// Tail is the end of the log.
func (p *Process) Tail(lines int) string {
	raw, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
