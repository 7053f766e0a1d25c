package rig

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// server is one member's place: what it runs, and the process that runs now.
type server struct {
	index   int
	command []string
	dir     string
	log     string // a file, appended to by each life

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
func spawn(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	spawner() <- func() { started <- cmd.Start() }
	return <-started
}

func (s *server) start() error {
	if !s.ended() {
		return fmt.Errorf("it is running already, as process %d", s.cmd.Process.Pid)
	}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.command[0], s.command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	if err := spawn(cmd); err != nil {
		return err
	}
	done := make(chan struct{})
	s.cmd, s.done = cmd, done
	go func() {
		_ = cmd.Wait() // the exit code of a killed server says nothing
		close(done)
	}()
	return nil
}

func (s *server) ended() bool {
	if s.cmd == nil {
		return true
	}
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func (s *server) signal(sig syscall.Signal) {
	if !s.ended() {
		_ = s.cmd.Process.Signal(sig) // it may end meanwhile
	}
}

func (s *server) kill() {
	if s.cmd != nil {
		s.signal(syscall.SIGKILL)
		<-s.done
	}
}

// tail is the end of the server's log.
func (s *server) tail(lines int) string {
	raw, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
