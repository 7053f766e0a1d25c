package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// capacityMarkdown is what a cluster can be sized by.
func (s *summary) capacityMarkdown() string {
	var b strings.Builder
	s.tellCapacity(&b)
	s.tellExample(&b)
	return b.String()
}

// largest is the greatest size of an axis of which a scene has a figure.
func (s *summary) largest(a axis, scene func(n int) string, figure string) int {
	for _, n := range slices.Backward(a.sizes) {
		if _, ok := s.median(1, yardstick{scene(n), figure}, alone); ok && n > 0 {
			return n
		}
	}
	return a.sizes[0]
}

// garbage is how much memory a server is reckoned to take for each byte that lives: it
// collects when half as much has gathered beside.
const garbage = 1.5

// tellCapacity says what a core and a GiB are good for, of the largest sizes that
// were measured.
func (s *summary) tellCapacity(b *strings.Builder) {
	b.WriteString("| what | buys |\n|---|---|\n")
	say := func(what string, servers int, scene, figure string, value func(v float64) string) {
		if v, ok := s.median(servers, yardstick{scene, figure}, alone); ok && v > 0 {
			fmt.Fprintf(b, "| %s | %s |\n", what, value(v))
		}
	}
	perSecond := func(load string) func(v float64) string {
		return func(v float64) string { return fmt.Sprintf("%s %s/s", number(v), load) }
	}
	perCore := func(load string) func(v float64) string {
		return func(v float64) string { return fmt.Sprintf("%s %s/s", number(1000/v), load) }
	}
	crowded := s.largest(byConnections, func(n int) string { return byConnections.name(readsScene, n) }, cpuPerK)
	for _, f := range fixedLoads {
		for _, n := range f.servers {
			say(fmt.Sprintf("an even %s of %s connections, %d server%s", f.load(), thousands(f.conns), n, plural(n)), n, f.scene, cpuPerK, func(v float64) string {
				return fmt.Sprintf("cost %s ms of CPU each, of all servers", number(v))
			})
		}
	}
	for _, load := range []string{readsScene, linearScene, writesScene} {
		say("one core's time of one server, 32 clients with 32 requests in flight each", 1, load, cpuPerK, perCore(load))
	}
	for _, load := range []string{readsScene, writesScene} {
		say(fmt.Sprintf("one core's time of one server, %s clients that wait for each answer", thousands(crowded)), 1, byConnections.name(load, crowded), cpuPerK, perCore(load))
	}
	for _, n := range byServers.sizes[1:] {
		say(fmt.Sprintf("one core's time, all of %d servers together", n), n, writesScene, cpuPerK, perCore("writes"))
	}
	aSync := func(v float64) string { return number(v) + " write" + plural(int(v+0.5)) }
	say("one sync of the disk, 32 clients with 32 requests in flight each", 1, writesScene, perSync, aSync)
	say(fmt.Sprintf("one sync of the disk, %s clients that wait for each answer", thousands(crowded)), 1, byConnections.name(writesScene, crowded), perSync, aSync)
	lone := byConnections.name(writesSingle, 1)
	say("one sync of the disk, one client that waits for each answer", 1, lone, perSync, aSync)
	say("one client that waits for each answer, of one server", 1, lone, rate, perSecond("writes"))
	reckoned := fmt.Sprintf("one GiB, at %g x what lives, for garbage", garbage)
	perGiB := func(what string, more float64) func(v float64) string {
		return func(v float64) string {
			return fmt.Sprintf("%s %s (%s bytes each)", number((1<<30)/(v*more)), what, number(v*more))
		}
	}
	n := s.largest(byNodes, createScene, liveBytes)
	say(reckoned, 1, createScene(n), liveBytes, perGiB("nodes of 100 bytes, of "+thousands(n), garbage))
	n = s.largest(byConnections, openScene, liveBytes)
	say(reckoned, 1, openScene(n), liveBytes, perGiB("connections with a session, of "+thousands(n), garbage))
	n = s.largest(byWatches, watchScene, liveBytes)
	say(reckoned, 1, watchScene(n), liveBytes, perGiB("watches, of "+thousands(n), garbage))
	say("one second of all cores here", 1, openScene(crowded), rate, func(v float64) string { return number(v) + " sessions opened, without a node, on one server" })
	n = s.largest(byNodes, restartScene, seconds)
	say(fmt.Sprintf("a restart with %s nodes, from kill -9 to an answered write", thousands(n)), 1, restartScene(n), seconds, func(v float64) string { return number(v) + " s" })
	n = s.largest(byNodes, coldScene, seconds)
	say(fmt.Sprintf("the same with %s nodes and nothing of them in the page cache", thousands(n)), 1, coldScene(n), seconds, func(v float64) string { return number(v) + " s" })
	n = s.largest(byNodes, slowScene, seconds)
	say(fmt.Sprintf("the same with %s nodes from a disk of %d MiB/s", thousands(n), slowDisk), 1, slowScene(n), seconds, func(v float64) string { return number(v) + " s" })
	b.WriteString("\n*One core's time* is a second over the CPU of one of them, in runs that kept all cores of this machine busy; a core by itself was not measured.\n\n")
}

// The cluster of the example.
const (
	exampleClients = 30_000
	exampleWatches = 5 // of a client
	exampleNodes   = 500_000
	exampleReads   = 15_000 // a second
	exampleWrites  = 1500   // a second
)

// What a server's memory is reckoned by: OPERATIONS.md, Memory, has the same.
const (
	timesTree = 2   // garbage, and what changes while a snapshot is taken
	ownMiB    = 256 // the process, its log and what is under way
)

// spare is how many times what is reckoned a server should have.
const spare = 2

// upward rounds what is needed, so that the sum of what is told is what is told of the sum.
func upward(v float64) int { return int(math.Ceil(v)) }

// tellExample works out what one of three servers needs while another is down.
func (s *summary) tellExample(b *strings.Builder) {
	const left = 2 // servers, which share the clients of three
	conn := s.each(openScene(s.largest(byConnections, openScene, liveBytes)), liveBytes) * garbage
	watch := s.each(watchScene(s.largest(byWatches, watchScene, liveBytes)), liveBytes) * garbage
	node := s.each(createScene(s.largest(byNodes, createScene, liveBytes)), liveBytes)
	if conn*watch*node == 0 {
		return
	}
	const mib = 1 << 20
	clients := upward(exampleClients / left * conn / mib)
	watching := upward(exampleClients / left * exampleWatches * watch / mib)
	tree := upward(timesTree * (exampleNodes + exampleClients) * node / mib)
	sum := tree + clients + watching + ownMiB
	fmt.Fprintf(b, "**An example**, worked out with these figures: %s clients on three servers, each with a session, an ephemeral node and %d watches; %s nodes of 100 bytes beside;\n"+
		"%s reads/s and %s writes/s, of clients that wait for each answer. While one server is down the two others have half of the clients each, so each needs\n\n"+
		"- memory, as [OPERATIONS.md](OPERATIONS.md#memory) reckons it: %d MiB for %d x what lives of the nodes, which are whole on every server, %d MiB for the connections, %d MiB for the watches, %d MiB for the\n"+
		"  process itself and what is under way: **%s MiB**. Its reserve is in it;\n",
		thousands(exampleClients), exampleWatches, thousands(exampleNodes), thousands(exampleReads), thousands(exampleWrites),
		tree, timesTree, clients, watching, ownMiB, thousands(sum))
	s.tellExampleCPU(b)
}

// tellExampleCPU tells what that load took when it was put on three servers: the price
// of a request of a saturated server, whose batches are of hundreds, would say far less.
func (s *summary) tellExampleCPU(b *strings.Builder) {
	const up, left = 3, 2
	mean, known := s.median(up, yardstick{exampleLoad.scene, idlePercent}, alone)
	most, seen := s.median(up, yardstick{exampleLoad.scene, busiestPercent}, alone)
	if !known || !seen {
		b.WriteString("- CPU: that load at its fixed rate was not measured; the CPU of a saturated server, with its large batches, would promise too much.\n")
		return
	}
	load := upward(most * up / left)
	fmt.Fprintf(b, "- CPU: that load, put on three servers at its fixed rate by %s connections, took %s %% of a core a server and %s %% of the busiest%s. Two that have the work of three:\n"+
		"  %d %%, if all of it grows by half. ", thousands(exampleLoad.conns), number(mean), number(most), s.tailText(up, exampleLoad.scene), load)
	pings, how := s.examplePings(up, left)
	if pings == 0 {
		fmt.Fprintf(b, "With the pings of %s sessions, which were not measured, **more than %d %% of a core**.\n", thousands(exampleClients/left), load)
		return
	}
	fmt.Fprintf(b, "The pings of %s sessions: %d %%, %s ([idle](#idle)). Together **%d %% of a core**; buy %d times as much, **%.1f cores a server**.\n"+
		"  The CPU of a saturated server, with its large batches, would promise too much.\n"+
		"- which way it errs: too high, since writes do not grow when a server is down (each applies all of them anyway), and since what servers do without any session grows here with the pings. Too low, since\n"+
		"  more connections batch less at the same rate (a step in [connections](#connections)), what watches tell is not in it, and nobody measured these requests with a server down.\n",
		thousands(exampleClients/left), pings, how, load+pings, spare, float64(upward(float64(spare*(load+pings))/10))/10)
}

// examplePings is what the sessions of one of the servers that are left take of a core, in
// per cent, by the idle servers of which that is more: followers are pinged more often.
func (s *summary) examplePings(up, left int) (percent int, how string) {
	for _, n := range []int{1, up} {
		idle, ok := s.median(n, yardstick{idleScene, idlePercent}, alone)
		if !ok {
			continue
		}
		if p := upward(idle * float64(n) * exampleClients / float64(left) / idlers); p > percent {
			percent, how = p, fmt.Sprintf("if they grow evenly from the %s %% of a server that %s on %d server%s cost", number(idle), thousands(idlers), n, plural(n))
		}
	}
	return percent, how
}

// tailText tells how long requests took, if that was measured.
func (s *summary) tailText(servers int, scene string) string {
	p50, known := s.median(servers, yardstick{scene, p50Ms}, alone)
	p99, measured := s.median(servers, yardstick{scene, p99Ms}, alone)
	if !known || !measured || p50 <= 0 {
		return ""
	}
	return fmt.Sprintf(", with a p50 of %s ms and a p99 of **%s ms**, %.0f x as long", number(p50), number(p99), p99/p50)
}

// each is a figure of one server; 0 if there is none.
func (s *summary) each(scene, figure string) float64 {
	v, _ := s.median(1, yardstick{scene, figure}, alone)
	return v
}
