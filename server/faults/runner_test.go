package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

const (
	warmUp = time.Second     // of the load, before the first fault
	calm   = 2 * time.Second // after one
)

// runner is one run: a cluster, a load, and what is done to them.
type runner struct {
	t    testing.TB
	rng  *rand.Rand
	c    *cluster
	load *load
	rec  *recorder
}

func envInt(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// rounds is how often each fault of a scenario strikes.
func rounds(t testing.TB) int { return envInt(t, "FAULTS_ROUNDS", 1) }

func seedOf(t testing.TB) uint64 {
	return uint64(envInt(t, "FAULTS_SEED", int(time.Now().UnixNano()&0xffffff)))
}

// historyDir is where a run leaves what it saw: for good if LYCAON_HISTORIES says where, else only if it fails.
func historyDir(t testing.TB, name string, seed uint64) string {
	t.Helper()
	base := os.Getenv("LYCAON_HISTORIES")
	if base == "" {
		dir, err := os.MkdirTemp("", "lycaon-history-*")
		must(t, err)
		t.Cleanup(func() {
			if !t.Failed() {
				os.RemoveAll(dir)
				return
			}
			t.Logf("the history is in %s; check it again with: go test ./server/faults -run Replay -history %s", dir, dir)
		})
		return dir
	}
	dir := filepath.Join(base, fmt.Sprintf("%s-%d", name, seed))
	must(t, os.MkdirAll(dir, 0o755))
	return dir
}

// runScenario starts a cluster and the load, lets strikes do its worst, heals everything, reads everything, and checks.
func runScenario(t *testing.T, name string, p plan, strikes func(*runner)) {
	seed := seedOf(t)
	t.Logf("FAULTS_SEED=%d FAULTS_ROUNDS=%d, %d servers", seed, rounds(t), p.servers)
	if p.tick == 0 {
		p.tick = 100 * time.Millisecond
	}
	a := about{Name: name, Seed: seed, Servers: p.servers, TickMs: p.tick.Milliseconds()}
	rec, err := newRecorder(historyDir(t, name, seed), a)
	must(t, err)
	c := openCluster(t, p, rec)
	r := &runner{t: t, rng: rand.New(rand.NewPCG(seed, 0)), c: c, rec: rec, load: &load{rec: rec, addrs: c.addrs(), seed: seed, padding: p.padding}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.load.wg.Go(func() { rec.noteStalls(ctx) })
	must(t, r.load.prepare(ctx))
	r.load.begin(ctx)
	r.pass(warmUp / 2)
	a.Begin, a.WallNs = rec.now(), rec.h.About.WallNs
	r.pass(warmUp)
	strikes(r)
	a.End = rec.now()
	cancel()
	r.load.wg.Wait()
	a.Servers = len(c.servers)
	rec.write(record{About: &a})
	r.finish()
	h, err := rec.finish()
	must(t, err)
	checkAll(t, h)
}

// pass lets time go by. What happens in it is what is tested: there is nothing to wait for.
func (r *runner) pass(d time.Duration) { time.Sleep(d) }

// finish heals what is left, reads everything from everybody, stops the servers and keeps their logs.
func (r *runner) finish() {
	if r.c.net != nil {
		must(r.t, r.c.net.heal())
	}
	if err := r.c.settle(settleWithin); err != nil {
		r.rec.note("at the end: %v", err)
	}
	for _, m := range r.c.agree(settleWithin) {
		r.rec.write(record{Member: &m})
	}
	if err := r.c.finalReads(); err != nil {
		r.rec.note("%v", err)
	}
	for _, s := range r.c.servers {
		if !s.running() {
			r.rec.note("server %d does not run at the end", s.id)
			continue
		}
		if err := s.stop(); err != nil {
			r.rec.note("%v", err)
		}
	}
	for _, s := range r.c.servers {
		r.c.sample(s)
		if err := r.c.dump(s); err != nil {
			r.rec.note("%v", err)
		}
	}
}

// strike does something and heals it after a while; then all servers have to be ready again.
func (r *runner) strike(f fault, do func(), lasts time.Duration, heal func()) {
	r.t.Helper()
	if len(r.c.servers) < 3 {
		f.Deaf, f.GapMs = true, 0
	}
	f.Begin = r.rec.now()
	do()
	r.pass(lasts)
	heal()
	f.Healed = r.rec.now()
	err := r.c.settle(settleWithin)
	f.Settled = r.rec.now()
	r.rec.write(record{Fault: &f})
	if err != nil {
		r.rec.note("after %s: %v", f.Name, err)
	}
	r.pass(calm)
}

// between draws a duration.
func (r *runner) between(least, most time.Duration) time.Duration {
	return least + time.Duration(r.rng.Int64N(int64(most-least)+1))
}

// leader fails the test if there is none.
func (r *runner) leader() *server {
	r.t.Helper()
	s, err := r.c.leader()
	must(r.t, err)
	return s
}

// follower is one of those that do not lead.
func (r *runner) follower() *server {
	r.t.Helper()
	followers := r.c.followers(r.leader())
	if len(followers) == 0 {
		return r.c.servers[0]
	}
	return followers[r.rng.IntN(len(followers))]
}

func (r *runner) anyone() *server { return r.c.servers[r.rng.IntN(len(r.c.servers))] }
