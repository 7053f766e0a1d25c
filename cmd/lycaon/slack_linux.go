package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// beginWithSlack executes a program in place of this one, with the slack that the watcher
// is to have. If there is as much, the watcher has it, and this thread gets that of the others. It returns
// an error if that cannot be done; then all is as it was.
func beginWithSlack(program string) error {
	runtime.LockOSThread() // whose slack the new program inherits
	defer runtime.UnlockOSThread()
	was, err := slackOfThread()
	if err != nil {
		return err
	}
	if was >= watcherSlack {
		return setSlackOfThread(timerSlack)
	}
	if err := setSlackOfThread(watcherSlack); err != nil {
		return err
	}
	switch now, err := slackOfThread(); {
	case err != nil:
		return err
	case now != watcherSlack: // the program would execute itself again and again
		return errors.New("this thread's timers take no slack, as those of real-time threads")
	}
	var files unix.Rlimit
	limited := unix.Getrlimit(unix.RLIMIT_NOFILE, &files)
	err = fmt.Errorf("execute %s: %w", program, syscall.Exec(program, os.Args, os.Environ()))
	if limited == nil { // Exec has put back what Go had raised
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &files)
	}
	return errors.Join(err, setSlackOfThread(was))
}

// lessSlack gives a thread that runs goroutines less slack if it has the watcher's, as those have that began before any
// code of ours or were begun by the watcher. Without privileges a thread can only set its own (shedSlack). The watcher runs no
// goroutine.
func lessSlack() {
	if now, err := slackOfThread(); err == nil && now == watcherSlack {
		_ = setSlackOfThread(timerSlack) // else it keeps what it has
	}
}

func slackOfThread() (time.Duration, error) {
	ns, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	return time.Duration(ns), os.NewSyscallError("prctl", err)
}

func setSlackOfThread(d time.Duration) error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(d), 0, 0, 0))
}
