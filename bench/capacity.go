package main

import (
	"fmt"
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

// garbage is how much memory a server takes for each byte that lives: it collects
// when half as much has gathered beside.
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
		say("one core of one server, 32 clients with 32 requests in flight each", 1, load, cpuPerK, perCore(load))
	}
	for _, load := range []string{readsScene, writesScene} {
		say(fmt.Sprintf("one core of one server, %s clients that wait for each answer", thousands(crowded)), 1, byConnections.name(load, crowded), cpuPerK, perCore(load))
	}
	for _, n := range byServers.sizes[1:] {
		say(fmt.Sprintf("one core of CPU time, all of %d servers together", n), n, writesScene, cpuPerK, perCore("writes"))
	}
	aSync := func(v float64) string { return number(v) + " write" + plural(int(v+0.5)) }
	say("one sync of the disk, 32 clients with 32 requests in flight each", 1, writesScene, perSync, aSync)
	say(fmt.Sprintf("one sync of the disk, %s clients that wait for each answer", thousands(crowded)), 1, byConnections.name(writesScene, crowded), perSync, aSync)
	lone := byConnections.name(writesSingle, 1)
	say("one sync of the disk, one client that waits for each answer", 1, lone, perSync, aSync)
	say("one client that waits for each answer, of one server", 1, lone, rate, perSecond("writes"))
	perGiB := func(what string, more float64) func(v float64) string {
		return func(v float64) string {
			return fmt.Sprintf("%s %s (%s bytes each)", number((1<<30)/(v*more)), what, number(v*more))
		}
	}
	n := s.largest(byNodes, createScene, liveBytes)
	say("one GiB, garbage included", 1, createScene(n), liveBytes, perGiB("nodes of 100 bytes, of "+thousands(n), garbage))
	n = s.largest(byConnections, openScene, liveBytes)
	say("one GiB, garbage included", 1, openScene(n), liveBytes, perGiB("connections with a session, of "+thousands(n), garbage))
	n = s.largest(byWatches, watchScene, liveBytes)
	say("one GiB, garbage included", 1, watchScene(n), liveBytes, perGiB("watches, of "+thousands(n), garbage))
	say("one second of all cores here", 1, openScene(crowded), rate, func(v float64) string { return number(v) + " sessions opened" })
	n = s.largest(byNodes, restartScene, seconds)
	say(fmt.Sprintf("a restart with %s nodes, from kill -9 to an answered write", thousands(n)), 1, restartScene(n), seconds, func(v float64) string { return number(v) + " s" })
	n = s.largest(byNodes, coldScene, seconds)
	say(fmt.Sprintf("the same with %s nodes and nothing of them in the page cache", thousands(n)), 1, coldScene(n), seconds, func(v float64) string { return number(v) + " s" })
	b.WriteString("\n")
}

// The cluster of the example.
const (
	exampleClients = 30_000
	exampleWatches = 5 // of a client
	exampleNodes   = 500_000
	exampleReads   = 15_000 // a second
	exampleWrites  = 1500   // a second
)

// tellExample works out what one of three servers needs while another is down.
func (s *summary) tellExample(b *strings.Builder) {
	const left = 2 // servers, which share the clients of three
	conn := s.each(openScene(s.largest(byConnections, openScene, liveBytes)), liveBytes) * garbage
	watch := s.each(watchScene(s.largest(byWatches, watchScene, liveBytes)), liveBytes) * garbage
	node := s.each(createScene(s.largest(byNodes, createScene, liveBytes)), liveBytes) * garbage
	if conn*watch*node == 0 {
		return
	}
	const gib = 1 << 30
	clients := exampleClients / left * conn / gib
	watching := exampleClients / left * exampleWatches * watch / gib
	tree := (exampleNodes + exampleClients) * node / gib
	fmt.Fprintf(b, "**An example**, worked out with these figures: %s clients on three servers, each with a session, an ephemeral node and %d watches; %s nodes of 100 bytes beside;\n"+
		"%s reads/s and %s writes/s, of clients that wait for each answer. While one server is down the two others have half of the clients each, so each needs\n\n"+
		"- memory: %s GiB for the nodes, which are whole on every server, %s GiB for the connections, %s GiB for the watches: **%s GiB**;\n",
		thousands(exampleClients), exampleWatches, thousands(exampleNodes), thousands(exampleReads), thousands(exampleWrites),
		number(tree), number(clients), number(watching), number(tree+clients+watching))
	s.tellExampleCPU(b)
}

// tellExampleCPU tells what that load took when it was put on three servers: the price
// of a request of a saturated server, whose batches are of hundreds, would say far less.
func (s *summary) tellExampleCPU(b *strings.Builder) {
	const up, left = 3, 2
	mean, known := s.median(up, yardstick{exampleLoad.scene, idlePercent}, alone)
	most, seen := s.median(up, yardstick{exampleLoad.scene, busiestPercent}, alone)
	if !known || !seen {
		b.WriteString("- CPU: that load at its fixed rate was not measured; the CPU of a saturated server says too little, since its batches are of hundreds of requests.\n")
		return
	}
	load, beside, besides := most*up/left, "", fmt.Sprintf(", and the pings of %s sessions", thousands(exampleClients))
	if idle := s.each(idleScene, idlePercent); idle > 0 {
		pings := idle * exampleClients / left / idlers
		beside = fmt.Sprintf(", %s %%, beside the pings of %s sessions, %s %% if %s on one server are %s %% ([idle](#idle))", number(load), thousands(exampleClients/left), number(pings), thousands(idlers), number(idle))
		load, besides = load+pings, ""
	}
	fmt.Fprintf(b, "- CPU: that load, put on three servers at its fixed rate by %s connections, took %s %% of a core a server and %s %% of the busiest. With one of them down two have the\n"+
		"  work of three%s: so **%s %% of a core** at least%s. The CPU of a saturated server, whose batches are of hundreds of requests, would have said far less.\n",
		thousands(exampleLoad.conns), number(mean), number(most), beside, number(load), besides)
}

// each is a figure of one server; 0 if there is none.
func (s *summary) each(scene, figure string) float64 {
	v, _ := s.median(1, yardstick{scene, figure}, alone)
	return v
}
