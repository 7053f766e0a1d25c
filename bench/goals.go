package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// goal is what Lycaon is to reach in one figure: a multiple of what a peer gave in
// the same runs, or a figure of its own.
type goal struct {
	servers       int
	scene, figure string

	times  float64 // of this ...
	of     string  // entrant
	beside string  // in this figure, if not in the same
	limit  float64 // ... or else this much

	worst bool // of all runs, where the others take the median
	added bool // beyond the first list of goals
}

// itself stands for the very entrant that is judged.
const itself = ""

var peerNames = map[string]string{"zookeeper": "ZooKeeper", "etcd": "etcd", "consul": "Consul"}

// goals are judged in this order.
func goals() []goal {
	var all []goal
	servers := 1
	times := func(scene, figure string, times float64, of string) {
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
	times("linearizable reads", rate, 5, zk)
	times("linearizable reads", rate, 5, etcd)
	limit("linearizable reads", cpuPerK, 0.008)
	limit("one client, writes", p50Ms, 0.42)
	limit("one client, reads", p50Ms, 0.080)
	times("sessions", rate, 2.5, zk)
	times("sessions", cpuPerK, 0.5, zk)
	all[len(all)-1].added = true
	limit("one change to 1,000 watchers", p50Ms, 12)
	times("listing of 10,000 children", rate, 2.5, zk)
	times(createScene(hundredThousand), rate, 3, zk)
	limit(batchScene(million), liveBytes, 400)
	limit(batchScene(million), nodeBytes, 700)
	limit(restartScene(hundredThousand), seconds, 0.6)
	limit(restartScene(million), seconds, 2.5)
	throughSnapshot := func() {
		all = append(all, goal{servers: servers, scene: snapshotScene, figure: p99Ms, times: 2, of: itself, beside: quietP99Ms})
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
	times("linearizable reads", rate, 4, zk)
	times("linearizable reads", rate, 4, etcd)
	limit("linearizable reads", cpuPerK, 0.015)
	limit("one client, writes", p50Ms, 1.2)
	limit("one client at a follower, writes", p50Ms, 1.8)
	limit("one client, reads", p50Ms, 0.080)
	times("sessions", rate, 3, zk)
	times("sessions", cpuPerK, 0.5, zk)
	all[len(all)-1].added = true
	limit("one change to 1,000 watchers", p50Ms, 12)
	times("listing of 10,000 children", rate, 2.5, zk)
	times(createScene(hundredThousand), rate, 3, zk)
	times(createScene(hundredThousand), rate, 3, etcd)
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

// throughToo tells whether the goal counts through the protocol of ZooKeeper too: in
// throughput, in CPU and in what idle sessions take, and not beside etcd, which another
// client loads.
func (g *goal) throughToo() bool {
	return (g.figure == rate || g.figure == cpuPerK || g.figure == idlePercent) && g.of != "etcd"
}

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
	}
	return peerNames[g.of]
}

// value is what an entrant gave in the figure of the goal.
func (g *goal) value(s *summary, entrant string) (float64, bool) {
	if v, ok := s.spreads[g.servers][g.scene][entrant][g.figure]; ok && g.worst {
		return v.Max, true
	}
	return s.median(g.servers, g.yardstick(), entrant)
}

// measure is what the goal's multiple is taken of.
func (g *goal) measure(s *summary, entrant string) (float64, bool) {
	if g.times == 0 {
		return g.limit, true
	}
	of, figure := g.stands(entrant)
	return s.median(g.servers, yardstick{g.scene, figure}, of)
}

// stands says beside whom an entrant stands, in which figure.
func (g *goal) stands(entrant string) (of, figure string) {
	return cmp.Or(g.of, entrant), cmp.Or(g.beside, g.figure)
}

// verdict is how an entrant stands to a goal.
type verdict struct {
	known    bool
	value    float64
	multiple float64 // of what the goal stands beside
	met      bool    // by the median
	runs     int     // that were judged each by itself, and those that failed
	good     int     // runs that met it
	failed   int     // runs that gave nothing
}

func (g *goal) judge(s *summary, entrant string) verdict {
	v, ok := g.value(s, entrant)
	played := cellKey{g.servers, g.scene, entrant, 0}
	failed := s.failures[played]
	if failed > 0 && s.runs[played] == 0 {
		return verdict{known: true, runs: failed, failed: failed}
	}
	standard, comparable := g.measure(s, entrant)
	if !ok || !comparable || standard <= 0 {
		return verdict{value: v}
	}
	d := verdict{known: true, value: v, multiple: v / standard, met: g.meets(v / standard), failed: failed}
	if !g.worst { // of which there is one
		d.runs, d.good = g.byRun(s, entrant)
		d.runs += failed
	} else if d.met && failed > 0 { // all that gave something are within their worst
		d.good = s.runs[played]
		d.runs = d.good + failed
	}
	return d
}

func (g *goal) meets(multiple float64) bool {
	if g.yardstick().lower() {
		return multiple <= cmp.Or(g.times, 1)
	}
	return multiple >= cmp.Or(g.times, 1)
}

// byRun judges each run beside the same run of who it is compared with, which was
// played within a minute of it.
func (g *goal) byRun(s *summary, entrant string) (runs, good int) {
	of, figure := g.stands(entrant)
	for k, given := range s.ofRun {
		if k.like() != (cellKey{g.servers, g.scene, entrant, 0}) {
			continue
		}
		v, ok := given[g.figure]
		standard, comparable := g.limit, true
		if g.times != 0 {
			k.entrant = of
			standard, comparable = s.ofRun[k][figure]
		}
		if !ok || !comparable || standard <= 0 {
			continue
		}
		if runs++; g.meets(v / standard) {
			good++
		}
	}
	return runs, good
}

// atTheLine tells whether the median meets the goal and not every run does.
func (d *verdict) atTheLine() bool { return d.known && d.met && d.good < d.runs }

// gaveNothing tells that every run failed.
func (d *verdict) gaveNothing() bool { return d.failed > 0 && d.failed == d.runs }

func (d *verdict) text() string {
	failed := ""
	if d.failed > 0 {
		failed = fmt.Sprintf(", %d failed", d.failed)
	}
	switch {
	case !d.known:
		return "not measured"
	case d.atTheLine():
		return fmt.Sprintf("at the line: %d of %d runs", d.good, d.runs) + failed
	case d.met:
		return "met"
	case d.good > 0:
		return fmt.Sprintf("**not met**, though in %d of %d runs", d.good, d.runs) + failed
	}
	return "**not met**" + failed
}

// judged is the entrant that a goal is judged by: the minimal client, beside etcd and
// where that takes no part the Go client.
func (s *summary) judged(g *goal) string {
	if g.of == "etcd" || !s.tookPart(g.servers, g.scene, native) {
		return s.besideGo(g.servers, g.scene)
	}
	return native
}

// goalsMarkdown is the table of the goals and what was measured of them.
func (s *summary) goalsMarkdown() string {
	var b, rows strings.Builder
	servers := 0
	var own, through score
	for _, g := range goals() {
		if g.servers != servers {
			servers = g.servers
			fmt.Fprintf(&rows, "| **%s** | | | | | | | | | | | |\n", heading(servers))
		}
		d := g.judge(s, s.judged(&g))
		own.add(d)
		t := verdict{}
		if g.throughToo() {
			t = g.judge(s, throughZK)
			through.add(t)
		}
		g.row(&rows, s, d, t)
	}
	byGo, missed := s.byGoClient()
	fmt.Fprintf(&b, "**Of %d goals %d are met in every run, %d by the median but not in every run, %d are not met.", own.known(), own.met, own.line, own.missed)
	if byGo.known() > 0 {
		fmt.Fprintf(&b, " By Lycaon's full Go client, of %d: %d, %d, %d** (those that a minimal one is judged by;\n"+
			"ZooKeeper's side is a minimal client here too, and the full one takes more of the same cores).", byGo.known(), byGo.met, byGo.line, byGo.missed)
	} else {
		b.WriteString("**")
	}
	if own.unknown > 0 {
		fmt.Fprintf(&b, " Not measured: %d.", own.unknown)
	}
	fmt.Fprintf(&b, "\nLoaded as ZooKeeper is, Lycaon meets %d of the %d goals of throughput, CPU and idle sessions that do not name etcd; %d are at the line, %d not met.\n\n",
		through.met, through.known(), through.line, through.missed)
	if missed != "" {
		b.WriteString(missed + "\n")
	}
	b.WriteString("A goal is a multiple of what a peer gave in the same runs, or a figure of its own, which was set on one machine and is judged on any as it is written. The figures are medians of the\n" +
		"runs, unless it says the worst; beside Lycaon's stands the least and the most of them. *At the line* is a goal that\n" +
		"the median meets and not every run does. Lycaon stands beside etcd by its Go client, where that takes part. No goal is set for the latency at a fixed\n" +
		"rate, which is what most clusters live on: how Lycaon stands in it is in [the tables](#beside-zookeeper-etcd-and-consul), and where it is behind [in short](#in-short).\n" +
		"Goals with + were added beyond the first list. *No cliff* is a goal too, and has no row: it is judged by another run, of Lycaon alone ([how it scales](#how-it-scales)).\n\n")
	s.tellIdle(&b)
	b.WriteString("| | goal | floor | ZooKeeper | etcd | Lycaon | least to most | which is | | as ZooKeeper | which is | |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	b.WriteString(rows.String())
	return b.String()
}

// byGoClient judges the full Go client by the goals that the minimal one is judged by,
// and lists those that it does not meet.
func (s *summary) byGoClient() (c score, list string) {
	var missed strings.Builder
	for _, g := range goals() {
		if s.judged(&g) != native {
			continue
		}
		d := g.judge(s, throughGo)
		c.add(d)
		if d.gaveNothing() {
			fmt.Fprintf(&missed, "- %d server%s, %s: %s\n", g.servers, plural(g.servers), g.yardstick().label(), d.text())
		} else if d.known && d.text() != "met" {
			fmt.Fprintf(&missed, "- %d server%s, %s: %s, %s, where the goal is %s: %s\n", g.servers, plural(g.servers), g.yardstick().label(), number(d.value), g.multipleText(d), g.words(), d.text())
		}
	}
	return c, missed.String()
}

// idlePrice is what idle sessions are cheap for (front/doze.go).
const idlePrice = "It has a price: a server answers the pings of connections at rest up to 250 ms late, to wake up once for many (`lookEvery` in `server/front/limits.go`)."

// tellIdle says what all servers together take for idle sessions, which the goal is not of.
func (s *summary) tellIdle(b *strings.Builder) {
	var told []string
	for _, n := range s.serverCounts() {
		var sums []string
		for _, e := range []string{native, throughZK, "zookeeper", "etcd"} {
			if v, ok := s.median(n, yardstick{idleScene, idlePercent}, e); ok && n > 1 {
				sums = append(sums, fmt.Sprintf("%s %s", e, number(v*float64(n))))
			}
		}
		if len(sums) > 0 {
			told = append(told, fmt.Sprintf("; all %d servers together take, in %% of a core: %s", n, strings.Join(sums, ", ")))
		}
	}
	if len(told) > 0 {
		fmt.Fprintf(b, "*Idle* is what each server takes, and so is its goal%s. %s\n\n", strings.Join(told, ""), idlePrice)
	}
}

// score counts verdicts.
type score struct{ met, line, missed, unknown int }

func (c *score) known() int { return c.met + c.line + c.missed }

func (c *score) add(d verdict) {
	switch {
	case !d.known:
		c.unknown++
	case d.atTheLine():
		c.line++
	case d.met:
		c.met++
	default:
		c.missed++
	}
}

func (g *goal) row(b *strings.Builder, s *summary, d, through verdict) {
	label := g.scene + ", " + figureNames[g.figure]
	if g.worst {
		label += ", the worst"
	}
	if g.added {
		label += " +"
	}
	fmt.Fprintf(b, "| %s | %s |", label, g.words())
	judged := s.judged(g)
	for _, e := range []string{floorName, "zookeeper", "etcd", judged} {
		text := ""
		if v, ok := g.value(s, e); ok {
			text = number(v)
		}
		if e == throughGo && text != "" {
			text += " (Go client)"
		}
		fmt.Fprintf(b, " %s |", text)
	}
	fmt.Fprintf(b, " %s | %s | %s |", g.span(s, judged), g.multipleText(d), d.text())
	switch v, ok := g.value(s, throughZK); {
	case through.known && !ok:
		fmt.Fprintf(b, " | | %s |\n", through.text())
	case through.known:
		fmt.Fprintf(b, " %s | %s | %s |\n", number(v), g.multipleText(through), through.text())
	case ok: // no goal, but measured
		fmt.Fprintf(b, " %s | | |\n", number(v))
	default:
		b.WriteString(" | | |\n")
	}
}

// span is the least and the most that the runs of an entrant gave.
func (g *goal) span(s *summary, entrant string) string {
	v, ok := s.spreads[g.servers][g.scene][entrant][g.figure]
	if !ok || v.Min == v.Max {
		return ""
	}
	return number(v.Min) + " to " + number(v.Max)
}

// multipleText has two digits, or as many more as tell on which side of the goal it is.
func (g *goal) multipleText(d verdict) string {
	if !d.known || d.gaveNothing() {
		return ""
	}
	for digits := 2; ; digits++ {
		text := strconv.FormatFloat(d.multiple, 'f', digits, 64)
		if told, _ := strconv.ParseFloat(text, 64); g.meets(told) == d.met || digits == 6 {
			return text + " x " + g.standard()
		}
	}
}
