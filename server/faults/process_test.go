package faults

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startWithin = 15 * time.Second // to the first line of a server
	stopWithin  = 8 * time.Second  // of SIGTERM to the end
)

var errNotStarted = errors.New("the server did not start")

// builtIn is the directory that buildOnce has made, which TestMain removes.
var builtIn string

func TestMain(m *testing.M) {
	code := m.Run()
	if builtIn != "" {
		os.RemoveAll(builtIn)
	}
	os.Exit(code)
}

// buildOnce compiles the program under test, unless LYCAON_BINARY names one.
var buildOnce = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("LYCAON_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	dir, err := os.MkdirTemp("", "lycaon-faults-bin-*")
	if err != nil {
		return "", err
	}
	builtIn = dir
	path := filepath.Join(dir, "lycaon")
	out, err := exec.Command("go", "build", "-o", path, "../../cmd/lycaon").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// spawner starts processes from one thread that lives as long as the test: the kernel kills a child with its parent thread.
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

// spawn starts cmd so that it never outlives the test.
func spawn(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	spawner() <- func() { started <- cmd.Start() }
	return <-started
}

// process is one life of a program.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	// Guarded by mu: asked says that its end was wanted.
	mu    sync.Mutex
	asked bool
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	p.asked = p.asked || s == syscall.SIGKILL || s == syscall.SIGTERM
	p.mu.Unlock()
	_ = p.cmd.Process.Signal(s) // it may have ended by itself
}

// wait returns false if the process has not ended in time.
func (p *process) wait(within time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(within):
		return false
	}
}

// server is one member of the cluster: its place, and the process that runs there now.
type server struct {
	id     uint64
	dir    string
	client string // host:port
	peer   string
	prefix []string // of its command line: into its network namespace
	binary string   // what it runs; "": what buildOnce makes
	args   []string
	env    []string // beside the environment
	log    *os.File
	boot   int // data directories it has had
	// died is told when a process ends that nobody asked to.
	died func(s *server, code int)

	mu   sync.Mutex // guards proc
	proc *process
}

func (s *server) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

func (s *server) running() bool {
	p := s.process()
	return p != nil && p.running()
}

// start returns when the server has said its first line.
func (s *server) start() error {
	binary := s.binary
	if binary == "" {
		var err error
		if binary, err = buildOnce(); err != nil {
			return err
		}
	}
	line := append(append(append([]string{}, s.prefix...), binary, "serve"), s.args...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), s.env...)
	cmd.Stderr = s.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	fmt.Fprintf(s.log, "# %s: %s\n", time.Now().Format(time.StampMilli), strings.Join(line, " "))
	if err := spawn(cmd); err != nil {
		return err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	s.mu.Lock()
	s.proc = p
	s.mu.Unlock()
	said := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(out)
		said <- lines.Scan()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		close(p.done)
		p.mu.Lock()
		asked := p.asked
		p.mu.Unlock()
		if !asked {
			s.died(s, cmd.ProcessState.ExitCode())
		}
	}()
	select {
	case began := <-said:
		if began {
			return nil
		}
		p.wait(time.Second)
		return fmt.Errorf("%w: server %d, exit code %d", errNotStarted, s.id, cmd.ProcessState.ExitCode())
	case <-time.After(startWithin):
		return fmt.Errorf("%w: server %d is silent", errNotStarted, s.id)
	}
}

func (s *server) kill() {
	if p := s.process(); p != nil {
		p.signal(syscall.SIGKILL)
		<-p.done
	}
}

// stop ends the server as an operator would.
func (s *server) stop() error {
	p := s.process()
	p.signal(syscall.SIGTERM)
	if !p.wait(stopWithin) {
		s.kill()
		return fmt.Errorf("server %d did not stop within %v of SIGTERM", s.id, stopWithin)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("server %d stopped with exit code %d", s.id, code)
	}
	return nil
}

func (s *server) pause()  { s.process().signal(syscall.SIGSTOP) }
func (s *server) resume() { s.process().signal(syscall.SIGCONT) }

// wipe takes the data away, as a replaced disk does.
func (s *server) wipe() error {
	s.boot++
	names, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		err = errors.Join(err, os.RemoveAll(filepath.Join(s.dir, n.Name())))
	}
	return err
}

// tail is the end of the server's log, for a report.
func (s *server) tail(lines int) string {
	raw, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// pidOf parses the digits that begin after a prefix, as names of our leftovers have them.
func pidOf(name, prefix string) int {
	rest, found := strings.CutPrefix(name, prefix)
	if !found {
		return 0
	}
	digits, _, _ := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return pid
}

func alive(pid int) bool { return pid > 0 && syscall.Kill(pid, 0) == nil }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
