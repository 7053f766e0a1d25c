package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// fixedLoad is what clients ask for that do not wait for one another: requests at a
// fixed rate, far below what servers can do, so that hardly two come in one batch.
type fixedLoad struct {
	scene     string
	perSecond int
	writes    int // per cent
	conns     int
	servers   []int
}

// exampleLoad is that of the example by which a cluster is sized.
var exampleLoad = fixedLoad{"fixed rate, 15,000 reads/s and 1,500 writes/s", exampleReads + exampleWrites, 9, 1000, []int{3}}

var fixedLoads = []fixedLoad{
	{"fixed rate, 2,000 writes/s", 2000, 100, usualConns, byServers.sizes[:2]},
	{"fixed rate, 8,000 writes/s", 8000, 100, usualConns, byServers.sizes[:2]},
	exampleLoad,
}

// load is the scene without what all of them are called.
func (f *fixedLoad) load() string {
	_, load, _ := strings.Cut(f.scene, ", ")
	return load
}

// fixedScenes are those of so many servers.
func fixedScenes(servers int) (names []string) {
	for _, f := range fixedLoads {
		if slices.Contains(f.servers, servers) {
			names = append(names, f.scene)
		}
	}
	return names
}

// fixed measures loads at fixed rates.
func (s *scaling) fixed(ctx context.Context, v *venue, run int) error {
	for _, f := range fixedLoads {
		if !slices.Contains(f.servers, len(v.members)) || !s.wanted(len(v.members), f.scene, alone, run) {
			continue
		}
		if err := s.cell(ctx, len(v.members), f.scene, run, func() (figures, error) { return v.pace(ctx, f, s.length) }); err != nil {
			return err
		}
	}
	return nil
}

// pace bears a load at a fixed rate.
func (v *venue) pace(ctx context.Context, f fixedLoad, length time.Duration) (figures, error) {
	c, err := gather(v.from(v.leader), f.conns)
	if err != nil {
		return nil, err
	}
	defer c.disperse()
	if err := v.quiet(ctx); err != nil {
		return nil, err
	}
	before, err := v.cpuOfEach()
	if err != nil {
		return nil, err
	}
	w := workload{writes: f.writes}
	e, err := v.together(len(c), func(i int, start time.Time) (tally, error) {
		rng := rand.New(rand.NewPCG(2, uint64(i)))
		return pipeLoader{&scattered{conn: c[i], field: smallField, rng: rng}}.paced(w, uint64(i), share(start, start.Add(length), f.perSecond, len(c), i))
	})
	if err != nil {
		return nil, err
	}
	after, err := v.cpuOfEach()
	if err != nil {
		return nil, err
	}
	measured, err := v.figures(e.result(e.elapsed, e.cpu))
	if err == nil {
		measured[idlePercent], measured[busiestPercent] = shares(before, after, e.elapsed)
	}
	return measured, err
}

func (v *venue) cpuOfEach() (all []time.Duration, err error) {
	for _, pid := range v.pids() {
		used, err := cpuTime(pid)
		if err != nil {
			return nil, err
		}
		all = append(all, used)
	}
	return all, nil
}

// shares are what servers took of a core each, and what the busiest took, in per cent.
func shares(before, after []time.Duration, elapsed time.Duration) (mean, most float64) {
	for i := range before {
		one := (after[i] - before[i]).Seconds() / elapsed.Seconds() * 100
		mean, most = mean+one/float64(len(before)), max(most, one)
	}
	return mean, most
}

// tellFixed is a table of what such loads cost.
func (s *summary) tellFixed(b *strings.Builder) {
	columns := []scaleColumn{{head: "p50 ms", figure: p50Ms, unit: 1}, {head: "p99 ms", figure: p99Ms, unit: 1}, {head: "CPU us each", figure: cpuPerK, unit: micro},
		{head: "% of a core a server", figure: idlePercent, unit: 1}, {head: "the busiest", figure: busiestPercent, unit: 1}}
	var rows strings.Builder
	for _, f := range fixedLoads {
		for _, n := range f.servers {
			if _, ok := s.median(n, yardstick{f.scene, cpuPerK}, alone); !ok {
				continue
			}
			fmt.Fprintf(&rows, "| %s | %s | %d |", f.load(), thousands(f.conns), n)
			for _, c := range columns {
				v, _ := s.median(n, yardstick{f.scene, c.figure}, alone)
				fmt.Fprintf(&rows, " %s |", number(v/c.unit))
			}
			rows.WriteString("\n")
		}
	}
	if rows.Len() == 0 {
		return // of results that are older than the scenes
	}
	b.WriteString("### A fixed rate\n\nRequests that are sent when they are due, evenly, with values of 1 KiB: far below what a server can do, so a batch is of a few and a request pays for its system\n" +
		"calls, its sync and its wake-ups nearly alone. This is what most clusters live on: size them by it.\n\n| load | connections | servers |")
	for _, c := range columns {
		fmt.Fprintf(b, " %s |", c.head)
	}
	b.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(columns)) + "\n" + rows.String() + "\n")
	for _, l := range fixedLoads {
		for _, n := range l.servers {
			s.tellTail(b, n, l.scene, fmt.Sprintf("%s, %d server%s", l.load(), n, plural(n)))
		}
	}
	s.tellRates(b)
	b.WriteString("\n")
}

// tellRates judges what each costs at the higher of two rates.
func (s *summary) tellRates(b *strings.Builder) {
	low, high := &fixedLoads[0], &fixedLoads[1]
	for _, n := range low.servers {
		slow, known := s.median(n, yardstick{low.scene, cpuPerK}, alone)
		quick, measured := s.median(n, yardstick{high.scene, cpuPerK}, alone)
		if !known || !measured || slow <= 0 {
			continue
		}
		verdict, why := "No cliff", ""
		if quick > cliff*slow {
			verdict = "**Cliff**"
		} else if quick < slow {
			why = ", since more share a batch"
		}
		fmt.Fprintf(b, "- %s: on %d server%s each of %s costs %.2f x what each of %s does%s.\n", verdict, n, plural(n), high.load(), quick/slow, low.load(), why)
	}
}
