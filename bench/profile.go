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
of the comparison: a server alone, and the leader of three. It takes a profile of the
CPU meanwhile, and counts; then, under the same load again, profiles of what is
allocated and waited for, and counts system calls by perf, if there is one.

`

// profiling is a run of it.
type profiling struct {
	binary string
	length time.Duration
	acts   []act
	all    []profiled

	compiler string             // the file that it optimizes by; empty: none is made
	cpu      []*profile.Profile // for it
}

// profiled is what was seen of one server in one scene.
type profiled struct {
	servers int
	scene   string
	rate    float64 // operations/s, all servers
	elapsed time.Duration
	cpu     time.Duration      // of this server
	grown   map[string]float64 // its counters, meanwhile
	raw     *profile.Profile   // of the CPU; where is made of it
	where   where
	again   again
	err     error
}

// operations are those of all servers.
func (one *profiled) operations() float64 { return one.rate * one.elapsed.Seconds() }

// mainScenes are profiled unless others are named.
const mainScenes = "writes;50 % reads;reads"

func playProfile(ctx context.Context, args []string) error {
	p := &profiling{}
	f := flagsOf("profile", profileHelp)
	f.StringVar(&p.binary, "lycaon", "../bin/lycaon", "the server's binary")
	f.DurationVar(&p.length, "length", 5*time.Second, "of each profile of the CPU, made up to whole seconds: a server takes no others")
	dir := f.String("dir", "", "where the servers keep their data (default: a temporary folder)")
	servers := f.String("servers", "1,3", "how many; of several the leader is looked at")
	f.StringVar(&p.compiler, "pgo", "", "write the profiles of the CPU, merged, to this file for the compiler (go build -pgo)")
	scenes := f.String("scenes", mainScenes, "those of the comparison, separated by semicolons, or all")
	page := f.String("page", "", "the page whose marked part is written anew (default: print it)")
	folder := f.String("details", "", "the folder for profile.md, with the system calls, who allocates and who waits (default: print it)")
	if err := f.Parse(args); err != nil {
		return err
	}
	if p.length <= 0 {
		return fmt.Errorf("-length %v: want more than 0", p.length)
	}
	p.length = wholeSeconds(p.length)
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
		return errors.Join(writePart(*page, "bench profile", p.markdown(on)), writePage(*folder, profileFile, p.details(on)))
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
		spare := v.slayAfter(ctx, p.length+actWithin)
		one := p.under(ctx, v, e, a)
		if one.raw != nil {
			p.cpu = append(p.cpu, one.raw)
		}
		spare()
		one.servers, one.scene = servers, a.name
		p.all = append(p.all, one)
		progressProfile(one)
	}
	return nil
}

// settling is how much longer than the profile the load lasts.
const settling = 500 * time.Millisecond

func (p *profiling) under(ctx context.Context, v *venue, e entrant, a act) (one profiled) {
	leader := v.members[v.leader]
	before, err := counters(ctx, leader)
	if err != nil {
		return profiled{err: err}
	}
	cpu, err := cpuTime(leader.process.pid())
	if err != nil {
		return profiled{err: err}
	}
	profiles := fetch(ctx, leader, "/debug/pprof/profile", p.length)
	// Of the load alone: to sort what was measured takes this program a tenth as long again.
	one.elapsed = p.length + settling
	load, err := a.play(v, e, one.elapsed)
	raw := <-profiles
	if one.err = errors.Join(err, raw.err); one.err != nil {
		return one
	}
	after, err := counters(ctx, leader)
	if one.err = err; err != nil {
		return one
	}
	if one.cpu, one.err = cpuTime(leader.process.pid()); one.err != nil {
		return one
	}
	one.cpu -= cpu
	one.raw, one.rate, one.grown, one.where = raw.profile, load[rate], growth(before, after), divide(raw.profile)
	one.again, one.err = lookAgain(ctx, v, e, a)
	return one
}

func progressProfile(one profiled) {
	if one.err != nil {
		fmt.Printf("%d x %s: FAILED: %v\n", one.servers, one.scene, one.err)
		return
	}
	fmt.Printf("%d x %s: %s/s, CPU %s s per 1,000\n", one.servers, one.scene, number(one.rate), number(one.cpuPerK()))
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
	for _, one := range p.all {
		if one.err != nil {
			fmt.Fprintf(&b, "- %s, %s failed: %s\n\n", heading(one.servers), one.scene, strings.ReplaceAll(one.err.Error(), "\n", "; "))
		}
	}
	good := p.good()
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
	good := p.good()
	tellCalls(&b, good)
	tellAllocated(&b, good)
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

// profileHead is the head of a table with one for each.
func profileHead(b *strings.Builder, first string, all []profiled) {
	fmt.Fprintf(b, "| %s |", first)
	for _, one := range all {
		fmt.Fprintf(b, " %s, %s |", one.servedBy(), one.scene)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(all)) + "\n")
}

func (one *profiled) servedBy() string {
	if one.servers == 1 {
		return "one server"
	}
	return fmt.Sprintf("leader of %d", one.servers)
}
