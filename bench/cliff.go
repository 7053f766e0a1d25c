package main

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// cliff is how many times as much an operation may cost at the next size of an axis,
	// which is tenfold at most, and by how much the rate may fall.
	cliff = 2
	// tail is how many times its p50 the p99 of a load may be before it is told.
	tail = 20
)

// cliffRule says how scale is judged.
const cliffRule = "**Whether there is a cliff** is judged by a rule, the same for all tables: from one size to the next, tenfold at most, the CPU and the memory of each (idle: of a server) may\n" +
	"at most double, and the rate at most halve. All servers share this machine, and each does every write and has to confirm linearizable reads, so with more\n" +
	"servers their CPU together may rise as their number does besides, and the rate fall so; that of reads, which one server does, may not. Steps in which the requests in flight on each connection differ are\n" +
	"not judged, nor is a rate with *. A p99 of more than 20 times its p50 is told.\n\n"

// step is from one size to the next.
type step struct {
	column   *scaleColumn
	from, to int
	times    float64 // as much at the second one, of what is bad: CPU, memory, time a piece
	most     float64 // that is no cliff
}

func (p *step) cliff() bool { return p.times > p.most }

func (p *step) text() string {
	name := p.column.head
	if p.column.load != "" && p.column.figure != rate {
		name = p.column.load + ", " + name
	}
	if p.column.figure == rate {
		name += " falls"
	}
	return fmt.Sprintf("%s %.2f x from %s to %s", name, p.times, thousands(p.from), thousands(p.to))
}

// costs tells whether less of a figure is better, and whether it is judged at all.
func (c *scaleColumn) costs() (lower, judged bool) {
	switch c.figure {
	case rate:
		return false, true
	case cpuPerK, idlePercent, liveBytes, nodeBytes, firstMiB, rssMiB:
		return true, true
	}
	return false, false
}

// steps are all that are judged in a table, and how many were left out since the
// requests in flight on a connection differ.
func (s *summary) steps(t *scaleTable) (all []step, unlike int) {
	for i := range t.columns {
		c := &t.columns[i]
		lower, judged := c.costs()
		if !judged {
			continue
		}
		for j := range len(t.sizes) - 1 {
			from, to := t.sizes[j], t.sizes[j+1]
			times, ok := s.times(t, c.scene, c.figure, from, to)
			switch {
			case !ok, !lower && s.loadIsLimit(t.servers(to), c.scene(to)):
				continue
			case c.load != "" && t.depth != nil && t.depth(from) != t.depth(to):
				unlike++
				continue
			}
			p := step{column: c, from: from, to: to, times: times, most: cliff}
			if !lower {
				p.times = 1 / times
			}
			if t.what == "" && c.load != "" && c.load != readsScene { // the work of all of them
				p.most *= float64(to) / float64(from)
			}
			all = append(all, p)
		}
	}
	return all, unlike
}

// times is how many times as much a figure is at one size as at another.
func (s *summary) times(t *scaleTable, scene func(n int) string, figure string, from, to int) (float64, bool) {
	a, known := s.median(t.servers(from), yardstick{scene(from), figure}, alone)
	b, measured := s.median(t.servers(to), yardstick{scene(to), figure}, alone)
	return b / a, known && measured && a > 0 && b > 0
}

// tellVerdict says whether there is a cliff, and what the figures have to do with it.
func (s *summary) tellVerdict(b *strings.Builder, t *scaleTable) {
	all, unlike := s.steps(t)
	s.tellTails(b, t)
	if len(all) > 0 {
		tellCliffs(b, all)
	}
	if unlike > 0 {
		fmt.Fprintf(b, "- Not judged: %s from one size to the next between which the requests in flight on a connection differ.%s\n", count(unlike, "no figure", "one figure", "%d figures"), s.likeText())
	}
	s.tellStarred(b, t)
	if t.why != "" && s.bears(t) {
		fmt.Fprintf(b, "- Why: %s\n", t.why)
	}
}

// likeText says why those hide no cliff, if the figures bear it: with one request in flight on
// each connection at all sizes there is none.
func (s *summary) likeText() string {
	var told []string
	for i := range scaleTables {
		t := &scaleTables[i]
		if t.title != singlyTitle {
			continue
		}
		all, _ := s.steps(t)
		if len(all) == 0 || slices.ContainsFunc(all, func(p step) bool { return p.cliff() }) {
			return ""
		}
		for _, p := range all {
			if p.column.figure == cpuPerK && p.from == 100 {
				told = append(told, fmt.Sprintf("%s %.2f x", p.column.load, p.times))
			}
		}
	}
	if len(told) == 0 {
		return ""
	}
	return " They hide none: with one request in flight on each at all sizes (the next table) the CPU from 100 to 1,000 is, of " + strings.Join(told, ", of ") + "."
}

// tellStarred says why rates that are not judged for their * hide no cliff, if the
// figures bear it: what each costs in CPU is judged in the same steps.
func (s *summary) tellStarred(b *strings.Builder, t *scaleTable) {
	starred, most := 0, 0.0
	for i := range t.columns {
		c := &t.columns[i]
		if c.figure != rate || c.load == "" {
			continue
		}
		cpu := *c
		cpu.figure = cpuPerK
		for j := range len(t.sizes) - 1 {
			from, to := t.sizes[j], t.sizes[j+1]
			if !s.loadIsLimit(t.servers(to), c.scene(to)) || t.depth != nil && t.depth(from) != t.depth(to) {
				continue
			}
			times, ok := s.times(t, cpu.scene, cpu.figure, from, to)
			if !ok {
				continue
			}
			starred, most = starred+1, max(most, times)
		}
	}
	if starred > 0 && most <= cliff {
		fmt.Fprintf(b, "- Rates not judged for their *: %d. They hide none: the CPU of each, which is judged there, is at most %.2f x.\n", starred, most)
	}
}

// tellCliffs tells each step that is one, or the step that comes nearest to it.
func tellCliffs(b *strings.Builder, all []step) {
	found := false
	for _, p := range all {
		if p.cliff() {
			found = true
			fmt.Fprintf(b, "- **Cliff**: %s, of which %.3g x is allowed.\n", p.text(), p.most)
		}
	}
	if !found {
		worst := slices.MaxFunc(all, func(p, q step) int {
			if p.times/p.most < q.times/q.most {
				return -1
			}
			return 1
		})
		fmt.Fprintf(b, "- No cliff in the %d step%s judged; the nearest to one: %s, of which %.3g x is allowed.\n", len(all), plural(len(all)), worst.text(), worst.most)
	}
}

// tellTails tells of requests of which one in a hundred takes very much longer than most.
func (s *summary) tellTails(b *strings.Builder, t *scaleTable) {
	for i := range t.columns {
		c := &t.columns[i]
		if c.figure != p99Ms {
			continue
		}
		for _, n := range t.sizes {
			s.tellTail(b, t.servers(n), c.scene(n), fmt.Sprintf("%s, %s", c.load, sizeLabel(t.axis, n)))
		}
	}
}

func (s *summary) tellTail(b *strings.Builder, servers int, scene, label string) {
	p50, _ := s.median(servers, yardstick{scene, p50Ms}, alone)
	p99, _ := s.median(servers, yardstick{scene, p99Ms}, alone)
	if p50 > 0 && p99 > tail*p50 {
		fmt.Fprintf(b, "- **A long tail**: %s: p99 %s ms, %.0f x its p50.\n", label, number(p99), p99/p50)
	}
}

// claim is what has to be so for an explanation to be told: how many times as much a
// figure is at one size as at another.
type claim struct {
	scene       func(n int) string
	figure      string
	from, to    int
	least, most float64 // 0: no bound
}

// bears tells whether the figures are those that are explained.
func (s *summary) bears(t *scaleTable) bool {
	return !slices.ContainsFunc(t.claims, func(c claim) bool {
		times, ok := s.times(t, c.scene, c.figure, c.from, c.to)
		return !ok || times < c.least || c.most > 0 && times > c.most
	})
}

// costing claims something of the CPU of a load along an axis.
func (a axis) costing(load string, from, to int, least, most float64) claim {
	return claim{func(n int) string { return a.name(load, n) }, cpuPerK, from, to, least, most}
}
