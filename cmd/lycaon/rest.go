package main

import (
	"context"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// A server at rest wakes up some dozens of times a second for next to nothing. With
// more than one processor Go's scheduler wakes a second thread each time, to look
// whether there is more to do, which is a sixth of what such a server costs. So a
// process that uses hardly any CPU runs on one processor, until it uses more.
//
// That holds hardly anybody up: what computes is made to let others run after 10 ms,
// and a thread that asks the disk for something gives its processor away. One that
// meets a page of memory that is not there does not, so a process whose pages are
// taken away does not rest. A collection of garbage has to end before the processors
// are there again: with gigabytes of nodes that may be some seconds.

const (
	restLook  = time.Second / 4 // by the clock: at these moments a server wakes up anyway
	restAfter = 3 * time.Second // of which less than restPart was used
	restPart  = 25
	wakePart  = 8 // so much of the time between two looks ends it
)

// spent is how much CPU a process has used at a time, and how many pages it has
// waited for.
type spent struct {
	at, cpu time.Duration
	pages   int64
}

// spending is what this process has used until now.
func spending() spent {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // of oneself it cannot fail
	return spent{cpu: time.Duration(u.Utime.Nano() + u.Stime.Nano()), pages: int64(u.Majflt)}
}

// less tells whether less than a part of one processor was used since before.
func (s spent) less(before spent, part time.Duration) bool {
	return (s.cpu-before.cpu)*part < s.at-before.at
}

// restful tells when a process is at rest.
type restful struct {
	calm    spent // since then it may be
	last    spent
	resting bool
}

func (r *restful) look(now spent) (resting bool) {
	switch {
	case !now.less(r.last, wakePart), now.pages > r.last.pages, now.at-r.last.at > 2*restLook: // who stood still has what came meanwhile to do
		r.calm, r.resting = now, false
	case now.at-r.calm.at >= restAfter:
		r.resting = now.less(r.calm, restPart)
		r.calm = now
	}
	r.last = now
	return r.resting
}

// restOnOne has the process run on one processor while it is at rest, until end. It
// takes back what the runtime finds that the machine or a cgroup gives; a number that
// an operator chose stays.
func restOnOne(ctx context.Context, e *env) (end func()) {
	if e.getenv("GOMAXPROCS") != "" || runtime.GOMAXPROCS(0) == 1 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() {
		watchRest(ctx, spending, func(resting bool) {
			if resting {
				runtime.GOMAXPROCS(1)
			} else {
				runtime.SetDefaultGOMAXPROCS()
			}
		})
	})
	return func() {
		cancel()
		watcher.Wait()
	}
}

// watchRest tells when a process that has used so much begins and ceases to be at
// rest, as it does at the end at the latest.
func watchRest(ctx context.Context, used func() spent, changed func(resting bool)) {
	begun := time.Now()
	look := func() spent {
		s := used()
		s.at = time.Since(begun)
		return s
	}
	r := restful{calm: look()}
	r.last = r.calm
	eachLook(ctx, func() {
		was := r.resting
		if now := r.look(look()); now != was {
			changed(now)
		}
	})
	if r.resting {
		changed(false)
	}
}

// eachLook looks at moments at which a server wakes up anyway, until ctx ends.
func eachLook(ctx context.Context, look func()) {
	tick := time.NewTimer(untilLook(time.Now(), restLook))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		tick.Reset(untilLook(time.Now(), restLook))
		look()
	}
}

// untilLook is from now to the next look of those that are so far apart, a part of a
// second. The clock may be slightly behind the one by which timers go.
func untilLook(now time.Time, apart time.Duration) time.Duration {
	early := apart / 8
	return apart + early - (time.Duration(now.Nanosecond())+early)%apart
}
