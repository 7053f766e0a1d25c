package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

const scaleHelp = `usage: go run . scale [flags]

Measures Lycaon alone, at 1 to 10,000 connections, 10,000 to 5 million nodes, 1, 3 and
5 servers, 0 to 100,000 watches, and adds what it gave to a file of results. What is
there already is not run again. With -page it also writes tables and plots. Root drops
the page cache of the machine for a start that reads the disk.

`

// scaleCommands are how a run is told that it was of Lycaon alone.
var scaleCommands = []string{"go run . scale", "make bench-scale"}

// alone is the entrant of these cells: nothing is compared.
const alone = "lycaon alone"

const (
	idleLong     = 30 * time.Second
	inFlight     = 1024 // of all connections together, unless there are more of them
	usualConns   = 32
	watchers     = 100
	bytesANode   = 2200 // of free memory, at most: what lives, what is garbage, and the log
	spareBytes   = 1 << 30
	readsScene   = "reads"
	writesScene  = "writes"
	linearScene  = "linearizable reads"
	readsSingle  = "reads one at a time"
	writesSingle = "writes one at a time"

	enoughToWeigh = 16 << 20 // bytes: less drifts by itself
)

// axis is what is varied, with everything else as usual.
type axis struct {
	what  string
	sizes []int
}

// name is that of a load at a size.
func (a *axis) name(load string, n int) string {
	if a.what == "" {
		return load
	}
	return fmt.Sprintf("%s, %s %s", load, thousands(n), a.what)
}

// servers are how many serve at a size.
func (a *axis) servers(n int) int {
	if a.what == "" {
		return n
	}
	return 1
}

var (
	byServers     = axis{"", []int{1, 3, 5}} // whose number is no part of a scene's name
	byConnections = axis{"connections", []int{1, 10, 100, 1000, 10_000}}
	byWatches     = axis{"watches", []int{0, 1000, 10_000, 100_000}}
	byNodes       = axis{"nodes", []int{10_000, 100_000, million, 5 * million}}
)

func openScene(n int) string  { return "open " + thousands(n) + " connections" }
func watchScene(n int) string { return "set " + thousands(n) + " watches" }

func playScale(ctx context.Context, args []string) error {
	c := &comparison{}
	f := flagsOf("scale", scaleHelp)
	out := f.String("out", scaleFile, "the file of results, a JSON value a line")
	dir := f.String("dir", "", "where the servers keep their data (default: a temporary folder)")
	short := f.Bool("short", false, "1 run of 2 s, if no other flag says otherwise")
	page := f.String("page", "", "the page whose marked part is written anew")
	plots := f.String("plots", "", "the folder for the plots and a copy of all results")
	f.StringVar(&c.lycaon, "lycaon", "../bin/lycaon", "the server's binary")
	f.IntVar(&c.runs, "runs", 5, "of each scene, in turn")
	f.DurationVar(&c.length, "length", 5*time.Second, "of each load")
	f.StringVar(&c.only, "only", "", "run the scenes whose name contains this")
	if err := parse(f, args); err != nil {
		return err
	}
	if *short {
		unlessGiven(f, map[string]string{"runs": "1", "length": "2s"})
	}
	if _, err := os.Stat(c.lycaon); err != nil {
		return fmt.Errorf("make build first: %w", err)
	}
	var err error
	if c.results, err = openResults(*out); err != nil {
		return err
	}
	defer c.results.file.Close()
	err = inFolder(*dir, func(dir string) error {
		c.dir = dir
		return (&scaling{c}).run(ctx)
	})
	return c.conclude(ctx, err, *page, *plots)
}

// scaling is a comparison of Lycaon with itself.
type scaling struct{ *comparison }

func (s *scaling) run(ctx context.Context) error {
	a, err := lookAround(ctx, s.comparison)
	if err != nil {
		return err
	}
	delete(a.Versions, "zookeeper")
	s.results.begin(a)
	return s.twice(func() error { return s.all(ctx) })
}

// all goes along every axis, run by run.
func (s *scaling) all(ctx context.Context) error {
	for run := 1; run <= s.runs; run++ {
		for _, along := range []struct {
			axis
			play func(ctx context.Context, n, run int) error
		}{{byServers, s.servers}, {byConnections, s.connections}, {byWatches, s.watches}, {byNodes, s.nodes}} {
			for _, n := range along.sizes {
				if err := errors.Join(along.play(ctx, n, run), ctx.Err()); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// stage raises servers for scenes if one of them is missing. What goes wrong on it
// is told in the results and ends this stage alone.
func (s *scaling) stage(ctx context.Context, servers, run int, scenes []string, play func(v *venue) error) error {
	if !slices.ContainsFunc(scenes, func(scene string) bool { return s.wanted(servers, scene, alone, run) }) {
		return nil
	}
	if s.plan(servers, scenes, alone, run) {
		return nil
	}
	raised, err := raise(ctx, lycaon{binary: s.lycaon}, s.room(), servers)
	if err != nil {
		return s.note(ctx, servers, scenes[0], alone, run, nil, err)
	}
	defer raised.end()
	v := &venue{ensemble: raised, spare: raised.slayAfter(ctx, bulkWithin)}
	defer v.spare()
	if v.leader, err = v.healthy(ctx); err == nil {
		err = prepare(v.members[v.leader].addr)
	}
	if err != nil {
		return s.note(ctx, servers, scenes[0], alone, run, nil, err)
	}
	err = safely(func() error { return play(v) })
	if err == nil || errors.Is(err, errTold) {
		return ctx.Err()
	}
	return s.fail(ctx, servers, scenes, alone, run, err)
}

// errTold ends a stage of which the results tell why.
var errTold = errors.New("the results tell it")

// cell measures one scene, even if it is there: what comes later stands on it.
func (s *scaling) cell(ctx context.Context, servers int, scene string, run int, measure func() (figures, error)) error {
	f, err := measure()
	if err == nil && !s.wanted(servers, scene, alone, run) {
		return nil
	}
	if noted := s.note(ctx, servers, scene, alone, run, f, err); noted != nil {
		return noted
	}
	if err != nil {
		return errTold
	}
	return nil
}

// load puts one kind of load on servers that have nothing left to do.
func (s *scaling) load(ctx context.Context, v *venue, run int, scene string, c crowd, w workload, f field) error {
	if !s.wanted(len(v.members), scene, alone, run) {
		return nil
	}
	return s.cell(ctx, len(v.members), scene, run, func() (figures, error) {
		if err := v.quiet(ctx); err != nil {
			return nil, err
		}
		return v.bear(ctx, c, w, f, s.length)
	})
}

// both reads and writes.
func (s *scaling) both(ctx context.Context, v *venue, run int, name func(load string) string, c crowd, f field) error {
	depth := max(1, inFlight/len(c))
	for _, w := range []workload{{name: readsScene, depth: depth}, {name: writesScene, depth: depth, writes: 100}} {
		if err := s.load(ctx, v, run, name(w.name), c, w, f); err != nil {
			return err
		}
	}
	return nil
}

// usual gives a stage the usual connections for as long as f runs.
func (s *scaling) usual(v *venue, f func(c crowd) error) error {
	c, err := gather(v.from(v.leader), usualConns)
	if err != nil {
		return err
	}
	defer c.disperse()
	return f(c)
}

// servers measures the usual loads on so many servers, which share the machine.
func (s *scaling) servers(ctx context.Context, n, run int) error {
	return s.stage(ctx, n, run, append(fixedScenes(n), readsScene, linearScene, writesScene, idleScene), func(v *venue) error {
		if err := s.idle(ctx, v, run); err != nil {
			return err
		}
		if err := s.fixed(ctx, v, run); err != nil {
			return err
		}
		return s.usual(v, func(c crowd) error {
			w := workload{depth: inFlight / usualConns, level: protocol.Linearizable}
			if err := s.load(ctx, v, run, linearScene, c, w, smallField); err != nil {
				return err
			}
			return s.both(ctx, v, run, func(load string) string { return load }, c, smallField)
		})
	})
}

// idle measures sessions that do nothing, and whether what lives in a server grows meanwhile.
func (s *scaling) idle(ctx context.Context, v *venue, run int) error {
	if !s.wanted(len(v.members), idleScene, alone, run) {
		return nil
	}
	return s.cell(ctx, len(v.members), idleScene, run, func() (figures, error) {
		if err := v.quiet(ctx); err != nil {
			return nil, err
		}
		return idle(ctx, v, entrants(binaries{lycaon: s.lycaon})[0], restFor, idleLong, func() (float64, error) { return v.live(ctx) })
	})
}

// connections measures many of them, with a session each.
func (s *scaling) connections(ctx context.Context, n, run int) error {
	name := func(load string) string { return byConnections.name(load, n) }
	scenes := []string{openScene(n), name(readsScene), name(writesScene)}
	single := []workload{{name: readsSingle, depth: 1}, {name: writesSingle, depth: 1, writes: 100}}
	if inFlight/n <= 1 { // it is so as it is
		single = nil
	}
	for _, w := range single {
		scenes = append(scenes, name(w.name))
	}
	return s.stage(ctx, 1, run, scenes, func(v *venue) error {
		var c crowd
		defer func() { c.disperse() }()
		err := s.cell(ctx, 1, openScene(n), run, func() (f figures, err error) {
			return v.held(ctx, n, func() error {
				c, err = gather(v.from(0), n)
				return err
			})
		})
		if err != nil {
			return err
		}
		for _, w := range single {
			if err := s.load(ctx, v, run, name(w.name), c, w, smallField); err != nil {
				return err
			}
		}
		return s.both(ctx, v, run, name, c, smallField)
	})
}

// held measures what it takes to make n things that stay: how many a second, and
// how much memory each keeps.
func (v *venue) held(ctx context.Context, n int, make func() error) (figures, error) {
	if err := v.quiet(ctx); err != nil {
		return nil, err
	}
	live, err := v.live(ctx)
	if err != nil {
		return nil, err
	}
	cpu, elapsed, err := spend(v.pids(), make)
	if err != nil {
		return nil, err
	}
	liveAfter, err := v.live(ctx)
	each := float64(n)
	f := figures{rate: each / elapsed.Seconds(), cpuPerK: cpu.Seconds() / each * 1000}
	f.weigh(liveAfter-live, n)
	return f, err
}

// weigh divides what the heap has grown by among n things.
func (f figures) weigh(grown float64, n int) {
	if grown >= enoughToWeigh {
		f[liveBytes] = grown / float64(n)
	}
}

// live is what the first server holds after a collection: its heap and the stacks. The
// page tells it of the moment before it is written, and so without what writing it takes.
func (v *venue) live(ctx context.Context) (float64, error) {
	text, err := page(ctx, v.members[0], "/debug/pprof/heap?debug=1&gc=1", time.Minute)
	if err != nil {
		return 0, err
	}
	var sum float64
	for _, name := range []string{"# HeapAlloc = ", "# Stack = "} {
		_, told, _ := strings.Cut(string(text), "\n"+name)
		var bytes float64
		if _, err := fmt.Sscan(told, &bytes); err != nil {
			return 0, fmt.Errorf("no %q in the heap's profile: %w", name, err)
		}
		sum += bytes
	}
	return sum, nil
}

// watches measures the usual loads beside watches on other nodes.
func (s *scaling) watches(ctx context.Context, n, run int) error {
	name := func(load string) string { return byWatches.name(load, n) }
	scenes := []string{name(readsScene), name(writesScene)}
	if n > 0 {
		scenes = append(scenes, watchScene(n))
	}
	return s.stage(ctx, 1, run, scenes, func(v *venue) error {
		c, err := gather(v.from(0), watchers)
		if err != nil {
			return err
		}
		defer c.disperse()
		if n > 0 {
			err = s.cell(ctx, 1, watchScene(n), run, func() (figures, error) {
				f, err := v.held(ctx, n, func() error { return c.watchEach(n) })
				if err != nil {
					return nil, err
				}
				told, err := counters(ctx, v.members[0])
				if set := told["lycaon_watches"]; err == nil && set != float64(n) {
					err = fmt.Errorf("the server holds %g watches", set)
				}
				return f, err
			})
		}
		if err != nil {
			return err
		}
		return s.usual(v, func(c crowd) error { return s.both(ctx, v, run, name, c, smallField) })
	})
}

// nodes measures a tree of so many, and how soon a server has it again.
func (s *scaling) nodes(ctx context.Context, n, run int) error {
	name := func(load string) string { return byNodes.name(load, n) }
	scenes := []string{createScene(n), name(readsScene), name(writesScene), restartScene(n)}
	cold := n >= million && canForget()
	slow := cold && canSlow(s.dir)
	if cold {
		scenes = append(scenes, coldScene(n))
	}
	if slow {
		scenes = append(scenes, slowScene(n))
	}
	if !slices.ContainsFunc(scenes, func(scene string) bool { return s.wanted(1, scene, alone, run) }) {
		return nil
	}
	if s.plan(1, scenes, alone, run) {
		return nil
	}
	if want, free := n*bytesANode+spareBytes, statusKiB(contents("/proc/meminfo"), "MemAvailable")<<10; free < want {
		return s.note(ctx, 1, scenes[0], alone, run, nil, fmt.Errorf("left out: %s nodes may want %.1f GiB of memory, and %.1f are free",
			thousands(n), float64(want)/(1<<30), float64(free)/(1<<30)))
	}
	return s.stage(ctx, 1, run, scenes, func(v *venue) error {
		err := s.cell(ctx, 1, createScene(n), run, func() (figures, error) {
			return v.makeWeighed(ctx, entrants(binaries{lycaon: s.lycaon})[0], n, 1)
		})
		if err != nil {
			return err
		}
		err = s.usual(v, func(c crowd) error { return s.both(ctx, v, run, name, c, leaves(n)) })
		if err != nil {
			return err
		}
		err = s.cell(ctx, 1, restartScene(n), run, func() (figures, error) {
			v.spare()
			return v.restart(ctx)
		})
		if err != nil || !cold {
			return err
		}
		err = s.cell(ctx, 1, coldScene(n), run, func() (figures, error) { return v.restartCold(ctx) })
		if err != nil || !slow {
			return err
		}
		return s.cell(ctx, 1, slowScene(n), run, func() (figures, error) { return v.restartSlow(ctx) })
	})
}
