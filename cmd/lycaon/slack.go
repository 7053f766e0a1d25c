package main

import (
	"context"
	"os"
	"time"
)

// Go's scheduler has a thread that watches what the others do. While a goroutine
// waits for the disk it looks again after 20 us of sleep, takes the processor away
// from that goroutine, which has to get one back when the disk is done, and so on with
// the next sync. Linux lets a sleep end up to 50 us late, so as to end several at once;
// that is the slack of a thread's timers. With more of it the watcher comes when most syncs
// are over: a processor waits for such a sync, and is then there at once. Threads
// inherit the slack from the one that starts them, and the watcher is there before any
// code of ours: so the program sets its own slack and executes itself.

// watcherSlack is more than a sync takes of a disk that three servers share. What waits for the processor of a
// system call that lasts waits up to twice as long.
const watcherSlack = time.Millisecond

// timerSlack is that of all other threads. One that looks for something to do sleeps for as long
// before it takes what another is about to do, and meanwhile nobody else is woken to look: that spares CPU, and
// what waits behind a long goroutine waits so much longer. As much as the watcher has is too much for a server that has
// its processors for itself.
const timerSlack = 500 * time.Microsecond

// noSlack is why a server runs with the slack that it was started with; nil if it does not.
var noSlack error

// serves tells whether a command line is a server's. One with options before the command
// is not taken for one: they are of no use to a server.
func serves(args []string) bool { return len(args) > 0 && args[0] == "serve" }

// takeSlack gives a server timers with slack. If it has none yet it begins anew: with
// the same process id, arguments and environment. It is for the beginning of the
// process, when there is nothing open, and no signal is waited for that would be forgotten.
func takeSlack(args []string) {
	if !serves(args) {
		return
	}
	self, err := os.Executable()
	if err == nil {
		err = beginWithSlack(self)
	}
	noSlack = err
}

// shedSlack calls less at each look until the end: each time on whatever thread runs
// its goroutine then, so that after some seconds of work it was on all that are used.
func shedSlack(ctx context.Context, less func()) { eachLook(ctx, less) }
