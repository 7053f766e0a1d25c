package main

import (
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// notStopped is told of the terminal's key that would stop this process while it must
// not be: one command at a time runs under what is held. If nil, the key stops it.
var notStopped atomic.Pointer[chan os.Signal]

// catchStopKey has notStopped decide from now on, for good: signal.Stop would leave Go's
// handler in place, which drops the signal.
var catchStopKey = sync.OnceFunc(func() {
	keys := make(chan os.Signal, 1)
	signal.Notify(keys, syscall.SIGTSTP)
	go func() {
		for key := range keys {
			told := notStopped.Load()
			if told == nil {
				stopSelf()
				continue
			}
			select {
			case *told <- key:
			default:
			}
		}
	}()
})

// stopSelf does what the key does by default. That is nothing in the first group of a
// session, which nobody would continue; but the line editor waits there for SIGCONT.
func stopSelf() {
	how := syscall.SIGSTOP
	if sid, err := unix.Getsid(0); err != nil || sid == syscall.Getpgrp() {
		how = syscall.SIGCONT
	}
	syscall.Kill(os.Getpid(), how)
}
