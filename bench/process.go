package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what a process has used so far, user and system, by its own clock:
// /proc tells whole hundredths of a second, of which idle servers use one a second.
func cpuTime(pid int) (time.Duration, error) {
	const scheduled = 2 // of the clocks of a process, clock_getcpuclockid(3)
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &used); err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	return time.Duration(used.Nano()), nil
}

// cpuOf sums what several processes have used.
func cpuOf(pids []int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		used, err := cpuTime(pid)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// spend is what processes use while f runs, and how long that is.
func spend(pids []int, f func() error) (cpu, elapsed time.Duration, err error) {
	before, err := cpuOf(pids)
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	failed := f()
	elapsed = time.Since(start)
	after, err := cpuOf(pids)
	return after - before, elapsed, errors.Join(failed, err)
}

// process is a server under test. ended is closed when it has been waited for.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	end   time.Time // valid when ended is closed
}

// spawn runs a command whose output goes to a file; it does not wait until
// the server listens.
func spawn(log *os.File, env []string, args ...string) (*process, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = ofItsOwn()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		cmd.Wait()
		p.end = time.Now()
		close(p.ended)
	}()
	return p, nil
}

// ofItsOwn keeps Ctrl-C at a terminal, which goes to a whole group of processes,
// from a server, and ends the server when this program ends, however it does.
func ofItsOwn() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func listens(addr string) bool {
	nc, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	nc.Close()
	return true
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// stop asks the server to end, and ends it when it does not.
func (p *process) stop() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(stopPatience):
		p.kill()
	}
}

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

const (
	stopPatience = 20 * time.Second
	firstPort    = 20_000 // below the kernel's range for outgoing connections: one of those
	ports        = 12_000 // would take the port of a server that is down for a moment
)

// given are the ports that this program has handed out: one that nobody listens on
// may be that of a server which is about to start.
var given sync.Map

func freeAddr() (string, error) {
	for range 100 {
		port := firstPort + rand.IntN(ports)
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			if _, taken := given.LoadOrStore(port, true); !taken {
				return addr, nil
			}
		}
	}
	return "", errors.New("no free port")
}

func freeAddrs(n int) ([]string, error) {
	addrs := make([]string, n)
	for i := range addrs {
		var err error
		if addrs[i], err = freeAddr(); err != nil {
			return nil, err
		}
	}
	return addrs, nil
}
