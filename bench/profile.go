package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

const profileHelp = `usage: go run . profile [flags]

Tells where the CPU of a server goes while it bears the main workloads, or any scene
of the comparison: a server alone, the leader of three and a follower. It takes a
profile of the CPU meanwhile, and counts; then, under the same load again, profiles of
what is allocated and waited for, and counts system calls by perf, if there is one.
Of all scenes those are shorter that are not among the main ones; beside them it looks
at servers that get a million nodes, take a snapshot, start, and lose their leader.

`

// profiling is a run of it.
type profiling struct {
	binary string
	length time.Duration
	acts   []act
	every  bool // all of them, and what is none
	all    []profiled

	compiler string             // the file that it optimizes by; empty: none is made
	cpu      []*profile.Profile // for it
}

// profiled is what was seen of one server in one scene.
type profiled struct {
	servers int
	follows bool // of several, and no leader
	scene   string
	rate    float64 // operations/s, all servers; 0 if there are none
	elapsed time.Duration
	cpu     time.Duration      // of this server
	grown   map[string]float64 // its counters, meanwhile
	raw     *profile.Profile   // of the CPU; where is made of it
	where   where
	again   again
	err     error
}

// operations are those of all servers. Where there are none a second stands for 1,000.
func (one *profiled) operations() float64 {
	if one.rate == 0 {
		return 1000 * one.elapsed.Seconds()
	}
	return one.rate * one.elapsed.Seconds()
}

// mainScenes are profiled unless others are named.
const mainScenes = "writes;50 % reads;reads"

func playProfile(ctx context.Context, args []string) error {
	p := &profiling{}
	f := flagsOf("profile", profileHelp)
	f.StringVar(&p.binary, "lycaon", "../bin/lycaon", "the server's binary")
	f.DurationVar(&p.length, "length", 5*time.Second, "of each profile of the CPU, made up to whole seconds: a server takes no others")
	dir := f.String("dir", "", "where the servers keep their data (default: a temporary folder)")
	servers := f.String("servers", "1,3", "how many; of several the leader and a follower are looked at")
	f.StringVar(&p.compiler, "pgo", "", "write the profiles of the CPU, merged, to this file for the compiler (go build -pgo)")
	scenes := f.String("scenes", mainScenes, "those of the comparison, separated by semicolons, or all, and what is no scene")
	page := f.String("page", "", "the page whose marked part is written anew (default: print it)")
	folder := f.String("details", "", "the folder for profile.md, with the system calls, who allocates and who waits, and profile-all.md, of all scenes (default: print them)")
	if err := parse(f, args); err != nil {
		return err
	}
	if p.length <= 0 {
		return fmt.Errorf("-length %v: want more than 0", p.length)
	}
	p.length, p.every = wholeSeconds(p.length), *scenes == "all"
	counts, err := numbers(*servers)
	if err != nil {
		return err
	}
	if p.acts, err = actsNamed(*scenes); err != nil {
		return err
	}
	return inFolder(*dir, func(dir string) error {
		for _, n := range counts {
			if err := errors.Join(p.look(ctx, dir, n), ctx.Err()); err != nil {
				return err
			}
		}
		on := fmt.Sprintf("%s, commit %s, on %s, at %s, load %s.", says(ctx, p.binary, "--version"), says(ctx, "git", "describe", "--always", "--dirty"), machine(),
			time.Now().UTC().Format("2006-01-02 15:04 UTC"), loadAverage())
		if err := p.forCompiler(); err != nil {
			return err
		}
		err := errors.Join(writePart(*page, "bench profile", p.markdown(on)), writePage(*folder, profileFile, p.details(on)))
		if p.every {
			err = errors.Join(err, writePage(*folder, everyFile, p.everything(on)))
		}
		return err
	})
}

// forCompiler writes what go build -pgo reads: one profile of all scenes. It names
// functions and lines and nothing of this machine.
func (p *profiling) forCompiler() error {
	if p.compiler == "" {
		return nil
	}
	merged, err := profile.Merge(p.cpu)
	if err != nil {
		return fmt.Errorf("profiles of %d scenes: %w", len(p.cpu), err)
	}
	merged.Comments = nil
	for _, m := range merged.Mapping {
		m.File, m.BuildID = "lycaon", ""
	}
	file, err := os.Create(p.compiler)
	if err != nil {
		return err
	}
	return errors.Join(merged.Write(file), file.Close())
}

// wholeSeconds makes a length up to them.
func wholeSeconds(length time.Duration) time.Duration {
	return (length + time.Second - 1).Truncate(time.Second)
}

// actsNamed are those of a list; all puts the server under some load.
func actsNamed(names string) ([]act, error) {
	loads := slices.DeleteFunc(acts(), func(a act) bool { return a.ours })
	if names == "all" {
		return loads, nil
	}
	var chosen []act
	for name := range strings.SplitSeq(names, ";") {
		i := slices.IndexFunc(loads, func(a act) bool { return a.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no scene %q to profile", name)
		}
		chosen = append(chosen, loads[i])
	}
	return chosen, nil
}

// look raises servers and plays each scene on them. One that fails does not end
// the rest.
func (p *profiling) look(ctx context.Context, dir string, servers int) error {
	raised, err := raise(ctx, lycaon{binary: p.binary}, dir, servers)
	if err != nil {
		return err
	}
	defer raised.end()
	v := &venue{ensemble: raised}
	e := entrants(binaries{lycaon: p.binary})[0]
	for _, a := range p.acts {
		if a.followed && servers == 1 {
			continue
		}
		if v.leader, err = v.healthy(ctx); err != nil {
			return err
		}
		if err := v.prepare(e); err != nil {
			return err
		}
		if err := v.quiet(ctx); err != nil {
			return err
		}
		length, second := p.lengths(a)
		spare := v.slayAfter(ctx, length+second+actWithin)
		p.note(servers, a.name, p.under(ctx, v, e, a))
		spare()
	}
	if p.every {
		return p.chores(ctx, v, e)
	}
	return nil
}

// note keeps what was seen of the servers in a scene: of the leader, and of a follower.
func (p *profiling) note(servers int, scene string, seen []profiled) {
	for i, one := range seen {
		one.servers, one.scene, one.follows = servers, scene, i > 0
		if one.raw != nil {
			p.cpu = append(p.cpu, one.raw)
		}
		p.all = append(p.all, one)
		progressProfile(one)
	}
}

const (
	settling = 500 * time.Millisecond // how much longer than the look at it the load lasts

	secondLook = 3 * time.Second // by what costs something itself
	briefly    = 3 * time.Second // of scenes that are not among the main ones, if all are looked at
	briefAgain = 2 * time.Second
	idleTimes  = 4 // as long: a sample is 10 ms of CPU
)

// lengths are those of both looks.
func (p *profiling) lengths(a act) (first, second time.Duration) {
	switch {
	case a.name == idleScene:
		return idleTimes * p.length, secondLook
	case p.every && !slices.Contains(strings.Split(mainScenes, ";"), a.name):
		return min(p.length, briefly), briefAgain
	}
	return p.length, secondLook
}

// lookedAt are the servers that are looked at: who leads, and the next one.
func (v *venue) lookedAt() []*member {
	if len(v.members) == 1 {
		return v.members
	}
	return []*member{v.members[v.leader], v.members[(v.leader+1)%len(v.members)]}
}

// beside looks at each of the servers from the beginning of a load on, which lasts
// until all have been looked at.
func (v *venue) beside(seen []*member, look func(i int, m *member) error, load func() (figures, error)) (figures, error) {
	var begun bool
	looked := make(chan error, 1)
	v.looker = func() { looked <- eachOf(len(seen), func(i int) error { return look(i, seen[i]) }) }
	f, err := load()
	begun, v.looker = v.looker == nil, nil
	if begun {
		err = errors.Join(err, <-looked)
	}
	return f, err
}

func (p *profiling) under(ctx context.Context, v *venue, e entrant, a act) []profiled {
	seen := v.lookedAt()
	all := make([]profiled, len(seen))
	length, second := p.lengths(a)
	load, err := v.beside(seen, func(i int, m *member) error {
		all[i] = lookAt(ctx, m, length)
		return all[i].err
	}, func() (figures, error) { return a.play(v, e, length+settling) })
	rateAll(all, len(v.members), a, load)
	if err == nil {
		load, err = v.beside(seen, func(i int, m *member) (err error) {
			all[i].again, err = lookAgain(ctx, m, second)
			return err
		}, func() (figures, error) { return a.play(v, e, second+settling) })
	}
	for i := range all {
		all[i].err = errors.Join(all[i].err, err)
		all[i].again.forEach(all[i].rate, a, load)
	}
	return all
}

// lookAt looks at a server for a length of time.
func lookAt(ctx context.Context, m *member, length time.Duration) (one profiled) {
	before, err := counters(ctx, m)
	if err != nil {
		return profiled{err: err}
	}
	cpu, err := cpuTime(m.process.pid())
	if err != nil {
		return profiled{err: err}
	}
	begin := time.Now()
	raw := <-fetch(ctx, m, "/debug/pprof/profile", length)
	one.elapsed = time.Since(begin)
	if one.err = raw.err; one.err != nil {
		return one
	}
	if one.cpu, one.err = cpuTime(m.process.pid()); one.err != nil {
		return one
	}
	one.cpu -= cpu
	after, err := counters(ctx, m)
	one.raw, one.grown, one.where, one.err = raw.profile, growth(before, after), divide(raw.profile), err
	return one
}

// rateAll tells how much was done. Watchers are told of pieces of news, of which the load
// knows only how soon the last one came: of those the servers' own count is taken, that of
// the follower for each one.
func rateAll(all []profiled, servers int, a act, load figures) {
	told := func(one *profiled) float64 {
		return quotient(one.grown["lycaon_messages_sent_total"], one.elapsed.Seconds())
	}
	news := told(&all[0])
	if servers > 1 {
		news += told(&all[1]) * float64(servers-1)
	}
	for i := range all {
		all[i].rate = load[rate]
		if a.news() {
			all[i].rate = news
		}
	}
}

// news tells whether the operations of an act are pieces of news.
func (a *act) news() bool { return strings.HasPrefix(a.name, "one change to ") }

// forEach divides system calls a second by 1,000 operations a second of the load that
// they were counted under.
func (l *again) forEach(first float64, a act, load figures) {
	each := load[rate]
	if a.news() {
		each = first
	}
	if each == 0 {
		return
	}
	for name := range l.calls {
		l.calls[name] *= 1000 / each
	}
}

func progressProfile(one profiled) {
	if one.err != nil {
		fmt.Printf("%s, %s: FAILED: %v\n", one.servedBy(), one.scene, one.err)
		return
	}
	fmt.Printf("%s, %s: %s/s, CPU %s s per 1,000\n", one.servedBy(), one.scene, number(one.rate), number(one.cpuPerK()))
}

// cpuPerK is the CPU of this server for 1,000 operations of all.
func (one *profiled) cpuPerK() float64 { return quotient(one.cpu.Seconds(), one.operations()) * 1000 }

// per is a figure of a profiled server for each so many operations.
type per struct {
	name string
	of   func(one *profiled) float64
}

// ofEach tells a counter for each so many operations.
func ofEach(name, counter string, operations float64) per {
	return per{name: name, of: func(one *profiled) float64 { return quotient(one.grown[counter], one.operations()) * operations }}
}

var pers = []per{
	{name: "operations/s, all servers", of: func(one *profiled) float64 { return one.rate }},
	{name: "CPU of this server, s per 1,000 operations", of: (*profiled).cpuPerK},
	ofEach("durable writes per 1,000 operations", syncsTotal, 1000),
	{name: "transactions in a batch", of: func(one *profiled) float64 {
		return quotient(one.grown["lycaon_batch_transactions_sum"], one.grown["lycaon_batch_transactions_count"])
	}},
	ofEach("calls that write to clients, per 1,000 operations", "lycaon_socket_writes_total", 1000),
	ofEach("times that a thread went to sleep, per 1,000 operations", sleeps, 1000),
	ofEach("objects allocated per operation", "go_memstats_mallocs_total", 1),
	ofEach("bytes allocated per operation", "go_memstats_alloc_bytes_total", 1),
	{name: "garbage collections/s", of: func(one *profiled) float64 {
		return one.grown["go_gc_duration_seconds_count"] / one.elapsed.Seconds()
	}},
	ofEach("page faults per 1,000 operations", pageFaults, 1000),
}

func quotient(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// markdown is where the CPU goes, in groups, and what was counted.
func (p *profiling) markdown(measuredOn string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s 32 connections with 32 requests in flight each, values of 1 KiB, profiles of %v. Three servers share the cores with each other and\n"+
		"with the load, and the leader serves a third of the clients. A moment counts for the innermost function that belongs to a group: copying and sorting count for\n"+
		"who calls them.\n\n", measuredOn, p.length)
	p.tellFailed(&b)
	good := p.main()
	profileHead(&b, "% of the CPU", good)
	for _, group := range groupOrder {
		fmt.Fprintf(&b, "| %s |", group)
		for _, one := range good {
			fmt.Fprintf(&b, " %.1f |", one.where.groups[group]*100)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	profileHead(&b, "counted", good)
	for _, figure := range pers {
		fmt.Fprintf(&b, "| %s |", figure.name)
		for i := range good {
			fmt.Fprintf(&b, " %s |", number(figure.of(&good[i])))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// profileFile is the page of details.
const profileFile = "profile.md"

func (p *profiling) details(measuredOn string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# A server under load, in detail\n\nMade by `make bench-profile`, with the tables of [where the CPU goes](../PERFORMANCE.md#where-the-cpu-goes), of the same servers under the same load. %s\n", measuredOn)
	good := p.main()
	tellCalls(&b, good)
	tellAllocated(&b, good)
	tellCopied(&b, good)
	tellWaits(&b, good)
	b.WriteString("## The functions in which most is spent\n\n")
	for _, one := range good {
		fmt.Fprintf(&b, "%s, %s:\n\n", one.servedBy(), one.scene)
		listParts(&b, one.where.top)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// good are those that did not fail.
func (p *profiling) good() []profiled {
	return slices.DeleteFunc(slices.Clone(p.all), func(one profiled) bool { return one.err != nil })
}

// main are the good ones that stand in the page itself: of every scene the main ones, without followers.
func (p *profiling) main() []profiled {
	return slices.DeleteFunc(p.good(), func(one profiled) bool {
		return p.every && (one.follows || !slices.Contains(strings.Split(mainScenes, ";"), one.scene))
	})
}

func (p *profiling) tellFailed(b *strings.Builder) {
	for _, one := range p.all {
		if one.err != nil {
			fmt.Fprintf(b, "- %s, %s failed: %s\n\n", one.servedBy(), one.scene, strings.ReplaceAll(one.err.Error(), "\n", "; "))
		}
	}
}

// profileHead is the head of a table with one for each.
func profileHead(b *strings.Builder, first string, all []profiled) {
	fmt.Fprintf(b, "| %s |", first)
	for _, one := range all {
		fmt.Fprintf(b, " %s, %s |", one.servedBy(), one.scene)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(all)) + "\n")
}

func (one *profiled) servedBy() string {
	switch {
	case one.servers == 1:
		return "one server"
	case one.follows:
		return fmt.Sprintf("follower of %d", one.servers)
	}
	return fmt.Sprintf("leader of %d", one.servers)
}
