package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	hundredThousand = 100_000
	million         = 1_000_000

	snapshotScene = "4,000 writes/s during a snapshot of 1,000,000 nodes"

	batchOf = fillDepth // nodes in a transaction, so that as many are on their way as without

	snapshotRate   = 4000
	snapshotWithin = 3 * time.Minute // until all servers have taken one by themselves; three of Lycaon take 50 to 67 s in a row, and as long is measured beside
	quietSeconds   = 3               // of the load beside it, at least
	quietPatience  = 75              // seconds of load, after which so many are enough
	lookForFiles   = 10 * time.Millisecond
	readyWithin    = 3 * time.Minute
	bulkWithin     = 15 * time.Minute // all scenes on the same nodes
)

func createScene(n int) string  { return "create " + thousands(n) + " nodes" }
func batchScene(n int) string   { return fmt.Sprintf("%s, %d a transaction", createScene(n), batchOf) }
func restartScene(n int) string { return "kill -9 to ready, " + thousands(n) + " nodes" }

// diskScene is restartScene without the data in the machine's memory.
func diskScene(n int) string {
	return "kill -9 to ready, no data in the page cache, " + thousands(n) + " nodes"
}

// thousands writes a number with commas.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// bulkScenes are those of so many nodes, in the order that they come.
func (c *comparison) bulkScenes(e entrant, count int) []string {
	scenes := []string{createScene(count)}
	if count == million {
		scenes = []string{batchScene(count), snapshotScene}
	}
	if e.name != floorName { // which forgets everything
		scenes = append(scenes, restartScene(count))
		if c.forgets {
			scenes = append(scenes, diskScene(count))
		}
	}
	return scenes
}

// bulk is what is measured of many nodes, on servers that it ends.
func (c *comparison) bulk(ctx context.Context, ensemble *ensemble, servers, count, run int, e entrant) (err error) {
	scenes := c.bulkScenes(e, count)
	if c.plan(servers, scenes, e.name, run) {
		return nil
	}
	if ensemble == nil {
		if ensemble, err = c.raiseAgain(ctx, e.system, servers); err != nil {
			return c.note(ctx, servers, scenes[0], e.name, run, nil, err)
		}
	}
	defer ensemble.end()
	v := &venue{ensemble: ensemble}
	spare := v.slayAfter(ctx, bulkWithin)
	defer spare()
	batch := 1
	if scenes[0] == batchScene(count) {
		batch = batchOf
	}
	made, err := v.makeWeighed(ctx, e, count, batch)
	if noted := c.note(ctx, servers, scenes[0], e.name, run, made, err); err != nil || noted != nil {
		return noted // of fewer nodes nothing is to be learnt
	}
	if slices.Contains(scenes, snapshotScene) {
		quiet, err := v.writeThroughSnapshot(ctx, e)
		if err := c.note(ctx, servers, snapshotScene, e.name, run, quiet, err); err != nil {
			return err
		}
	}
	if !slices.Contains(scenes, restartScene(count)) {
		return nil
	}
	spare()
	var warm figures
	if err = v.rest(ctx); err == nil {
		warm, err = v.restart(ctx)
	}
	if noted := c.note(ctx, servers, restartScene(count), e.name, run, warm, err); err != nil || noted != nil {
		return noted
	}
	if !slices.Contains(scenes, diskScene(count)) {
		return nil
	}
	cold, err := v.restartFromDisk(ctx)
	return c.note(ctx, servers, diskScene(count), e.name, run, cold, err)
}

// makeWeighed creates nodes, and tells what lives of them in Lycaon, which can be
// asked for it.
func (v *venue) makeWeighed(ctx context.Context, e entrant, count, batch int) (figures, error) {
	if e.name != native {
		return v.makeMany(ctx, e, count, batch)
	}
	before, err := v.live(ctx)
	if err != nil {
		return nil, err
	}
	f, err := v.makeMany(ctx, e, count, batch)
	if err == nil {
		err = v.quiet(ctx)
	}
	if err != nil {
		return nil, err
	}
	after, err := v.live(ctx)
	f.weigh(after-before, count)
	return f, err
}

// makeMany creates nodes of 100 bytes with paths of 37, on three levels.
func (v *venue) makeMany(ctx context.Context, e entrant, count, batch int) (figures, error) {
	a, err := e.dial(v.members[0].addr)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	dirs := (count + fan - 1) / fan
	for d := -1; d < dirs; d++ {
		path := "/fill"
		if d >= 0 {
			path = directory(d)
		}
		if err := a.create(path, nil); err != nil {
			return nil, err
		}
	}
	rss, anonymous, err := v.memory()
	if err != nil {
		return nil, err
	}
	var created tally
	v.begun()
	cpu, elapsed, err := spend(v.pids(), func() (err error) {
		created, err = v.fill(e, until(ctx, counted(count, leaf)), batch, make([]byte, leafBytes))
		return err
	})
	if err := errors.Join(err, ctx.Err()); err != nil {
		return nil, err
	}
	rssAfter, anonymousAfter, err := v.memory()
	if err != nil {
		return nil, err
	}
	f, err := v.figures(created.result(elapsed, cpu))
	if err == nil {
		n := float64(count)
		f[nodeBytes], f[nodeAnon] = float64(rssAfter-rss)/n, float64(anonymousAfter-anonymous)/n
	}
	return f, err
}

// restart kills every server with -9, starts them again and waits until the
// first of them has answered a write.
func (v *venue) restart(ctx context.Context) (figures, error) {
	programs := v.programs()
	v.slay()
	if err := remember(programs); err != nil { // whoever was started from the disk before has had them forgotten
		return nil, err
	}
	return v.rise(ctx)
}

func (v *venue) slay() {
	for _, m := range v.members {
		m.process.signal(syscall.SIGKILL)
	}
	for _, m := range v.members {
		<-m.process.ended
	}
}

// rise starts every server and waits until the first of them has answered a write. The
// CPU is that of all servers until then; errors are the tries that were in vain.
func (v *venue) rise(ctx context.Context) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	begin := time.Now()
	for _, m := range v.members {
		if err := m.start(); err != nil {
			return nil, err
		}
	}
	vain := 0
	for try := 250 * time.Millisecond; ; try += try / 4 {
		err := v.tryWrite(ctx, try)
		if err == nil {
			took := time.Since(begin)
			cpu, err := cpuOf(v.pids())
			return figures{seconds: took.Seconds(), cpuS: cpu.Seconds(), refusals: float64(vain)}, err
		}
		vain++
		if ctx.Err() != nil {
			return nil, fmt.Errorf("not ready within %v: %w", readyWithin, err)
		}
	}
}

// tryWrite waits until the first server listens, and gives a new session with a
// write the time of one try.
func (v *venue) tryWrite(ctx context.Context, try time.Duration) error {
	m := v.members[0]
	for !listens(m.addr) {
		if !m.process.running() {
			return fmt.Errorf("it has ended: %v", m.process.cmd.ProcessState)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookForFiles):
		}
	}
	ctx, cancel := context.WithTimeout(ctx, try)
	defer cancel()
	s, err := v.open(ctx, []string{m.addr})
	if err != nil {
		return err
	}
	defer s.close()
	return s.write(ctx)
}

// enoughQuiet is how many quiet seconds are compared with the snapshot: as many as it
// took, since what comes every few seconds must come in both, unless that takes for ever.
func enoughQuiet(second int, snapshot time.Duration) int {
	if second >= quietPatience {
		return quietSeconds
	}
	return max(quietSeconds, int(snapshot/time.Second))
}

// writeThroughSnapshot writes at a rate until a snapshot has been taken, and
// tells those requests that were due meanwhile from the others.
func (v *venue) writeThroughSnapshot(ctx context.Context, e entrant) (figures, error) {
	if err := v.quiet(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, snapshotWithin)
	defer cancel()
	leader, err := v.healthy(ctx)
	if err != nil {
		return nil, err
	}
	v.leader = leader
	if err := v.furnish(e); err != nil { // the many nodes have warmed them up
		return nil, err
	}
	active, trigger := v.snapshots()
	for active() && ctx.Err() == nil { // one that the nodes themselves have brought about
		time.Sleep(lookForFiles)
	}
	look := watchSpans(active)
	defer look.stop()
	load, end, err := v.steady(e)
	defer end()
	if err != nil {
		return nil, err
	}
	triggered := make(chan error, 1)
	begin := time.Now()
	during, beside, err := v.through(ctx, load, look, func() {
		if trigger != nil {
			go func() { triggered <- trigger(ctx) }()
		}
	})
	if err := errors.Join(err, load.stop()); err != nil {
		return nil, err
	}
	elapsed := time.Since(begin) // whole seconds, and the last answers
	if trigger != nil {
		if err := <-triggered; err != nil {
			return nil, err
		}
	}
	f, err := throughFigures(load.whole, look.stop())
	if err != nil {
		return nil, err
	}
	rss, _, err := v.memory()
	f[rate], f[rssMiB], f[cpuS] = float64(len(load.whole.answered))/elapsed.Seconds(), float64(rss>>20), surplus(during, beside).Seconds()
	return f, err
}

// through lets a load go on until a snapshot has been taken, and for enough seconds without
// one; ask is called when some of those have passed. It tells the CPU of each second, by
// whether a snapshot was taken in it.
func (v *venue) through(ctx context.Context, load *pacing, look *spans, ask func()) (during, beside []time.Duration, err error) {
	for second := 0; !look.over() || len(beside) < enoughQuiet(second, look.longest()); second++ {
		if second == quietSeconds {
			ask()
		}
		from := time.Now()
		cpu, _, err := spend(v.pids(), func() error { return load.during(ctx, time.Second) })
		switch {
		case err == nil:
		case ctx.Err() == nil:
			return nil, nil, err
		case !look.seenSince(time.Time{}):
			return nil, nil, fmt.Errorf("no snapshot was taken within %v", snapshotWithin)
		default:
			return nil, nil, fmt.Errorf("a snapshot was seen, but not its end and as many seconds without one within %v", snapshotWithin)
		}
		if look.seenSince(from) {
			during = append(during, cpu)
		} else {
			beside = append(beside, cpu)
		}
	}
	return during, beside, nil
}

// steady has clients write at snapshotRate until that is stopped; end closes them.
func (v *venue) steady(e entrant) (load *pacing, end func(), err error) {
	w := workload{conns: 8, writes: 100}
	loaders, err := v.connect(e, w)
	end = func() {
		for _, l := range loaders {
			l.Close()
		}
	}
	if err != nil {
		return nil, end, err
	}
	return pace(loaders, w), end, nil
}

// surplus is how much some seconds took beyond as many of others with the same load, of
// which there is one at least.
func surplus(of, beside []time.Duration) (more time.Duration) {
	var usual time.Duration
	for _, cpu := range beside {
		usual += cpu
	}
	for _, cpu := range of {
		more += cpu - usual/time.Duration(len(beside))
	}
	return more
}

// connect opens the connections of a workload, spread over the servers.
func (v *venue) connect(e entrant, w workload) ([]loader, error) {
	addrs := v.from(v.leader)
	var all []loader
	for i := range w.conns {
		l, err := e.loader(addrs[i%len(addrs)])
		if err != nil {
			return all, err
		}
		all = append(all, l)
	}
	return all, nil
}

// pacing is load at a rate that goes on until it is stopped.
type pacing struct {
	over  chan struct{} // closed when no further second is to begin
	ended chan struct{} // closed when all are answered
	whole tally         // then, as is err
	err   error
}

// pace begins a load. Each second follows the one before it on the clock, whenever that was
// answered: requests that a stall has kept waiting count from when they were due.
func pace(loaders []loader, w workload) *pacing {
	p := &pacing{over: make(chan struct{}), ended: make(chan struct{})}
	begin := time.Now()
	parts := make([]tally, len(loaders))
	go func() {
		defer close(p.ended)
		p.err = eachOf(len(loaders), func(i int) error {
			for start := begin; ; start = start.Add(time.Second) {
				select {
				case <-p.over:
					return nil
				default:
				}
				part, err := loaders[i].paced(w, uint64(i), share(start, start.Add(time.Second), snapshotRate, len(loaders), i))
				parts[i].join(part)
				if err != nil {
					return err
				}
			}
		})
		for _, part := range parts {
			p.whole.join(part)
		}
	}()
	return p
}

// during waits, and fails if the load has, or if ctx ends.
func (p *pacing) during(ctx context.Context, length time.Duration) error {
	select {
	case <-time.After(length):
		return nil
	case <-p.ended:
		return errors.New("the load has ended")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop ends the load and tells what went wrong with it.
func (p *pacing) stop() error {
	close(p.over)
	<-p.ended
	return p.err
}

// throughFigures splits requests by whether a snapshot was being taken when
// they were due.
func throughFigures(t tally, spans []span) (figures, error) {
	during, quiet := tally{refused: t.refused}, tally{}
	for _, s := range t.answered {
		if slices.ContainsFunc(spans, func(sp span) bool { return !s.due().Before(sp.begin) && !s.due().After(sp.end) }) {
			during.answered = append(during.answered, s)
		} else {
			quiet.answered = append(quiet.answered, s)
		}
	}
	d, err := during.result(time.Second, 0)
	if err != nil {
		return nil, errors.New("no request was due while the snapshot was taken")
	}
	q, err := quiet.result(time.Second, 0)
	if err != nil {
		return nil, errors.New("no request was due beside the snapshot")
	}
	var length time.Duration
	for _, sp := range spans {
		length += sp.end.Sub(sp.begin)
	}
	return figures{p50Ms: ms(d.p50), p95Ms: ms(d.p95), p99Ms: ms(d.p99), quietP99Ms: ms(q.p99), snapshotS: length.Seconds(),
		refusals: float64(d.refused)}, nil
}

// snapshots tells whether a server is taking one, from its beginning to its end.
// Lycaon's folder has another name while it is written, checked and read back,
// ZooKeeper's file begins with the snapshot and ends with a mark. etcd takes none
// by itself that has to do with its keys, so trigger asks it for one.
func (v *venue) snapshots() (active func() bool, trigger func(ctx context.Context) error) {
	switch v.system.(type) {
	case lycaon:
		return v.have("*/snapshots/*.tmp", func(string) bool { return true }), nil
	case zookeeper:
		return v.have("*/version-2/snapshot.*", func(name string) bool { return !zkSealed(name) }), nil
	}
	var saving atomic.Bool
	return saving.Load, func(ctx context.Context) error {
		c, err := dialEtcd(ctx, []string{v.members[v.leader].addr})
		if err != nil {
			return err
		}
		defer c.Close()
		saving.Store(true)
		defer saving.Store(false)
		from, err := c.Snapshot(ctx)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, from)
		return errors.Join(err, from.Close())
	}
}

// have tells whether there is such a file, or folder, of the servers.
func (v *venue) have(pattern string, such func(name string) bool) func() bool {
	return func() bool {
		names, _ := filepath.Glob(filepath.Join(v.dir, pattern)) // fails for a bad pattern alone
		return slices.ContainsFunc(names, such)
	}
}
