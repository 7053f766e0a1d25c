package main

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// A server at rest wakes up some dozens of times a second for next to nothing. With
// more than one processor Go's scheduler wakes a second thread each time, to look
// whether there is more to do, which is a sixth of what such a server costs. So a
// process that uses hardly any CPU runs on one processor, until it uses more.
//
// That holds nobody up: what computes is made to let others run after 10 ms, and a
// thread that waits for the disk gives its processor away. A collection of garbage
// has to end before the processors are there again.

const (
	restLook  = time.Second / 4 // by the clock: at these moments a server wakes up anyway
	restAfter = 3 * time.Second // of which less than restPart was used
	restPart  = 25
	wakePart  = 8 // so much of the time between two looks ends it
)

// spent is how much CPU a process has used at a time.
type spent struct{ at, cpu time.Duration }

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
	case !now.less(r.last, wakePart):
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
	if _, ok := cpuTime(); !ok || e.getenv("GOMAXPROCS") != "" || runtime.GOMAXPROCS(0) == 1 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() {
		used := func() time.Duration { t, _ := cpuTime(); return t }
		watchRest(ctx, used, func(resting bool) {
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
func watchRest(ctx context.Context, used func() time.Duration, changed func(resting bool)) {
	begun := time.Now()
	now := spent{0, used()}
	r := restful{calm: now, last: now}
	tick := time.NewTimer(untilLook(begun))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			if r.resting {
				changed(false)
			}
			return
		case <-tick.C:
		}
		tick.Reset(untilLook(time.Now()))
		was := r.resting
		if now := r.look(spent{time.Since(begun), used()}); now != was {
			changed(now)
		}
	}
}

// untilLook is from now to the next look. The clock may be slightly behind the one by
// which timers go.
func untilLook(now time.Time) time.Duration {
	const early = restLook / 8
	return restLook + early - (time.Duration(now.Nanosecond())+early)%restLook
}
