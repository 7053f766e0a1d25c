package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// act is one scene of the comparison that runs on servers with little in them.
type act struct {
	name     string
	followed bool          // wants a follower
	ours     bool          // asks Lycaon alone: there is nothing that it stands beside
	bare     bool          // the floor can do it too
	notGo    bool          // not by our Go client: to the servers it is the same as the bare one
	warm     time.Duration // of a round in which servers are warmed up
	asIs     bool          // needs no rehearsal, or rehearses by itself on the connections that are counted then
	play     func(v *venue, e entrant, length time.Duration) (figures, error)
}

// acts are played in this order.
func acts() []act {
	all := []act{
		warming(warmPiece, closedLoop(workload{name: "writes", conns: 32, depth: 32, writes: 100})),
		closedLoop(workload{name: "10 % reads", conns: 32, depth: 32, writes: 90}),
		closedLoop(workload{name: "50 % reads", conns: 32, depth: 32, writes: 50}),
		closedLoop(workload{name: "90 % reads", conns: 32, depth: 32, writes: 10}),
		warming(warmPiece, closedLoop(workload{name: "reads", conns: 32, depth: 32})),
		warming(warmPiece, closedLoop(workload{name: "linearizable reads", conns: 32, depth: 32, level: protocol.Linearizable})),
		closedLoop(workload{name: "one client, writes", conns: 1, depth: 1, writes: 100}),
		closedLoop(workload{name: "one client at a follower, writes", conns: 1, depth: 1, writes: 100, at: 1}),
		closedLoop(workload{name: "one client, reads", conns: 1, depth: 1}),
		openLoop(workload{name: "open loop, 2,000 writes/s", conns: 32, writes: 100}, 2000),
		openLoop(workload{name: "open loop, 8,000 writes/s", conns: 32, writes: 100}, 8000),
		openLoop(workload{name: "open loop, 10,000/s with 90 % reads", conns: 32, writes: 10}, 10_000),
		warming(2*warmPiece, act{name: "sessions", play: churnSessions}), // the fewest a second
		warming(warmPiece/2, act{name: "one change to 100 watchers", bare: true, asIs: true, play: tellWatchers(100)}),
		{name: "one change to 1,000 watchers", bare: true, asIs: true, play: tellWatchers(1000)},
		warming(warmPiece/2, act{name: "listing of 10,000 children", bare: true, play: listChildren}),
		{name: idleScene, notGo: true, asIs: true, play: stayIdle},
		{name: startScene, ours: true, asIs: true, play: startCommand},
	}
	return all
}

// warming has an act be played in each round in which servers are warmed up.
func warming(length time.Duration, a act) act {
	a.warm = length
	return a
}

// leaves tells whether an entrant takes no part.
func (a *act) leaves(e entrant) bool {
	return a.ours && e.name != native || e.name == floorName && !a.bare || e.name == throughGo && a.notGo
}

// venue is the servers of one system while scenes are played on them.
type venue struct {
	*ensemble
	ready  bool  // has the nodes that acts read and write
	failed error // why they were not prepared at first
	leader int
	looker func() // of a profile: runs beside the next load, from its beginning
	spare  func() // as slayAfter returns it; of scale alone
}

func closedLoop(w workload) act {
	return act{name: w.name, followed: w.at > 0, bare: w.level == protocol.Local, play: func(v *venue, e entrant, length time.Duration) (figures, error) {
		return v.figuresOf(v.underLoad(e, w, func(l loader, i int, start time.Time) (tally, error) {
			return l.closed(w, uint64(i), start.Add(length))
		}))
	}}
}

// openLoop sends so many requests a second, whatever the answers take.
func openLoop(w workload, perSecond int) act {
	return act{name: w.name, play: func(v *venue, e entrant, length time.Duration) (figures, error) {
		return v.figuresOf(v.underLoad(e, w, func(l loader, i int, start time.Time) (tally, error) {
			return l.paced(w, uint64(i), share(start, start.Add(length), perSecond, w.conns, i))
		}))
	}}
}

// share is the schedule of the ith of n connections that together send
// perSecond requests a second, evenly.
func share(start, end time.Time, perSecond, n, i int) schedule {
	every := time.Duration(n) * time.Second / time.Duration(perSecond)
	return schedule{first: start.Add(every * time.Duration(i) / time.Duration(n)), end: end, every: every}
}

// figures are those of a load, and the memory after it.
func (v *venue) figures(r result, err error) (figures, error) {
	if err != nil {
		return nil, err
	}
	rss, _, err := v.memory()
	return figures{rate: r.rate(), p50Ms: ms(r.p50), p95Ms: ms(r.p95), p99Ms: ms(r.p99), cpuPerK: r.cpuPerK(),
		rssMiB: float64(rss >> 20), refusals: float64(r.refused)}, err
}

// figuresOf are those of what several clients did together.
func (v *venue) figuresOf(e *effort, err error) (figures, error) {
	if err != nil {
		return nil, err
	}
	return v.figures(e.result(e.elapsed, e.cpu))
}

func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }

// memory is what the largest server holds, resident and anonymous, in bytes.
func (v *venue) memory() (rss, anonymous int, err error) {
	for _, pid := range v.pids() {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, 0, err
		}
		rss, anonymous = max(rss, statusKiB(string(status), "VmRSS")<<10), max(anonymous, statusKiB(string(status), "RssAnon")<<10)
	}
	return rss, anonymous, nil
}

// statusKiB is a line of /proc/PID/status; 0 if there is none.
func statusKiB(status, name string) int {
	for l := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(l, name+":"); ok {
			if fields := strings.Fields(rest); len(fields) > 0 {
				n, _ := strconv.Atoi(fields[0])
				return n
			}
		}
	}
	return 0
}

// prepare makes what the acts read and write, through one entrant for all that
// share the servers, and warms them up.
func (v *venue) prepare(e entrant) error {
	if v.ready {
		return nil
	}
	err := v.furnish(e)
	if err == nil {
		err = v.warm(e)
	}
	v.ready = err == nil
	v.failed = errors.Join(v.failed, err)
	if err != nil {
		return v.failed
	}
	return nil
}

func (v *venue) furnish(e entrant) error {
	a, err := e.dial(v.members[0].addr)
	if err != nil {
		return err
	}
	defer a.Close()
	for _, path := range []string{"/bench", "/many", "/watched"} {
		if err := a.create(path, nil); err != nil {
			return err
		}
	}
	if _, err := v.fill(e, counted(nodes, nodePath), 1, make([]byte, valueBytes)); err != nil {
		return err
	}
	_, err = v.fill(e, counted(children, child), 1, nil)
	return err
}

// Servers are warmed up by load that nobody counts, of all kinds by turns for as long as it
// makes them quicker: a virtual machine compiles what is hot, step by step, for half a
// minute, and what it has compiled it takes back when another kind of request comes for the
// first time.
const (
	warmPiece  = time.Second / 2 // of most loads
	warmGain   = 1.1             // times the best so far is quicker
	warmSteady = 2               // rounds in which no load was quicker
	warmRounds = 24              // at most
)

// rehearsal is how long each scene is played before it is counted: what is hot in it, and
// has been compiled for other load, is compiled again in its first moments.
const rehearsal = time.Second / 2

func (v *venue) warm(e entrant) error {
	loads := slices.DeleteFunc(acts(), func(a act) bool { return a.warm == 0 || a.leaves(e) })
	var w warmth
	for over := false; !over; {
		var rates []float64
		for _, load := range loads {
			f, err := load.play(v, e, load.warm)
			if err != nil {
				return err
			}
			rates = append(rates, f[rate])
		}
		over = w.over(rates)
	}
	return nil
}

// warmth is how quick servers have become.
type warmth struct {
	best           []float64 // of each load
	rounds, steady int       // so far, and since one was quicker
}

// over takes what the loads of one more round gave.
func (w *warmth) over(rates []float64) bool {
	if w.best == nil {
		w.best = make([]float64, len(rates))
	}
	w.rounds, w.steady = w.rounds+1, w.steady+1
	for i, r := range rates {
		if r > w.best[i]*warmGain {
			w.best[i], w.steady = r, 0
		}
	}
	return w.steady == warmSteady || w.rounds == warmRounds
}

const (
	quietWithin = 2 * time.Minute // a log of millions of entries may be rewritten
	quietEvery  = 300 * time.Millisecond
	quietCPU    = quietEvery / 20 // of a server
)

// quiet waits until the servers have done what earlier load has left to them.
func (v *venue) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, quietWithin)
	defer cancel()
	for {
		used, _, err := spend(v.pids(), func() error { return pause(ctx, quietEvery) })
		if ctx.Err() != nil {
			return fmt.Errorf("the servers are still at work after %v", quietWithin)
		}
		if err != nil || used <= quietCPU*time.Duration(len(v.members)) {
			return err
		}
	}
}

// restWithin is what all servers are given before they are killed, at most: some are never
// quite at rest.
const restWithin = 5 * time.Second

// rest is quiet for whoever may go on without.
func (v *venue) rest(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, restWithin)
	defer cancel()
	if err := v.quiet(bounded); err != nil && bounded.Err() == nil {
		return err
	}
	return ctx.Err()
}

const (
	settleWithin = 2 * time.Second
	settleEvery  = 100 * time.Millisecond
	settledCPU   = settleEvery * 4 / 10 // of all servers together, which are never quite idle
)

// settle waits a moment for what one system has left to be done after its turn, so
// that it is not charged to the next.
func settle(ctx context.Context, venues map[string]*venue) error {
	var pids []int
	for _, v := range venues {
		pids = append(pids, v.pids()...)
	}
	for begin := time.Now(); time.Since(begin) < settleWithin; {
		used, _, err := spend(pids, func() error { return pause(ctx, settleEvery) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil || used <= settledCPU { // a server that has ended is told of when its turn comes
			return nil
		}
	}
	return nil
}

// fill creates nodes on 32 connections, so many in a transaction, each node or it fails.
func (v *venue) fill(e entrant, next func() (string, bool), batch int, data []byte) (tally, error) {
	parts := make([]tally, fillers)
	err := eachOf(fillers, func(i int) error {
		l, err := e.loader(v.members[i%len(v.members)].addr)
		if err != nil {
			return err
		}
		parts[i], err = l.fill(next, batch, data)
		return errors.Join(err, l.Close())
	})
	var whole tally
	for _, p := range parts {
		whole.join(p)
	}
	if err == nil && whole.refused > 0 {
		err = fmt.Errorf("%d nodes were not created: %w", whole.refused, whole.failure)
	}
	return whole, err
}

// timed has several clients do something again and again for a length of time.
func (v *venue) timed(clients int, length time.Duration, do func(client, n int) error) (figures, error) {
	return v.figuresOf(v.together(clients, func(i int, start time.Time) (part tally, err error) {
		for n := 0; time.Since(start) < length; n++ {
			at := time.Now()
			if err := do(i, n); err != nil {
				return part, err
			}
			part.answered = append(part.answered, sampleOf(at, time.Since(at)))
		}
		return part, nil
	}))
}

// effort is what several clients did, and what it took the servers and this
// program.
type effort struct {
	tally
	elapsed, cpu, own time.Duration
}

// together has several clients work at the same time.
func (v *venue) together(clients int, work func(client int, start time.Time) (tally, error)) (*effort, error) {
	var e effort
	parts := make([]tally, clients)
	v.begun()
	own := ownCPU()
	var err error
	e.cpu, e.elapsed, err = spend(v.pids(), func() error {
		start := time.Now()
		return eachOf(clients, func(i int) (err error) {
			parts[i], err = work(i, start)
			return err
		})
	})
	e.own = ownCPU() - own
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		e.join(p)
	}
	return &e, nil
}

// begun has who looks on begin: what is measured begins now.
func (v *venue) begun() {
	if v.looker != nil {
		go v.looker()
		v.looker = nil
	}
}

// churns are the rounds of short sessions so far.
var churns atomic.Int64

// churnSessions opens a session, makes an ephemeral node and closes, by 32
// clients at once.
func churnSessions(v *venue, e entrant, length time.Duration) (figures, error) {
	addrs := v.from(v.leader)
	if e.visit != nil {
		round := churns.Add(1) // one that is broken off leaves its nodes until its sessions expire
		return v.figuresOf(v.together(1, func(_ int, start time.Time) (tally, error) {
			return churn(churners, addrs, func(path string) visit { return e.visit(fmt.Sprintf("%s-%d", path, round)) }, start.Add(length))
		}))
	}
	return v.timed(churners, length, func(client, n int) error {
		a, err := e.dial(addrs[client%len(addrs)])
		if err != nil {
			return err
		}
		return errors.Join(a.ephemeral(fmt.Sprintf("/bench/ephemeral-%d", client)), a.Close())
	})
}

// listChildren lists by 8 clients.
func listChildren(v *venue, e entrant, length time.Duration) (figures, error) {
	addrs := v.from(v.leader)
	actors := make([]actor, listers)
	for i := range actors {
		a, err := e.dial(addrs[i%len(addrs)])
		if err != nil {
			return nil, err
		}
		defer a.Close()
		actors[i] = a
	}
	return v.timed(listers, length, func(client, _ int) error { return actors[client].list("/many") })
}

// tellWatchers changes a node and waits until the last of n connections that
// watch it is told; again for as long as there is time.
func tellWatchers(n int) func(v *venue, e entrant, length time.Duration) (figures, error) {
	return func(v *venue, e entrant, length time.Duration) (figures, error) {
		addrs := v.from(v.leader)
		writer, err := e.dial(addrs[0])
		if err != nil {
			return nil, err
		}
		defer writer.Close()
		actors := make([]actor, n)
		defer closeActors(actors)
		if err := eachOf(n, func(i int) error {
			a, err := e.dial(addrs[i%len(addrs)])
			if err != nil {
				return err
			}
			actors[i] = a
			return a.watch("/watched")
		}); err != nil {
			return nil, err
		}
		if _, err := v.tell(writer, actors, rehearsal); err != nil { // they are many to connect twice
			return nil, err
		}
		v.begun()
		return v.tell(writer, actors, length)
	}
}

func closeActors(actors []actor) {
	eachOf(len(actors), func(i int) error {
		if actors[i] != nil {
			return actors[i].Close()
		}
		return nil
	})
}

const (
	startScene   = "start the command, read a node, exit"
	commandRuns  = 40
	commandAfter = 10 * time.Second
)

// startCommand is what a script pays to read a node.
func startCommand(v *venue, _ entrant, _ time.Duration) (figures, error) {
	var t tally
	for range commandRuns {
		took, err := readOnce(v.system.(lycaon).binary, v.members[0].addr)
		if err != nil {
			return nil, err
		}
		t.answered = append(t.answered, sample{took: took})
	}
	r, err := t.result(time.Second, 0)
	return figures{p50Ms: ms(r.p50), p95Ms: ms(r.p95), p99Ms: ms(r.p99)}, err
}

func readOnce(binary, addr string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandAfter)
	defer cancel()
	begin := time.Now()
	out, err := exec.CommandContext(ctx, binary, "--server", addr, "get", nodePath(0)).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %.200s", err, out)
	}
	return time.Since(begin), err
}

// leastChanges is how often watchers are told at least.
const leastChanges = 5

func (v *venue) tell(writer actor, actors []actor, length time.Duration) (figures, error) {
	var t tally
	cpu, _, err := spend(v.pids(), func() (err error) {
		t, err = changes(writer, actors, length)
		return err
	})
	if err != nil {
		return nil, err
	}
	var sum time.Duration
	for _, s := range t.answered {
		sum += s.took
	}
	f, err := v.figures(t.result(sum, cpu))
	if err == nil {
		f[cpuPerK] /= float64(len(actors)) // a piece of news, not a change
	}
	return f, err
}

func changes(writer actor, actors []actor, length time.Duration) (t tally, err error) {
	told := make(chan error, len(actors))
	for start := time.Now(); time.Since(start) < length || len(t.answered) < leastChanges; {
		for _, a := range actors {
			go func() { told <- safely(a.event) }()
		}
		at := time.Now()
		if err := writer.change("/watched"); err != nil {
			return t, err
		}
		for range actors {
			if err = cmp.Or(err, <-told); err != nil {
				return t, err
			}
		}
		t.answered = append(t.answered, sampleOf(at, time.Since(at)))
		if err := eachOf(len(actors), func(i int) error {
			if !actors[i].again() {
				return nil
			}
			return actors[i].watch("/watched")
		}); err != nil {
			return t, err
		}
	}
	return t, nil
}

// actWithin is what an act and the preparations for it may take beside its length.
const actWithin = 3 * time.Minute

// play runs one act.
func (v *venue) play(ctx context.Context, a act, e entrant, length time.Duration) (f figures, err error) {
	defer v.slayAfter(ctx, length+actWithin)()
	if err := v.begin(ctx, e); err != nil {
		return nil, err
	}
	return a.rehearsed(v, e, length)
}

// rehearsed plays an act, and counts what comes behind its first moments.
func (a *act) rehearsed(v *venue, e entrant, length time.Duration) (figures, error) {
	if !a.asIs {
		if _, err := a.play(v, e, rehearsal); err != nil {
			return nil, err
		}
	}
	return a.play(v, e, length)
}

// begin settles who leads, and that there is what acts read and write.
func (v *venue) begin(ctx context.Context, e entrant) (err error) {
	if v.leader, err = v.healthy(ctx); err != nil {
		return err
	}
	if err := v.prepare(e); err != nil {
		return fmt.Errorf("preparing: %w", err)
	}
	return nil
}

func sceneNames() []string {
	var names []string
	for _, a := range acts() {
		names = append(names, a.name)
	}
	return append(append(names, manyScenes()...), killScene, pauseScene)
}

// manyScenes are those with many nodes.
func manyScenes() []string {
	return []string{createScene(hundredThousand), restartScene(hundredThousand), diskScene(hundredThousand),
		batchScene(million), restartScene(million), diskScene(million), snapshotScene}
}

// placeOf orders scenes as they are told.
func placeOf(scene string) int {
	if i := slices.Index(sceneNames(), scene); i >= 0 {
		return i
	}
	return 1 << 10
}
