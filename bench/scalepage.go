package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

func (r *results) scaleReport(page, folder string) error {
	s := summarizeCells(r.Cells)
	var images []plot
	if folder != "" {
		images = s.scalePlots()
		if err := r.draw(images, folder, scaleFile); err != nil {
			return err
		}
	}
	return errors.Join(writePart(page, "bench scale", r.scaleMarkdown(s, images, filepath.Base(folder))),
		writePart(page, "bench scale, capacity", r.measuredAt(s)+"\n\n"+s.capacityMarkdown()))
}

func (r *results) scaleMarkdown(s *summary, images []plot, folder string) string {
	var b strings.Builder
	b.WriteString(r.measuredAt(s) + "\n\n" + plotsMarkdown(images, folder))
	fmt.Fprintf(&b, "A figure with * was measured while the load program, which shares the machine, took %g %% and more of all CPU: there it is the limit as much as Lycaon, a server\n"+
		"that has the cores for itself does more, and the CPU of an operation tells more than the rate.\n\n", loadCounts*100)
	b.WriteString(cliffRule)
	for _, t := range scaleTables {
		s.tellScale(&b, &t)
		if t.title == idleTitle {
			s.tellFixed(&b)
		}
	}
	b.WriteString(s.failedMarkdown() + r.aboutMarkdown(s, folder+"/"+scaleFile))
	return b.String()
}

// scaleColumn is a figure along an axis.
type scaleColumn struct {
	load   string // of which it tells; "" if it tells of what is there
	head   string
	scene  func(n int) string
	figure string
	unit   float64 // that the figure is told in
}

// scaleTable is what is told along an axis.
type scaleTable struct {
	axis
	title, about string
	columns      []scaleColumn
	depth        func(n int) int // requests in flight on each connection, if that depends on the size
	why          string          // the figures go apart
	claims       []claim         // that have to be so for why to be told
}

const (
	idleTitle   = "Idle"
	nodesTitle  = "Nodes"
	singlyTitle = "Connections with one request in flight each"

	loadCounts = 0.4 // part of all CPU

	micro = 1e-3 // seconds a thousand, told in microseconds each
	kib   = 1 << 10
)

// loads are the columns of reads and writes.
func (a axis) loads(names ...string) (all []scaleColumn) {
	for _, load := range names {
		scene := func(n int) string { return a.name(load, n) }
		all = append(all, scaleColumn{load, load + "/s", scene, rate, 1}, scaleColumn{load, "p50 ms", scene, p50Ms, 1},
			scaleColumn{load, "p99 ms", scene, p99Ms, 1}, scaleColumn{load, "CPU us each", scene, cpuPerK, micro})
	}
	return all
}

// singly are the columns of loads with one request in flight on each connection;
// of many connections it is the load of all together.
func (a axis) singly() []scaleColumn {
	columns := a.loads(readsScene, writesScene)
	for i := range columns {
		load := map[bool]string{true: readsSingle, false: writesSingle}[i < len(columns)/2]
		together := columns[i].scene
		columns[i].scene = func(n int) string {
			if depthOf(n) == 1 {
				return together(n)
			}
			return a.name(load, n)
		}
	}
	return columns
}

// depthOf is how many requests are in flight on each of so many connections.
func depthOf(n int) int { return max(1, inFlight/n) }

// unmoved is the scene that is the same at all sizes.
func unmoved(scene string) func(int) string { return func(int) string { return scene } }

var scaleTables = []scaleTable{
	{byServers, "Servers", "32 connections with 32 requests in flight each, spread over the servers, which share the machine: the CPU is that of all together. Values of 1 KiB.",
		byServers.loads(readsScene, linearScene, writesScene),
		nil, "each server logs and applies every write, and each linearizable read is confirmed by a majority, all of them on these cores, while a read is the work of one server.",
		[]claim{byServers.costing(writesScene, 1, 5, 2, 0), byServers.costing(linearScene, 1, 5, 1.5, 0), byServers.costing(readsScene, 1, 5, 0, 1.5)}},
	{byServers, idleTitle, fmt.Sprintf("1,000 sessions of %g s that do nothing but ping, as often as our Go client does (three in that time, to a follower six), "+
		"for %g s that begin when all have rested for %g; resident is the largest server,\n"+
		"at both ends of what is measured.", sessionLength.Seconds(), idleLong.Seconds(), restFor.Seconds()),
		[]scaleColumn{{"", "% of a core a server", unmoved(idleScene), idlePercent, 1}, {"", "MiB resident before", unmoved(idleScene), firstMiB, 1}, {"", "MiB resident after", unmoved(idleScene), rssMiB, 1}},
		nil, "more servers have fewer sessions each, and what they say to one another takes their place.", []claim{{unmoved(idleScene), idlePercent, 1, 5, 0.5, 1.5}}},
	{byConnections, "Connections", "One server; 1,024 requests in flight on all connections together, one on each of 1,000 and of 10,000. Each connection has a session.",
		append([]scaleColumn{{"", "opened/s", openScene, rate, 1}, {"", "KiB live each", openScene, liveBytes, kib}},
			byConnections.loads(readsScene, writesScene)...),
		depthOf, "from 1 to 1,000 connections the requests in flight on each fall from 1,024 to 1, and what came together shared a system call and a wake-up.",
		[]claim{byConnections.costing(readsScene, 1, 1000, 2, 0), byConnections.costing(writesScene, 1, 1000, 2, 0)}},
	{byConnections, singlyTitle, "As programs ask that wait for each answer: nothing is batched but what happens to be due at once, so every request costs the system calls and\nthe wake-ups of its own, at both ends.",
		byConnections.singly(),
		nil, "a lone client pays for every wake-up, batch and sync by itself; the more ask at the same time the more share them.",
		[]claim{byConnections.costing(readsSingle, 1, 10, 0, 0.7), byConnections.costing(writesSingle, 1, 10, 0, 0.7)}},
	{byWatches, "Watches", "One server; the watches are held by 100 connections, each on a path of its own that nobody writes; 32 other connections read and write.",
		append([]scaleColumn{{"", "set/s", watchScene, rate, 1}, {"", "bytes live each", watchScene, liveBytes, 1}},
			byWatches.loads(readsScene, writesScene)...),
		nil, "a write asks for the watches of its own path alone; the others are memory, which a collection has to mark.", []claim{byWatches.costing(writesScene, 0, 100_000, 0, 1.5)}},
	{byNodes, nodesTitle, fmt.Sprintf("One server; nodes of 100 bytes with paths of 37, of which any is read and written. *Live* is what the heap grew by, after a collection, *resident* what the\nprocess grew by while they were created. *Ready* is from kill -9 to an answered write, with all data in the page cache but the log, which is\nwritten past it; unlike among the goals, the log of the writes of this table is read too; *cold* with nothing in it, as after the machine's own\nrestart: MiB/s are what the start had the disk read, beside what a program gets that only reads the snapshot (a virtual\nmachine's disk may have it in the memory of its host). *%d MiB/s*: the same with a disk that gives no more, as volumes in clouds do unless more is\npaid for, beside what such a disk takes for what was read.", slowDisk),
		append(append([]scaleColumn{{"", "created/s", createScene, rate, 1}, {"", "bytes live each", createScene, liveBytes, 1}, {"", "bytes resident each", createScene, nodeBytes, 1}},
			byNodes.loads(readsScene, writesScene)...), scaleColumn{"", "ready s", restartScene, seconds, 1},
			scaleColumn{"", "cold: ready s", coldScene, seconds, 1}, scaleColumn{"", "MiB/s", coldScene, startMiBs, 1}, scaleColumn{"", "snapshot alone s", coldScene, fileS, 1}, scaleColumn{"", "MiB/s", coldScene, fileMiBs, 1},
			scaleColumn{"", fmt.Sprintf("%d MiB/s: ready s", slowDisk), slowScene, seconds, 1}, scaleColumn{"", "of the disk s", slowScene, diskS, 1}),
		nil, "the tree no longer fits the processor's caches, a collection marks ten times as much, and while a snapshot is taken, which takes longer, each node is copied before it changes.",
		[]claim{byNodes.costing(writesScene, hundredThousand, million, 1.2, 0)}},
}

func (s *summary) tellScale(b *strings.Builder, t *scaleTable) {
	if !slices.ContainsFunc(t.columns, func(c scaleColumn) bool {
		return slices.ContainsFunc(t.sizes, func(n int) bool { return s.scaleText(t, &c, n) != "" })
	}) {
		return // of results that are older than the scene
	}
	what := t.what
	if what == "" {
		what = "servers"
	}
	fmt.Fprintf(b, "### %s\n\n%s\n\n| %s |", t.title, t.about, what)
	for _, c := range t.columns {
		fmt.Fprintf(b, " %s |", c.head)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(t.columns)) + "\n")
	for _, n := range t.sizes {
		fmt.Fprintf(b, "| %s |", thousands(n))
		for _, c := range t.columns {
			fmt.Fprintf(b, " %s |", s.scaleText(t, &c, n))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	for i := range t.columns {
		if c := &t.columns[i]; c.figure == cpuPerK {
			s.tellRange(b, t, c)
		}
	}
	if t.title == nodesTitle {
		s.tellCold(b)
		s.tellSlow(b)
		s.tellUnbound(b)
	}
	if t.title == idleTitle {
		s.tellGrowth(b)
		s.tellIdleSum(b)
	}
	s.tellVerdict(b, t)
	b.WriteString("\n")
}

func (s *summary) scaleText(t *scaleTable, c *scaleColumn, n int) string {
	servers, scene := t.servers(n), c.scene(n)
	v, ok := s.median(servers, yardstick{scene, c.figure}, alone)
	if !ok {
		return ""
	}
	text := number(v / c.unit)
	if c.figure == rate && s.loadIsLimit(servers, scene) {
		text += "*"
	}
	return text
}

// loadIsLimit tells whether so much CPU went to asking that the rate tells of the
// load program as much as of the servers.
func (s *summary) loadIsLimit(servers int, scene string) bool {
	asking, known := s.median(servers, yardstick{scene, loadPerK}, alone)
	serving, measured := s.median(servers, yardstick{scene, cpuPerK}, alone)
	return known && measured && asking >= loadCounts*(asking+serving)
}

// tellRange says how far the CPU of one operation goes apart along an axis.
func (s *summary) tellRange(b *strings.Builder, t *scaleTable, c *scaleColumn) {
	var all []float64
	for _, n := range t.sizes {
		if v, ok := s.median(t.servers(n), yardstick{c.scene(n), cpuPerK}, alone); ok {
			all = append(all, v/c.unit)
		}
	}
	if len(all) < 2 || slices.Min(all) <= 0 {
		return
	}
	fmt.Fprintf(b, "- %s: %s to %s us of CPU each, the most %.1f x the least.\n", c.load, number(slices.Min(all)), number(slices.Max(all)), slices.Max(all)/slices.Min(all))
}

// atRest is by how many MiB what lives in an idle server may differ after idleLong: the
// stacks and caches of what happens to be under way.
const atRest = 0.1

// tellGrowth says how much the memory of servers grew while nothing was asked of them.
// What is resident follows the garbage; what lives after a collection shows a leak.
func (s *summary) tellGrowth(b *strings.Builder) {
	grown := func(n int, first, last string) (float64, bool) {
		before, known := s.median(n, yardstick{idleScene, first}, alone)
		after, measured := s.median(n, yardstick{idleScene, last}, alone)
		return after - before, known && measured
	}
	for _, n := range byServers.sizes {
		resident, known := grown(n, firstMiB, rssMiB)
		if !known {
			continue
		}
		fmt.Fprintf(b, "- %d server%s: %+.1f MiB resident in those %g s", n, plural(n), resident, idleLong.Seconds())
		switch live, weighed := grown(n, firstLive, liveMiB); {
		case !weighed:
			b.WriteString("; whether it comes to rest is not told by so short a time.\n")
		case live > atRest:
			fmt.Fprintf(b, ", %+.2f MiB of what lives in one after a collection: **it grows**, by more than %g MiB.\n", live, atRest)
		default:
			fmt.Fprintf(b, ", %+.2f MiB of what lives in one after a collection: at rest, within %g MiB.\n", live, atRest)
		}
	}
}

// tellIdleSum says what all servers together take for the same sessions.
func (s *summary) tellIdleSum(b *strings.Builder) {
	var told []string
	for _, n := range byServers.sizes {
		if v, ok := s.median(n, yardstick{idleScene, idlePercent}, alone); ok && n > 1 {
			told = append(told, fmt.Sprintf("%s %% of a core where they are %d", number(v*float64(n)), n))
		}
	}
	if len(told) > 0 {
		fmt.Fprintf(b, "- All servers together take %s; the goal of 1 %% is of a server. %s\n", strings.Join(told, ", "), idlePrice)
	}
}

// tellCold says how near a start comes to reading the disk.
func (s *summary) tellCold(b *strings.Builder) {
	for _, n := range byNodes.sizes {
		took, file := s.each(coldScene(n), seconds), s.each(coldScene(n), fileS)
		if took*file == 0 {
			continue
		}
		asked, given := s.each(coldScene(n), startMiBs), s.each(coldScene(n), fileMiBs)
		limit := "most of it is loading, not the disk"
		if asked > given/2 {
			limit = "more than half of it is the disk"
		}
		fmt.Fprintf(b, "- A start with %s nodes and a cold page cache: %s s, in which it has the disk read %s MiB/s, its log too. To read its snapshot and do nothing else takes %s s, %s MiB/s; all that it reads would take %s s: %s.\n",
			thousands(n), number(took), number(asked), number(file), number(given), number(took*asked/given), limit)
	}
}

// tellSlow says whether a start takes as long as a disk for what it reads.
func (s *summary) tellSlow(b *strings.Builder) {
	for _, n := range byNodes.sizes {
		took, disk := s.each(slowScene(n), seconds), s.each(slowScene(n), diskS)
		if took*disk == 0 {
			continue
		}
		limit := fmt.Sprintf("so loading adds to it (up to %g x it is called bounded by the disk)", boundBy)
		if took < boundBy*disk {
			limit = "so it is bounded by reading the disk"
		}
		fmt.Fprintf(b, "- A start with %s nodes from a disk of %d MiB/s: %s s, where such a disk takes %s s for all that is read: %.2f x as long, %s.\n",
			thousands(n), slowDisk, number(took), number(disk), took/disk, limit)
	}
}

// tellUnbound says of which sizes a start takes longer than reading the disk, and what for.
func (s *summary) tellUnbound(b *strings.Builder) {
	slow := s.bound(slowScene, func(n int) float64 { return s.each(slowScene(n), diskS) })
	own := s.bound(coldScene, func(n int) float64 {
		return quotient(s.each(coldScene(n), seconds)*s.each(coldScene(n), startMiBs), s.each(coldScene(n), fileMiBs))
	})
	if slow == "" || own == "" {
		return
	}
	fmt.Fprintf(b, "- **Bounded by reading the disk** (at most %g x as long) is a start from a disk of %d MiB/s %s; from the disk of this machine %s. What takes the rest of the time is making nodes of the snapshot and the index\n"+
		"  of their paths, the collections that mark them, and applying the log behind it ([the first second of a start](performance/profile-all.md#one-server)).\n", boundBy, slowDisk, slow, own)
}

// bound says with how many nodes a scene is bounded by the disk, of which it is told what it would take.
func (s *summary) bound(scene func(n int) string, disk func(n int) float64) string {
	var by, beyond []string
	for _, n := range byNodes.sizes {
		took, least := s.each(scene(n), seconds), disk(n)
		switch {
		case took*least == 0:
		case took < boundBy*least:
			by = append(by, thousands(n))
		default:
			beyond = append(beyond, thousands(n))
		}
	}
	switch {
	case len(by) > 0 && len(beyond) > 0:
		return "with " + strings.Join(by, " and ") + " nodes, and not with " + strings.Join(beyond, " and ")
	case len(by) > 0:
		return "with " + strings.Join(by, " and ") + " nodes"
	case len(beyond) > 0:
		return "not with " + strings.Join(beyond, " nor ") + " nodes"
	}
	return ""
}

// boundBy is how much longer than its bound something takes at most that is bounded by it.
const boundBy = 1.25

// scalePlots are what is done, and what it costs, along all axes.
func (s *summary) scalePlots() []plot {
	kinds := []string{readsScene, writesScene}
	var all []plot
	for _, k := range []struct {
		file, title, figure string
		unit                float64
	}{
		{"scale-throughput", "Lycaon alone: done a second (more is better; logarithmic axis)", rate, 1},
		{"scale-cpu", "Lycaon alone: microseconds of the servers' CPU each (less is better; logarithmic axis)", cpuPerK, micro},
	} {
		p := plot{file: k.file + ".svg", title: k.title, kinds: kinds}
		for _, t := range scaleTables {
			if t.title == singlyTitle || t.title == idleTitle { // the others suffice
				continue
			}
			for _, n := range t.sizes {
				g := plotGroup{label: sizeLabel(t.axis, n)}
				for _, load := range kinds {
					if v, ok := s.median(t.servers(n), yardstick{t.name(load, n), k.figure}, alone); ok && v > 0 {
						g.bars = append(g.bars, bar{load, v / k.unit})
					}
				}
				if len(g.bars) > 0 {
					p.groups = append(p.groups, g)
				}
			}
		}
		if len(p.groups) > 0 {
			all = append(all, p)
		}
	}
	return all
}

func sizeLabel(a axis, n int) string {
	what := a.what
	if what == "" {
		what = "servers"
	}
	if n == 1 {
		what = strings.TrimSuffix(what, "s")
	}
	return thousands(n) + " " + what
}
