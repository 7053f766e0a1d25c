package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// goal is what Lycaon is to reach in one figure: a multiple of what a peer gave in
// the same runs, or a figure of its own.
type goal struct {
	servers       int
	scene, figure string

	times  float64  // of the better of these, ...
	of     []string // entrants
	beside string   // in this figure, if not in the same
	limit  float64  // ... or else this much

	worst bool // of all runs, where the others take the median
}

// itself stands for the very entrant that is judged.
const itself = ""

// grace is what the protocol of ZooKeeper may cost in throughput and CPU.
const grace = 0.2

var peerNames = map[string]string{"zookeeper": "ZooKeeper", "etcd": "etcd", "consul": "Consul"}

// goals are judged in this order.
func goals() []goal {
	var all []goal
	servers := 1
	times := func(scene, figure string, times float64, of ...string) {
		all = append(all, goal{servers: servers, scene: scene, figure: figure, times: times, of: of})
	}
	limit := func(scene, figure string, limit float64) {
		all = append(all, goal{servers: servers, scene: scene, figure: figure, limit: limit})
	}
	const zk, etcd = "zookeeper", "etcd"

	times("writes", rate, 2.2, zk)
	times("writes", cpuPerK, 0.5, zk)
	limit("writes", cpuPerK, 0.014)
	times("50 % reads", rate, 3, zk)
	limit("50 % reads", cpuPerK, 0.010)
	times("reads", rate, 3.5, zk)
	times("reads", cpuPerK, 0.25, zk)
	limit("reads", cpuPerK, 0.005)
	times("linearizable reads", rate, 5, zk, etcd)
	limit("linearizable reads", cpuPerK, 0.008)
	limit("one client, writes", p50Ms, 0.42)
	limit("one client, reads", p50Ms, 0.080)
	times("sessions", rate, 2.5, zk)
	limit("one change to 1,000 watchers", p50Ms, 12)
	times("listing of 10,000 children", rate, 2.5, zk)
	times(createScene(hundredThousand), rate, 3, zk)
	limit(batchScene(million), liveBytes, 400)
	limit(batchScene(million), nodeBytes, 700)
	limit(restartScene(hundredThousand), seconds, 0.6)
	limit(restartScene(million), seconds, 2.5)
	throughSnapshot := func() {
		all = append(all, goal{servers: servers, scene: snapshotScene, figure: p99Ms, times: 2, of: []string{itself}, beside: quietP99Ms})
	}
	throughSnapshot()
	limit(idleScene, idlePercent, 1)
	limit(startScene, p50Ms, 15)

	servers = 3
	times("writes", rate, 2.2, zk)
	times("writes", cpuPerK, 0.5, zk)
	limit("writes", cpuPerK, 0.040)
	times("50 % reads", rate, 3, zk)
	limit("50 % reads", cpuPerK, 0.025)
	times("reads", rate, 4.5, zk)
	times("reads", cpuPerK, 0.25, zk)
	limit("reads", cpuPerK, 0.006)
	times("linearizable reads", rate, 4, zk, etcd)
	limit("linearizable reads", cpuPerK, 0.015)
	limit("one client, writes", p50Ms, 1.2)
	limit("one client at a follower, writes", p50Ms, 1.8)
	limit("one client, reads", p50Ms, 0.080)
	times("sessions", rate, 3, zk)
	limit("one change to 1,000 watchers", p50Ms, 12)
	times("listing of 10,000 children", rate, 2.5, zk)
	times(createScene(hundredThousand), rate, 3, zk, etcd)
	throughSnapshot()
	limit(idleScene, idlePercent, 1)
	for _, f := range []struct {
		scene        string
		median, most float64
	}{{killScene, 0.40, 1.0}, {pauseScene, 0.9, 1.8}} {
		limit(f.scene, seconds, f.median)
		all = append(all, goal{servers: servers, scene: f.scene, figure: seconds, limit: f.most, worst: true})
	}
	return all
}

func (g *goal) yardstick() yardstick { return yardstick{g.scene, g.figure} }

// graced tells whether the goal counts through the protocol of ZooKeeper too.
func (g *goal) graced() bool { return g.figure == rate || g.figure == cpuPerK }

// units of figures whose name does not say them.
var units = map[string]string{cpuPerK: " s", p50Ms: " ms", p99Ms: " ms", seconds: " s", idlePercent: " %", nodeBytes: " bytes", liveBytes: " bytes"}

func (g *goal) words() string {
	bound := "at least "
	if g.yardstick().lower() {
		bound = "at most "
	}
	if g.times == 0 {
		return bound + number(g.limit) + units[g.figure]
	}
	return fmt.Sprintf("%s%g x %s", bound, g.times, g.standard())
}

// standard is what the goal is a multiple of.
func (g *goal) standard() string {
	switch {
	case g.times == 0:
		return "the goal"
	case g.beside != "":
		return "what it is without"
	case len(g.of) == 1:
		return peerNames[g.of[0]]
	}
	var names []string
	for _, e := range g.of {
		names = append(names, peerNames[e])
	}
	return "the better of " + strings.Join(names, " and ")
}

// value is what an entrant gave in the figure of the goal.
func (g *goal) value(s *summary, entrant string) (float64, bool) {
	if v, ok := s.spreads[g.servers][g.scene][entrant][g.figure]; ok && g.worst {
		return v.Max, true
	}
	return s.median(g.servers, g.yardstick(), entrant)
}

// measure is what the goal's multiple is taken of: the best of the peers, all of
// which must have been measured.
func (g *goal) measure(s *summary, entrant string) (float64, bool) {
	if g.times == 0 {
		return g.limit, true
	}
	y := g.yardstick()
	if g.beside != "" {
		y.figure = g.beside
	}
	var all []float64
	for _, e := range g.of {
		if e == itself {
			e = entrant
		}
		v, ok := s.median(g.servers, y, e)
		if !ok {
			return 0, false
		}
		all = append(all, v)
	}
	if y.lower() {
		return slices.Min(all), true
	}
	return slices.Max(all), true
}

// verdict is how an entrant stands to a goal.
type verdict struct {
	known    bool
	value    float64
	multiple float64 // of what the goal stands beside
	met      bool
}

func (g *goal) judge(s *summary, entrant string, grace float64) verdict {
	v, ok := g.value(s, entrant)
	standard, comparable := g.measure(s, entrant)
	if !ok || !comparable || standard <= 0 {
		return verdict{value: v}
	}
	wanted := cmp.Or(g.times, 1)
	d := verdict{known: true, value: v, multiple: v / standard}
	if g.yardstick().lower() {
		d.met = d.multiple <= wanted*(1+grace)
	} else {
		d.met = d.multiple >= wanted*(1-grace)
	}
	return d
}

func (d verdict) text() string {
	switch {
	case !d.known:
		return "not measured"
	case d.met:
		return "met"
	}
	return "**not met**"
}

// judged is the entrant that a goal is judged by: the minimal client; where it takes
// no part the Go client.
func (s *summary) judged(g *goal) string {
	if len(s.spreads[g.servers][g.scene][native]) == 0 {
		return throughGo
	}
	return native
}

// tellGoals is the table of the goals and what was measured of them.
func (s *summary) tellGoals(b *strings.Builder) {
	var rows strings.Builder
	servers := 0
	var own, through score
	for _, g := range goals() {
		if g.servers != servers {
			servers = g.servers
			fmt.Fprintf(&rows, "| **%s** | | | | | | | | | | |\n", heading(servers))
		}
		d := g.judge(s, s.judged(&g), 0)
		own.add(d)
		t := verdict{}
		if g.graced() {
			t = g.judge(s, throughZK, grace)
			through.add(t)
		}
		g.row(&rows, s, d, t)
	}
	fmt.Fprintf(b, "### Goals\n\n**%d of %d goals are met**, through the protocol of ZooKeeper %d of %d", own.met, own.known, through.met, through.known)
	if own.unknown > 0 {
		fmt.Fprintf(b, "; %d more were not measured", own.unknown)
	}
	fmt.Fprintf(b, ".\n\nA goal is a multiple of what a peer gave in the same runs, or a figure of its own, which was set on one machine and is judged on any as it is\n"+
		"written. Medians of the runs, unless it says the worst. In the scenes of a killed or paused leader Lycaon is its Go client. *Idle* is what each server takes, not the cluster. Through the protocol of ZooKeeper, by the very\n"+
		"program that loads ZooKeeper, the goals of throughput and CPU hold with %g %% grace; its other figures are told and not judged.\n\n", grace*100)
	b.WriteString("| | goal | floor | ZooKeeper | etcd | Lycaon | which is | | as ZooKeeper | which is | |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	b.WriteString(rows.String())
	b.WriteString("\n")
}

// score counts verdicts.
type score struct{ met, known, unknown int }

func (c *score) add(d verdict) {
	switch {
	case !d.known:
		c.unknown++
	case d.met:
		c.met++
		fallthrough
	default:
		c.known++
	}
}

func (g *goal) row(b *strings.Builder, s *summary, d, through verdict) {
	label := g.scene + ", " + figureNames[g.figure]
	if g.worst {
		label += ", the worst"
	}
	fmt.Fprintf(b, "| %s | %s |", label, g.words())
	for _, e := range []string{floorName, "zookeeper", "etcd", s.judged(g)} {
		text := ""
		if v, ok := g.value(s, e); ok {
			text = number(v)
		}
		fmt.Fprintf(b, " %s |", text)
	}
	fmt.Fprintf(b, " %s | %s |", g.multipleText(d), d.text())
	if v, ok := g.value(s, throughZK); !through.known && ok && s.judged(g) != throughZK {
		fmt.Fprintf(b, " %s | | |\n", number(v)) // no goal, but measured
		return
	}
	if !through.known {
		b.WriteString(" | | |\n")
		return
	}
	fmt.Fprintf(b, " %s | %s | %s |\n", number(through.value), g.multipleText(through), through.text())
}

func (g *goal) multipleText(d verdict) string {
	if !d.known {
		return ""
	}
	if len(g.of) > 1 {
		return fmt.Sprintf("%.2f x the better", d.multiple)
	}
	return fmt.Sprintf("%.2f x %s", d.multiple, g.standard())
}
