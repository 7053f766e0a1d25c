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

// beginWithSlack executes a program in place of this one, with the slack that is
// wanted. If there is as much, which the watcher has then, this thread gets what is usual,
// and those with it that it starts. It returns an error if that cannot be done; then all
// is as it was.
func beginWithSlack(program string) error {
	runtime.LockOSThread() // whose slack the new program inherits
	defer runtime.UnlockOSThread()
	was, err := slackOfThread()
	if err != nil {
		return err
	}
	if was >= timerSlack {
		return setSlackOfThread(usualSlack)
	}
	if err := setSlackOfThread(timerSlack); err != nil {
		return err
	}
	switch now, err := slackOfThread(); {
	case err != nil:
		return err
	case now != timerSlack: // the program would execute itself again and again
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

const usualSlack = 50 * time.Microsecond // of Linux

func slackOfThread() (time.Duration, error) {
	ns, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	return time.Duration(ns), os.NewSyscallError("prctl", err)
}

func setSlackOfThread(d time.Duration) error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(d), 0, 0, 0))
}
