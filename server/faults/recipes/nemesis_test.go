package recipes_test

import (
	"math/rand/v2"
	"time"
)

// nemesis strikes servers, one fault after the other, and heals each. It belongs to the
// test's goroutine.
type nemesis struct {
	w      *world
	random *rand.Rand
	struck map[string]int
}

func newNemesis(w *world, seed uint64) *nemesis {
	return &nemesis{w: w, random: rand.New(rand.NewPCG(seed, seed)), struck: map[string]int{}}
}

const servers = 3

// faults in the order of a short run; a long one goes through them again and again.
var faults = []struct {
	name   string
	strike func(*nemesis)
}{
	{"kill -9 leader", func(n *nemesis) { n.kill(n.w.cluster.Leader()) }},
	{"SIGSTOP leader", func(n *nemesis) { n.stop(n.between(300*time.Millisecond, time.Second), n.w.cluster.Leader()) }},
	{"kill -9 random", func(n *nemesis) { n.kill(n.random.IntN(servers)) }},
	{"SIGSTOP random", func(n *nemesis) { n.stop(n.between(300*time.Millisecond, 3*time.Second), n.random.IntN(servers)) }},
	{"kill -9 all", func(n *nemesis) { n.kill(0, 1, 2) }},
	{"SIGSTOP leader, long", func(n *nemesis) { n.stop(2*localSession, n.w.cluster.Leader()) }},
	// Longer than sessions last, by the clocks of their clients.
	{"SIGSTOP all", func(n *nemesis) { n.stop(n.between(localSession/2, 2*localSession), 0, 1, 2) }},
}

// shortFaults are those of a short run.
const shortFaults = 3

func (n *nemesis) between(a, b time.Duration) time.Duration {
	return a + time.Duration(n.random.Int64N(int64(b-a)))
}

// pass lets a fault last.
func (n *nemesis) pass(d time.Duration) {
	select {
	case <-time.After(d):
	case <-n.w.ctx.Done():
	}
}

func (n *nemesis) kill(servers ...int) {
	for _, s := range servers {
		n.w.cluster.Kill9(s)
	}
	n.pass(n.between(100*time.Millisecond, time.Second))
	for _, s := range servers {
		n.w.cluster.Start(s)
	}
	for _, s := range servers {
		n.w.cluster.Await(s)
	}
}

func (n *nemesis) stop(d time.Duration, servers ...int) {
	for _, s := range servers {
		n.w.cluster.Pause(s)
	}
	n.pass(d)
	for _, s := range servers {
		n.w.cluster.Resume(s)
	}
	for _, s := range servers {
		n.w.cluster.Await(s)
	}
}

// round goes once through the first faults of the list.
func (n *nemesis) round(first int) {
	for _, f := range faults[:first] {
		f.strike(n)
		n.struck[f.name]++
		n.pass(n.between(500*time.Millisecond, 1500*time.Millisecond)) // of calm: sessions end while somebody leads
	}
}
