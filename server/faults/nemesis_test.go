package faults

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// How long clients may be without a write, twice what is aimed at: the machines that run this have other work. A handover takes some 10 ms
// of its 100; but a leader that is not let run for its lease of 250 ms is deposed, which costs an election on top.
const (
	killGapMs     = 2 * 1000
	pauseGapMs    = 2 * 1800
	hangGapMs     = 2 * 3000
	gracefulGapMs = 10 * 100

	electionTimeout = 300 * time.Millisecond
)

// kill kills servers and looks at what they hold.
func (r *runner) kill(servers ...*server) {
	r.t.Helper()
	for _, s := range servers {
		s.kill()
	}
	for _, s := range servers {
		r.examine(s)
	}
}

// examine notes what the store of a server holds that is down.
func (r *runner) examine(s *server) {
	r.t.Helper()
	r.c.sample(s)
	if r.c.plan.snapshotBytes > 0 {
		must(r.t, r.c.dump(s)) // what is in it may be cut off before the end
	}
}

// start brings servers back, all at once.
func (r *runner) start(servers ...*server) {
	r.t.Helper()
	failed := make([]error, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Go(func() { failed[i] = s.start() })
	}
	wg.Wait()
	must(r.t, errors.Join(failed...))
}

// restart brings back a server that ended by itself, or as it was told.
func (r *runner) restart(s *server) {
	r.t.Helper()
	r.examine(s)
	r.start(s)
}

func (r *runner) killOne(name string, s *server) {
	r.t.Helper()
	r.strike(fault{Name: name, Detail: fmt.Sprint("server ", s.id), GapMs: killGapMs}, func() { r.kill(s) },
		r.between(100*time.Millisecond, 3*time.Second), func() { r.start(s) })
}

func (r *runner) killLeader() { r.killOne("kill -9 leader", r.leader()) }
func (r *runner) killRandom() { r.killOne("kill -9 random", r.anyone()) }

// killTwice kills a server again while it starts.
func (r *runner) killTwice() {
	s := r.anyone()
	r.strike(fault{Name: "kill -9 while starting", Detail: fmt.Sprint("server ", s.id), GapMs: killGapMs}, func() {
		r.kill(s)
		r.start(s)
		r.pass(r.between(0, 200*time.Millisecond))
		r.kill(s)
	}, r.between(100*time.Millisecond, time.Second), func() { r.start(s) })
}

func (r *runner) killAll() {
	r.strike(fault{Name: "kill -9 all", Deaf: true}, func() {
		for _, s := range r.c.servers {
			s.kill() // without a look at their stores: so short an outage costs no session
		}
	}, r.between(100*time.Millisecond, time.Second), func() { r.start(r.c.servers...) })
}

// killMajority leaves one server, which must not act alone.
func (r *runner) killMajority() {
	leader := r.leader()
	killed := append(r.c.followers(leader)[1:], leader)
	r.strike(fault{Name: "kill -9 majority", Deaf: true}, func() { r.kill(killed...) },
		r.between(500*time.Millisecond, 2*time.Second), func() { r.start(killed...) })
}

func (r *runner) pauseOne(who string, s *server, d time.Duration) {
	f := fault{Name: fmt.Sprintf("SIGSTOP %s %v", who, d), Detail: fmt.Sprint("server ", s.id), GapMs: pauseGapMs}
	r.strike(f, s.pause, d, s.resume)
}

func (r *runner) pauseLeader(d time.Duration) { r.pauseOne("leader", r.leader(), d) }

func (r *runner) pauseFollower(d time.Duration) { r.pauseOne("follower", r.follower(), d) }

func (r *runner) pauseAll(d time.Duration) {
	each := func(do func(*server)) func() {
		return func() {
			for _, s := range r.c.servers {
				do(s)
			}
		}
	}
	r.strike(fault{Name: fmt.Sprintf("SIGSTOP all %v", d), Deaf: true}, each((*server).pause), d, each((*server).resume))
}

// others are the ids of all servers but one.
func (r *runner) others(of *server) (ids []uint64) {
	for _, s := range r.c.servers {
		if s != of {
			ids = append(ids, s.id)
		}
	}
	return ids
}

// partition cuts one server off: from what it hears, from whom it speaks to, or both.
func (r *runner) partition(name string, s *server, in, out bool, d time.Duration) {
	if r.c.net == nil || len(r.c.servers) < 3 {
		return
	}
	var from, to []uint64
	if in {
		from = r.others(s)
	}
	if out {
		to = r.others(s)
	}
	r.strike(fault{Name: name, Detail: fmt.Sprint("server ", s.id), GapMs: pauseGapMs},
		func() { must(r.t, r.c.net.cut(s.id, from, to)) }, d, func() { must(r.t, r.c.net.heal()) })
}

// bridge cuts the link between two servers, who both still see the rest.
func (r *runner) bridge(d time.Duration) {
	if r.c.net == nil || len(r.c.servers) < 3 {
		return
	}
	a, b := r.leader(), r.follower()
	r.strike(fault{Name: "bridge: leader and follower apart", Detail: fmt.Sprintf("servers %d and %d", a.id, b.id), GapMs: pauseGapMs},
		func() { must(r.t, r.c.net.cut(a.id, []uint64{b.id}, []uint64{b.id})) }, d, func() { must(r.t, r.c.net.heal()) })
}

// apart lets no server hear another: nobody can lead.
func (r *runner) apart(d time.Duration) {
	if r.c.net == nil || len(r.c.servers) < 3 {
		return
	}
	r.strike(fault{Name: "all apart", Deaf: true}, func() {
		for _, s := range r.c.servers {
			must(r.t, r.c.net.cut(s.id, r.others(s), nil))
		}
	}, d, func() { must(r.t, r.c.net.heal()) })
}

// flap takes a server's network away and gives it back, again and again.
func (r *runner) flap(name string, s *server, d time.Duration) {
	if r.c.net == nil || len(r.c.servers) < 3 {
		return
	}
	r.strike(fault{Name: name, Detail: fmt.Sprint("server ", s.id), GapMs: 2 * pauseGapMs, Quiet: true}, func() {
		for end := time.Now().Add(d); time.Now().Before(end); {
			must(r.t, r.c.net.cut(s.id, r.others(s), r.others(s)))
			r.pass(electionTimeout)
			must(r.t, r.c.net.heal())
			r.pass(electionTimeout)
		}
	}, 0, func() {})
}

// pauseAndPartition cuts the leader off, stops it, lets it be heard again, and only then lets it go on: it finds a newer leader in place.
func (r *runner) pauseAndPartition(d time.Duration) {
	if r.c.net == nil || len(r.c.servers) < 3 {
		return
	}
	s := r.leader()
	r.strike(fault{Name: "leader isolated and stopped", Detail: fmt.Sprint("server ", s.id), GapMs: pauseGapMs}, func() {
		must(r.t, r.c.net.cut(s.id, r.others(s), r.others(s)))
		r.pass(electionTimeout / 2)
		s.pause()
	}, d, func() {
		must(r.t, r.c.net.heal())
		s.resume()
	})
}

// killAmidSlowDisk kills the leader while a follower's disk is slow: the follower must have what it said it has.
func (r *runner) killAmidSlowDisk() {
	if len(r.c.servers) < 3 {
		return
	}
	if why := tracePossible(); why != "" {
		r.t.Logf("SKIPPED FAULT: slow disk: %s", why)
		return
	}
	slow, killed := r.follower(), r.leader()
	var x *tracer
	r.strike(fault{Name: "kill -9 leader, slow follower", Detail: fmt.Sprintf("servers %d and %d", killed.id, slow.id), GapMs: hangGapMs, Quiet: true}, func() {
		var err error
		x, err = inject(slow, allSyncs, "delay_enter=50ms")
		must(r.t, err)
		r.pass(electionTimeout)
		r.kill(killed)
	}, time.Second, func() {
		x.lift()
		r.start(killed)
	})
}

// disk lets the syncs of a server go the way of spec for a while.
func (r *runner) disk(name string, s *server, spec string, gapMs int64, d time.Duration) {
	if why := tracePossible(); why != "" {
		r.t.Logf("SKIPPED FAULT: %s: %s", name, why)
		return
	}
	var x *tracer
	r.strike(fault{Name: name, Detail: fmt.Sprint("server ", s.id), GapMs: gapMs, Quiet: true}, func() {
		var err error
		x, err = inject(s, allSyncs, spec)
		must(r.t, err)
	}, d, func() { x.lift() })
}

// brokenDisk fails one sync of a server, which must end rather than go on; it is started again.
func (r *runner) brokenDisk(name string, s *server) {
	if why := tracePossible(); why != "" {
		r.t.Logf("SKIPPED FAULT: %s: %s", name, why)
		return
	}
	var x *tracer
	r.c.mayEnd(s, true)
	r.strike(fault{Name: name, Detail: fmt.Sprint("server ", s.id), GapMs: killGapMs}, func() {
		var err error
		x, err = inject(s, logSyncs, "error=EIO:when=1")
		must(r.t, err)
		if !s.process().wait(stopWithin) {
			r.rec.note("server %d went on for %v after its disk had failed", s.id, stopWithin)
			s.kill()
		}
	}, 0, func() {
		x.lift()
		r.restart(s)
	})
	r.c.mayEnd(s, false)
}

// fullDisk leaves a server little room for a while. If it ends for want of it, it is started again when there is room.
func (r *runner) fullDisk(name string, s *server, d *smallDisk, leave int64, lasts time.Duration) {
	r.c.mayEnd(s, true)
	bears := []string(nil)
	if len(r.c.servers) < 3 {
		bears = []string{"DiskFull", "NotReady", "Closing"}
	}
	r.strike(fault{Name: name, Detail: fmt.Sprint("server ", s.id), GapMs: pauseGapMs, Bears: bears}, func() { must(r.t, d.fill(leave)) }, lasts,
		func() {
			must(r.t, d.free())
			if !s.running() {
				r.restart(s)
			}
		})
	r.c.mayEnd(s, false)
}

// rollingRestart stops each server as an operator would and starts it again, the leader last.
func (r *runner) rollingRestart() {
	leader := r.leader()
	for _, s := range append(r.c.followers(leader), leader) {
		name := "SIGTERM follower"
		if s == leader {
			name = "SIGTERM leader"
		}
		r.strike(fault{Name: name, Detail: fmt.Sprint("server ", s.id), GapMs: gracefulGapMs}, func() { must(r.t, s.stop()) }, 0, func() { r.restart(s) })
	}
}
