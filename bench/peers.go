package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	killScene  = "leader killed with -9, to the next write"
	pauseScene = "leader paused with SIGSTOP, to the next write"
)

// struck are the faults of the comparison, and the scenes they are told as.
var struck = map[string]string{"kill": killScene, "stop": pauseScene}

// strikeWithin is what a strike may take with all that comes before and after it.
const strikeWithin = 100 * time.Second

var errStrike = fmt.Errorf("not over within %v", strikeWithin)

// comparison is a run over all scenes and entrants.
type comparison struct {
	dir string
	binaries
	servers  []int
	runs     int
	bulkRuns int
	millions []int // the numbers of servers on which a million nodes are created
	length   time.Duration
	only     string
	names    string
	results  *results
	raised   int              // servers, so far
	down     map[string]error // why so many servers of a system do not come up

	forgets  bool // the machine can be made to forget what it has of files in memory
	planning bool // cells are gone through, not measured
	outlook  outlook
}

const peersHelp = `usage: go run . peers [flags]

Runs every scene on Lycaon, ZooKeeper and etcd in turn, and adds what it gave to a
file of results. What is there already is not run again, so a run that was ended
goes on where it was. The report is made from the file: go run . report FILE

`

func playPeers(ctx context.Context, args []string) error {
	c := &comparison{down: map[string]error{}}
	f := flagsOf("peers", peersHelp)
	page := f.String("page", "", "the page whose marked part is written anew afterwards")
	plots := f.String("plots", "", "the folder for the plots and a copy of all results")
	out := f.String("out", peersFile, "the file of results, a JSON value a line")
	dir := f.String("dir", "", "where the servers keep their data (default: a temporary folder)")
	short := f.Bool("short", false, "1 run of 2 s, a million nodes on one server alone, if no other flag says otherwise")
	servers := f.String("servers", "1,3", "how many of each")
	millions := f.String("millions", "1,3", "on how many servers a million nodes are created")
	f.StringVar(&c.lycaon, "lycaon", "../bin/lycaon", "the server's binary")
	f.StringVar(&c.consul, "consul", "", "a binary of Consul, which is compared too then")
	f.IntVar(&c.runs, "runs", 5, "of each scene, in turn")
	f.IntVar(&c.bulkRuns, "bulk-runs", 5, "of the scenes with 100,000 nodes and more")
	f.DurationVar(&c.length, "length", 5*time.Second, "of one run")
	f.StringVar(&c.only, "only", "", "run the scenes whose name contains this")
	f.StringVar(&c.names, "entrants", "", "run these alone, separated by semicolons")
	if err := parse(f, args); err != nil {
		return err
	}
	if *short {
		unlessGiven(f, map[string]string{"runs": "1", "bulk-runs": "1", "length": "2s", "millions": "1"})
	}
	var err error
	if c.servers, err = numbers(*servers); err != nil {
		return err
	}
	if c.millions, err = numbers(*millions); err != nil {
		return err
	}
	if c.results, err = openResults(*out); err != nil {
		return err
	}
	defer c.results.file.Close()
	err = inFolder(*dir, func(dir string) error {
		c.dir = dir
		return c.run(ctx)
	})
	return c.conclude(ctx, err, *page, *plots)
}

// conclude makes the report, of a run that was ended early too: it says itself how
// many runs there were.
func (c *comparison) conclude(ctx context.Context, err error, page, plots string) error {
	if ctx.Err() != nil {
		fmt.Fprintf(os.Stderr, "ended early: what was measured is in %s, and the same command goes on from there\n", c.results.file.Name())
	}
	if page == "" || err != nil && ctx.Err() == nil || len(c.results.Cells) == 0 {
		return err
	}
	return errors.Join(err, c.results.report(page, plots))
}

// numbers reads a comma-separated list, which may be empty.
func numbers(list string) ([]int, error) {
	var all []int
	for text := range strings.SplitSeq(list, ",") {
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q: want numbers of servers, separated by commas", list)
		}
		all = append(all, n)
	}
	return all, nil
}

func (c *comparison) run(ctx context.Context) error {
	if err := c.requirements(); err != nil {
		return err
	}
	a, err := lookAround(ctx, c)
	if err != nil {
		return err
	}
	c.results.begin(a)
	if c.forgets = canForget(); !c.forgets {
		fmt.Fprintln(os.Stderr, "no start without data in the page cache: to drop that takes root, and a machine or container that lets it")
	}
	return c.twice(func() error { return c.all(ctx) })
}

func (c *comparison) all(ctx context.Context) error {
	for run := 1; run <= max(c.runs, c.bulkRuns); run++ {
		if err := c.once(ctx, run); err != nil {
			return err
		}
	}
	return nil
}

// twice goes through all cells without measuring them, to know what is ahead, and
// then measures them.
func (c *comparison) twice(through func() error) error {
	c.planning, c.outlook = true, outlook{length: c.length}
	if err := through(); err != nil {
		return err
	}
	c.planning = false
	if len(c.outlook.ahead) == 0 {
		fmt.Fprintf(os.Stderr, "nothing to measure: %s has it all, or no scene has that name\n", c.results.file.Name())
	}
	c.outlook.begin(time.Now())
	return through()
}

// plan tells whether cells are only gone through now, and notes them if so.
func (c *comparison) plan(servers int, scenes []string, entrant string, run int) bool {
	if !c.planning {
		return false
	}
	for _, scene := range scenes {
		if c.wanted(servers, scene, entrant, run) {
			c.outlook.ahead = append(c.outlook.ahead, cellKey{servers, scene, entrant, run})
		}
	}
	return true
}

// note keeps what a cell gave. One that failed because the run was ended is none.
func (c *comparison) note(ctx context.Context, servers int, scene, entrant string, run int, f figures, failed error) error {
	if failed != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	measured := newCell(servers, scene, entrant, run, f, failed)
	if err := c.results.add(measured); err != nil {
		return err
	}
	c.outlook.done(measured.key(), time.Now())
	tellCell(&measured, c.outlook.end())
	return ctx.Err()
}

// guarded plays scenes whose failures are in the results; a panic is one more.
func (c *comparison) guarded(ctx context.Context, servers int, scenes []string, entrant string, run int, play func() error) error {
	err := safely(play)
	if errors.Is(err, errPanicked) {
		return c.fail(ctx, servers, scenes, entrant, run, err)
	}
	return err
}

// fail notes why scenes were not played to their end, in the first that is missing.
func (c *comparison) fail(ctx context.Context, servers int, scenes []string, entrant string, run int, why error) error {
	for _, scene := range scenes {
		if c.wanted(servers, scene, entrant, run) {
			return c.note(ctx, servers, scene, entrant, run, nil, why)
		}
	}
	return ctx.Err()
}

// once is one run of everything, on servers of its own.
func (c *comparison) once(ctx context.Context, run int) error {
	if run <= c.runs {
		for _, n := range c.servers {
			if err := c.small(ctx, n, run); err != nil {
				return err
			}
		}
		if err := c.faults(ctx, run); err != nil {
			return err
		}
	}
	if run > c.bulkRuns {
		return nil
	}
	for _, count := range []int{hundredThousand, million} {
		for _, n := range c.servers {
			if err := c.many(ctx, n, count, run); err != nil {
				return err
			}
		}
	}
	return nil
}

// wanted tells whether a cell was asked for and is not there yet.
func (c *comparison) wanted(servers int, scene, entrant string, run int) bool {
	return strings.Contains(scene, c.only) && !c.results.has(servers, scene, entrant, run)
}

// entrants are those that were asked for and can be so many servers.
func (c *comparison) entrants(servers int) ([]entrant, error) {
	all, err := entrantsNamed(entrants(c.binaries), c.names)
	return slices.DeleteFunc(all, func(e entrant) bool { return e.name == floorName && servers > 1 }), err
}

// small plays the acts, each on all entrants in turn, so that a drift of the
// machine hits all alike. All servers run all the time, idle but for one kind.
func (c *comparison) small(ctx context.Context, servers, run int) error {
	all, err := c.entrants(servers)
	if err != nil {
		return err
	}
	type scene struct {
		act
		by []entrant
	}
	var scenes []scene
	systems, first := map[string]system{}, map[string]entrant{} // who comes first on those servers
	for _, a := range acts() {
		by := slices.DeleteFunc(inTurn(all, run), func(e entrant) bool {
			return a.followed && servers == 1 || a.leaves(e) || !c.wanted(servers, a.name, e.name, run)
		})
		scenes = append(scenes, scene{a, by})
		for _, e := range by {
			if name := e.system.name(); systems[name] == nil {
				systems[name], first[name] = e.system, e
			}
		}
	}
	venues := c.open(ctx, systems, first, servers)
	defer func() { endAll(venues) }()
	for _, s := range scenes {
		if s.name == idleScene {
			if err := c.idleTogether(ctx, venues, servers, s.by, run); err != nil {
				return err
			}
			continue
		}
		for _, e := range s.by {
			if err := c.guarded(ctx, servers, []string{s.name}, e.name, run, func() error {
				return c.perform(ctx, venues, servers, s.act, e, run)
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// open starts the servers of several systems and has each prepared by the entrant that
// comes first on them: one after the other, while others have not come up yet. What goes
// wrong with that is told when a scene is to be played on them.
func (c *comparison) open(ctx context.Context, systems map[string]system, first map[string]entrant, servers int) map[string]*venue {
	venues := map[string]*venue{} // by system
	c.raiseAll(ctx, systems, servers, func(name string, raised *ensemble) {
		v := &venue{ensemble: raised}
		venues[name] = v
		defer v.slayAfter(ctx, actWithin)()
		if err := v.begin(ctx, first[name]); err != nil {
			fmt.Fprintf(os.Stderr, "%d of %s are prepared again before their first scene: %v\n", servers, name, err)
		}
	})
	return venues
}

// inTurn gives each run an order of its own: another one begins, and whoever comes
// behind another finds the machine as that one has left it, so hardly anybody comes
// behind the same one again (a Latin square after Williams).
func inTurn[E any](all []E, run int) []E {
	turns := make([]E, len(all))
	for i := range turns {
		step := (i + 1) / 2 // to either side of the first by turns
		if i%2 == 0 {
			step = len(all) - step
		}
		turns[i] = all[(run-1+step)%len(all)]
	}
	return turns
}

// raiseAll starts several kinds of servers at once and tells of each that is up, one after the other. Those
// that do not come up are left out: they are started again, alone, when something is to be played on them.
func (c *comparison) raiseAll(ctx context.Context, systems map[string]system, servers int, up func(name string, raised *ensemble)) {
	if c.planning {
		return
	}
	var wg sync.WaitGroup
	var one sync.Mutex // who tells
	for name, s := range systems {
		room := c.room()
		wg.Go(func() {
			safely(func() error {
				raised, err := raise(ctx, s, room, servers)
				if err != nil {
					return err
				}
				one.Lock()
				defer one.Unlock()
				up(name, raised)
				return nil
			})
		})
	}
	wg.Wait()
}

// ensembles are those of raiseAll.
func (c *comparison) ensembles(ctx context.Context, systems map[string]system, servers int) map[string]*ensemble {
	all := map[string]*ensemble{}
	c.raiseAll(ctx, systems, servers, func(name string, raised *ensemble) { all[name] = raised })
	return all
}

// raiseAgain starts servers alone that did not come up beside the others, or broke.
// So many that do not come up this time either are not waited for again.
func (c *comparison) raiseAgain(ctx context.Context, s system, servers int) (*ensemble, error) {
	key := fmt.Sprintf("%d of %s", servers, s.name())
	if err := c.down[key]; err != nil {
		return nil, err
	}
	raised, err := raise(ctx, s, c.room(), servers)
	if err != nil {
		c.down[key] = err
	}
	return raised, err
}

// endAll ends several kinds of servers at once.
func endAll[E interface{ end() }](all map[string]E) {
	var wg sync.WaitGroup
	for _, e := range all {
		wg.Go(e.end)
	}
	wg.Wait()
}

// room is a new folder for the data of servers.
func (c *comparison) room() string {
	c.raised++
	return filepath.Join(c.dir, fmt.Sprint(c.raised))
}

func (c *comparison) perform(ctx context.Context, venues map[string]*venue, servers int, a act, e entrant, run int) error {
	if c.plan(servers, []string{a.name}, e.name, run) {
		return nil
	}
	v, err := c.venue(ctx, venues, e.system, servers)
	if err != nil {
		return c.note(ctx, servers, a.name, e.name, run, nil, err)
	}
	if err := settle(ctx, venues); err != nil {
		return err
	}
	f, err := v.play(ctx, a, e, c.length)
	if err != nil {
		giveUp(venues, v)
	}
	return c.note(ctx, servers, a.name, e.name, run, f, err)
}

// venue is that of a system, raised again if it is not there any more.
func (c *comparison) venue(ctx context.Context, venues map[string]*venue, s system, servers int) (*venue, error) {
	if v := venues[s.name()]; v != nil {
		return v, nil
	}
	raised, err := c.raiseAgain(ctx, s, servers)
	if err != nil {
		return nil, err
	}
	v := &venue{ensemble: raised}
	venues[s.name()] = v
	return v, nil
}

// giveUp ends servers that are broken: nothing more is to be learnt of them.
func giveUp(venues map[string]*venue, v *venue) {
	v.end()
	delete(venues, v.system.name())
}

// leftOut says who is not asked for so many nodes: clients of the same servers
// that add nothing; and of a million Consul, which takes too long, and the floor.
func leftOut(entrant string, count int) bool {
	return entrant == throughGo || count == million && slices.Contains([]string{throughZK, "consul", floorName}, entrant)
}

// many plays the scenes of many nodes, each entrant on servers of its own: whatever came
// later would be measured with them.
func (c *comparison) many(ctx context.Context, servers, count, run int) error {
	if count == million && !slices.Contains(c.millions, servers) {
		return nil
	}
	all, err := c.entrants(servers)
	if err != nil {
		return err
	}
	systems := map[string]system{} // by entrant
	by := slices.DeleteFunc(inTurn(all, run), func(e entrant) bool {
		return leftOut(e.name, count) || !slices.ContainsFunc(c.bulkScenes(e, count), func(scene string) bool { return c.wanted(servers, scene, e.name, run) })
	})
	memory := statusKiB(contents("/proc/meminfo"), "MemTotal")
	for i, e := range by {
		by[i].system = roomy(e.system, servers, count, memory)
		systems[e.name] = by[i].system
	}
	raised := c.ensembles(ctx, systems, servers)
	defer func() { endAll(raised) }()
	for _, e := range by {
		scenes := c.bulkScenes(e, count)
		if err := c.guarded(ctx, servers, scenes, e.name, run, func() error {
			return c.bulk(ctx, raised[e.name], servers, count, run, e)
		}); err != nil {
			return err
		}
	}
	return nil
}

// asZooKeeper is servers of Lycaon whose clients are those of ZooKeeper.
type asZooKeeper struct{ lycaon }

func (asZooKeeper) name() string { return throughZK }

func (asZooKeeper) open(ctx context.Context, addrs []string) (session, error) {
	return openZK(ctx, addrs)
}

// faults strikes the leaders of three servers each.
func (c *comparison) faults(ctx context.Context, run int) error {
	if !slices.Contains(c.servers, 3) {
		return nil
	}
	chosen, err := c.entrants(3)
	if err != nil {
		return err
	}
	type turn struct {
		fault
		scene string
		entrant
	}
	var turns []turn
	systems := map[string]system{}
	for _, f := range faults {
		scene, played := struck[f.name]
		for _, e := range inTurn(chosen, run) {
			if !played || e.name == native || !c.wanted(3, scene, e.name, run) { // a bare client finds no other server
				continue
			}
			turns = append(turns, turn{f, scene, e})
			systems[e.name] = c.striking(e)
		}
	}
	ensembles := c.ensembles(ctx, systems, 3)
	defer func() { endAll(ensembles) }()
	for _, t := range turns {
		if err := c.guarded(ctx, 3, []string{t.scene}, t.entrant.name, run, func() error {
			return c.strike(ctx, ensembles, t.fault, t.scene, t.entrant, run)
		}); err != nil {
			return err
		}
	}
	return nil
}

// striking is the system of an entrant with the client that writes while it is struck.
func (c *comparison) striking(e entrant) system {
	if e.name == throughZK {
		return asZooKeeper{lycaon{binary: c.lycaon}}
	}
	return e.system
}

func (c *comparison) strike(ctx context.Context, ensembles map[string]*ensemble, f fault, scene string, e entrant, run int) (err error) {
	if c.plan(3, []string{scene}, e.name, run) {
		return nil
	}
	if ensembles[e.name] == nil {
		raised, err := c.raiseAgain(ctx, c.striking(e), 3)
		if err != nil {
			return c.note(ctx, 3, scene, e.name, run, nil, err)
		}
		ensembles[e.name] = raised
	}
	bounded, cancel := context.WithTimeoutCause(ctx, strikeWithin, errStrike)
	defer cancel()
	t, err := ensembles[e.name].try(bounded, f)
	for tries := 1; errors.Is(err, errMoved) && tries < 5; tries++ { // by itself, as on a machine with too much to do
		t, err = ensembles[e.name].try(bounded, f)
	}
	if err != nil { // of servers that are broken nothing more is to be learnt
		ensembles[e.name].end()
		delete(ensembles, e.name)
	}
	if bounded.Err() != nil {
		err = errors.Join(context.Cause(bounded), err)
	}
	return c.note(ctx, 3, scene, e.name, run, struckFigures(t), err)
}

func struckFigures(t trial) figures {
	f := figures{seconds: t.Views["any"].RecoveredS}
	for _, name := range []string{"at the leader", "of all"} {
		if v, seen := t.Views[name]; seen {
			f[leaderS], f[refusals] = v.RecoveredS, float64(v.Failed)
		}
	}
	return f
}

// requirements builds etcd and says what is missing.
func (c *comparison) requirements() error {
	if _, err := os.Stat(c.lycaon); err != nil {
		return fmt.Errorf("make build first: %w", err)
	}
	chosen, err := entrantsNamed(entrants(c.binaries), c.names)
	if err != nil {
		return err
	}
	for _, e := range chosen {
		switch e.system.(type) {
		case zookeeper:
			_, err = os.Stat(zookeeperJar)
		case etcd:
			c.etcd, err = buildEtcd(c.dir)
		}
		if err != nil {
			return fmt.Errorf("%s: %w (make bench-peers installs what is missing)", e.name, err)
		}
	}
	return nil
}
