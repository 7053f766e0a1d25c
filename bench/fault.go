package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// fault is something that befalls the leader.
type fault struct {
	name string
	hold time.Duration // at least, since the fault may bite later than it is there
	// strike returns when it has struck, and what takes it back. A server
	// that has ended by then is started again by the caller.
	strike func(m *member) (at time.Time, undo func() error, err error)
}

var faults = []fault{
	{name: "kill", strike: func(m *member) (time.Time, func() error, error) { return send(m, syscall.SIGKILL, 0) }},
	{name: "stop", strike: func(m *member) (time.Time, func() error, error) { return send(m, syscall.SIGSTOP, syscall.SIGCONT) }},
	{name: "term", strike: func(m *member) (time.Time, func() error, error) { return send(m, syscall.SIGTERM, 0) }},
	{name: "disk", hold: hangSeconds / 2 * time.Second, strike: hang},
}

// send strikes with a signal; the moment is the one before it.
func send(m *member, s, back syscall.Signal) (time.Time, func() error, error) {
	at := time.Now()
	if err := m.process.signal(s); err != nil {
		return at, nil, err
	}
	return at, func() error {
		if back != 0 {
			return m.process.signal(back)
		}
		select {
		case <-m.process.ended:
			return nil
		case <-time.After(stopPatience):
			return fmt.Errorf("still there %v after %v", stopPatience, s)
		}
	}, nil
}

const hangSeconds = 10

// hang lets every sync of the server's log take ten seconds, by a tracer that
// is attached to it. Its other system calls become slower too.
func hang(m *member) (time.Time, func() error, error) {
	const syncs = "msync,fsync,fdatasync"
	cmd := exec.Command("strace", "-f", "-o", "/dev/null", "-e", "trace="+syncs,
		"-e", fmt.Sprintf("inject=%s:delay_enter=%d", syncs, hangSeconds*1_000_000), "-p", strconv.Itoa(m.process.pid()))
	told, err := cmd.StderrPipe()
	if err != nil {
		return time.Time{}, nil, err
	}
	cmd.SysProcAttr = ofItsOwn()
	if err := cmd.Start(); err != nil {
		return time.Time{}, nil, err
	}
	line, err := bufio.NewReader(told).ReadString('\n')
	at := time.Now()
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, told)
		cmd.Wait()
		close(ended)
	}()
	if err != nil || !strings.Contains(line, "attached") {
		cmd.Process.Kill()
		<-ended
		return at, nil, errors.Join(fmt.Errorf("strace: %s", line), err)
	}
	return at, func() error {
		cmd.Process.Signal(syscall.SIGTERM) // lets go of the server
		<-ended
		return nil
	}, nil
}
