package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const diskPrefix = "lycaon-faults-disk-"

var errNoDisk = errors.New("no faulty disks")

// tracer is an strace that stands between a server and its disk.
type tracer struct{ proc *process }

// tracePossible tells why nothing can be injected here, "" if it can.
func tracePossible() string {
	path, err := exec.LookPath("strace")
	if err != nil {
		return "strace is not installed"
	}
	if err := exec.Command(path, "-o", "/dev/null", "true").Run(); err != nil {
		return "strace may not trace: " + err.Error()
	}
	return ""
}

// What a server's disk is asked to make durable, and by what its log alone is.
const (
	allSyncs = "msync,fsync,fdatasync"
	logSyncs = "fdatasync"
)

// inject lets calls of a running server go the way of spec, in the words of strace: delay_enter=50ms, error=EIO:when=1.
func inject(s *server, calls, spec string) (*tracer, error) {
	if why := tracePossible(); why != "" {
		return nil, fmt.Errorf("%w: %s", errNoDisk, why)
	}
	cmd := exec.Command("strace", "-f", "-q", "-o", "/dev/null", "-e", "trace="+calls, "-e", "inject="+calls+":"+spec,
		"-p", fmt.Sprint(s.process().pid()))
	var said strings.Builder
	cmd.Stderr = &said
	if err := spawn(cmd); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{}), asked: true}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	for deadline := time.Now().Add(5 * time.Second); !traced(s.process().pid()); {
		if !p.running() || time.Now().After(deadline) {
			p.signal(syscall.SIGKILL)
			return nil, fmt.Errorf("%w: strace: %s", errNoDisk, said.String())
		}
		time.Sleep(time.Millisecond) // the kernel tells of it only to those who look
	}
	return &tracer{p}, nil
}

// traced tells whether every thread of a process has a tracer.
func traced(pid int) bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) == 0 {
		return false
	}
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if err == nil && strings.Contains(string(status), "TracerPid:\t0\n") {
			return false
		}
	}
	return true
}

// lift gives the server its disk back. A killed strace lets go of everything at once, delays under way included.
func (t *tracer) lift() {
	t.proc.signal(syscall.SIGKILL)
	<-t.proc.done
}

// smallDisk is a file system in memory that is soon full.
type smallDisk struct{ dir string }

func openSmallDisk(megabytes int) (*smallDisk, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: not root", errNoDisk)
	}
	sweepDisks()
	d := &smallDisk{filepath.Join(os.TempDir(), fmt.Sprintf("%s%d-%d", diskPrefix, os.Getpid(), time.Now().UnixNano()))}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		return nil, err
	}
	if err := run("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm,mode=0700", megabytes), "lycaon-faults", d.dir); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", errNoDisk, err), os.Remove(d.dir))
	}
	return d, nil
}

func sweepDisks() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), diskPrefix+"*"))
	for _, dir := range left {
		if pid := pidOf(filepath.Base(dir), diskPrefix); pid != 0 && !alive(pid) {
			_ = run("umount", "-l", dir)
			_ = os.Remove(dir)
		}
	}
}

// fill leaves so many bytes free.
func (d *smallDisk) fill(leave int64) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &s); err != nil {
		return err
	}
	size := int64(s.Bavail)*s.Bsize - leave
	if size <= 0 {
		return nil
	}
	f, err := os.Create(d.ballast())
	if err != nil {
		return err
	}
	return errors.Join(syscall.Fallocate(int(f.Fd()), 0, 0, size), f.Close())
}

func (d *smallDisk) free() error { return os.Remove(d.ballast()) }

func (d *smallDisk) ballast() string { return filepath.Join(d.dir, "filler") }

func (d *smallDisk) close() error {
	return errors.Join(run("umount", "-l", d.dir), os.Remove(d.dir))
}
