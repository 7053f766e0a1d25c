package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

const profileHelp = `usage: go run . profile [flags]

Tells where the CPU of a server goes while it bears the main workloads: a server
alone, and the leader of three. It takes a profile of the CPU meanwhile, and counts.

`

// profiling is a run of it.
type profiling struct {
	binary string
	length time.Duration
	all    []profiled
}

// profiled is what was seen of one server under one workload.
type profiled struct {
	servers int
	scene   string
	result  result
	grown   map[string]float64
	where   where
	err     error
}

// profileScenes are the workloads: 32 connections with 32 requests in flight
// each, values of 1 KiB.
var profileScenes = []workload{
	{name: "writes", conns: 32, depth: 32, writes: 100},
	{name: "50 % reads", conns: 32, depth: 32, writes: 50},
	{name: "reads", conns: 32, depth: 32},
}

func playProfile(ctx context.Context, args []string) error {
	p := &profiling{}
	f := flagsOf("profile", profileHelp)
	f.StringVar(&p.binary, "lycaon", "../bin/lycaon", "the server's binary")
	f.DurationVar(&p.length, "length", 5*time.Second, "of each profile")
	dir := f.String("dir", "", "where the servers keep their data (default: a temporary folder)")
	servers := f.String("servers", "1,3", "how many; of several the leader is looked at")
	page := f.String("page", "", "the page whose marked part is written anew (default: print it)")
	if err := f.Parse(args); err != nil {
		return err
	}
	counts, err := numbers(*servers)
	if err != nil {
		return err
	}
	return inFolder(*dir, func(dir string) error {
		for _, n := range counts {
			if err := errors.Join(p.look(ctx, dir, n), ctx.Err()); err != nil {
				return err
			}
		}
		text := p.markdown(fmt.Sprintf("%s on %s, at %s, load %s.", says(ctx, p.binary, "--version"), machine(),
			time.Now().UTC().Format("2006-01-02 15:04 UTC"), loadAverage()))
		return writePart(*page, "bench profile", text)
	})
}

// look raises servers and puts each workload on them. One that fails does not
// end the rest.
func (p *profiling) look(ctx context.Context, dir string, servers int) error {
	raised, err := raise(ctx, lycaon{binary: p.binary, web: true}, dir, servers)
	if err != nil {
		return err
	}
	defer raised.end()
	v := &venue{ensemble: raised}
	e := entrants(binaries{lycaon: p.binary})[0]
	for _, w := range profileScenes {
		if v.leader, err = v.healthy(ctx); err != nil {
			return err
		}
		if err := v.prepare(e); err != nil {
			return err
		}
		if err := v.quiet(ctx); err != nil {
			return err
		}
		one := p.under(ctx, v, e, w)
		one.servers, one.scene = servers, w.name
		p.all = append(p.all, one)
		progressProfile(one)
	}
	return nil
}

// settling is how much longer than the profile the load lasts.
const settling = 500 * time.Millisecond

func (p *profiling) under(ctx context.Context, v *venue, e entrant, w workload) (one profiled) {
	leader := v.members[v.leader]
	before, err := counters(ctx, leader)
	if err != nil {
		return profiled{err: err}
	}
	type taken struct {
		raw []byte
		err error
	}
	profiles := make(chan taken, 1)
	one.result, one.err = underLoad(v.from(v.leader), []int{leader.process.pid()}, w, e.loader, func(l loader, i int, start time.Time) (tally, error) {
		if i == 0 {
			go func() {
				raw, err := page(ctx, leader, fmt.Sprintf("/debug/pprof/profile?seconds=%g", p.length.Seconds()), p.length)
				profiles <- taken{raw, err}
			}()
		}
		return l.closed(w, uint64(i), start.Add(p.length+settling))
	})
	if one.err != nil {
		return one
	}
	after, err := counters(ctx, leader)
	got := <-profiles
	if one.err = errors.Join(err, got.err); one.err != nil {
		return one
	}
	one.grown = growth(before, after)
	parsed, err := profile.ParseData(got.raw)
	if one.err = err; err == nil {
		one.where = divide(parsed)
	}
	return one
}

func progressProfile(one profiled) {
	if one.err != nil {
		fmt.Printf("%d x %s: FAILED: %v\n", one.servers, one.scene, one.err)
		return
	}
	fmt.Printf("%d x %s: %s/s, CPU %s s per 1,000\n", one.servers, one.scene, number(one.result.rate()), number(one.result.cpuPerK()))
}

// per is a figure of a profiled server for each so many operations.
type per struct {
	name string
	of   func(one *profiled) float64
}

// ofEach tells a counter for each so many operations.
func ofEach(name, counter string, operations float64) per {
	return per{name: name, of: func(one *profiled) float64 { return one.grown[counter] / float64(one.result.ops) * operations }}
}

var pers = []per{
	{name: "operations/s, all servers", of: func(one *profiled) float64 { return one.result.rate() }},
	{name: "CPU of this server, s per 1,000 operations", of: func(one *profiled) float64 { return one.result.cpuPerK() }},
	ofEach("durable writes per 1,000 operations", "lycaon_store_syncs_total", 1000),
	{name: "transactions in a batch", of: func(one *profiled) float64 {
		return quotient(one.grown["lycaon_batch_transactions_sum"], one.grown["lycaon_batch_transactions_count"])
	}},
	ofEach("calls that write to clients, per 1,000 operations", "lycaon_socket_writes_total", 1000),
	ofEach("times that a thread went to sleep, per 1,000 operations", sleeps, 1000),
	ofEach("objects allocated per operation", "go_memstats_mallocs_total", 1),
	ofEach("bytes allocated per operation", "go_memstats_alloc_bytes_total", 1),
	{name: "garbage collections/s", of: func(one *profiled) float64 {
		return one.grown["go_gc_duration_seconds_count"] / one.result.elapsed.Seconds()
	}},
	ofEach("page faults per 1,000 operations", pageFaults, 1000),
}

func quotient(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func (p *profiling) markdown(measuredOn string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s 32 connections with 32 requests in flight each, values of 1 KiB, profiles of %v. Three servers share the cores with each other and\n"+
		"with the load, and the leader serves a third of the clients. A moment counts for the innermost function that belongs to a group: copying and sorting count for\n"+
		"who calls them.\n\n", measuredOn, p.length)
	var good []profiled
	for _, one := range p.all {
		if one.err != nil {
			fmt.Fprintf(&b, "- %s, %s failed: %s\n\n", heading(one.servers), one.scene, strings.ReplaceAll(one.err.Error(), "\n", "; "))
			continue
		}
		good = append(good, one)
	}
	head := func(first string) {
		fmt.Fprintf(&b, "| %s |", first)
		for _, one := range good {
			fmt.Fprintf(&b, " %s, %s |", one.servedBy(), one.scene)
		}
		b.WriteString("\n|---|" + strings.Repeat("---|", len(good)) + "\n")
	}
	head("% of the CPU")
	for _, group := range groupOrder {
		fmt.Fprintf(&b, "| %s |", group)
		for _, one := range good {
			fmt.Fprintf(&b, " %.1f |", one.where.groups[group]*100)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	head("counted")
	for _, figure := range pers {
		fmt.Fprintf(&b, "| %s |", figure.name)
		for i := range good {
			fmt.Fprintf(&b, " %s |", number(figure.of(&good[i])))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n<details><summary>The functions in which most is spent</summary>\n\n")
	for _, one := range good {
		fmt.Fprintf(&b, "%s, %s:\n\n", one.servedBy(), one.scene)
		for _, f := range one.where.top {
			fmt.Fprintf(&b, "- %.1f %% `%s`\n", f.part*100, f.name)
		}
		b.WriteString("\n")
	}
	b.WriteString("</details>\n")
	return b.String()
}

func (one *profiled) servedBy() string {
	if one.servers == 1 {
		return "one server"
	}
	return fmt.Sprintf("leader of %d", one.servers)
}
