package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tableOf is that of an axis, by its title.
func tableOf(t *testing.T, title string) *scaleTable {
	t.Helper()
	for i := range scaleTables {
		if scaleTables[i].title == title {
			return &scaleTables[i]
		}
	}
	require.Fail(t, "there is no table "+title)
	return nil
}

// along makes a figure at sizes of an axis.
func along(a axis, load, figure string, values map[int]float64) (all []cell) {
	for n, v := range values {
		all = append(all, cell{Servers: a.servers(n), Scene: a.name(load, n), Entrant: alone, Run: 1, Figures: figures{figure: v}})
	}
	return all
}

func TestACliffIsJudgedFromOneSizeToTheNext(t *testing.T) {
	for _, c := range []struct {
		name, title string
		cells       []cell
		want        string
	}{
		{"CPU that doubles at most", nodesTitle, along(byNodes, writesScene, cpuPerK, map[int]float64{10_000: 0.002, 100_000: 0.004, million: 0.007}),
			"- No cliff in the 2 steps judged; the nearest to one: writes, CPU us each 2.00 x from 10,000 to 100,000, of which 2 x is allowed.\n"},
		{"CPU that more than doubles", nodesTitle, along(byNodes, writesScene, cpuPerK, map[int]float64{10_000: 0.002, 100_000: 0.0041, million: 0.004}),
			"- **Cliff**: writes, CPU us each 2.05 x from 10,000 to 100,000, of which 2 x is allowed.\n"},
		{"a rate that falls to less than half", nodesTitle, along(byNodes, readsScene, rate, map[int]float64{10_000: 1000, 100_000: 400, million: 300}),
			"- **Cliff**: reads/s falls 2.50 x from 10,000 to 100,000, of which 2 x is allowed.\n"},
		{"a rate that rises", nodesTitle, along(byNodes, readsScene, rate, map[int]float64{10_000: 100, 100_000: 400}),
			"- No cliff in the 1 step judged; the nearest to one: reads/s falls 0.25 x from 10,000 to 100,000, of which 2 x is allowed.\n"},
		{"memory of each", "Watches", []cell{{Servers: 1, Scene: watchScene(10_000), Entrant: alone, Run: 1, Figures: figures{liveBytes: 100}},
			{Servers: 1, Scene: watchScene(100_000), Entrant: alone, Run: 1, Figures: figures{liveBytes: 300}}},
			"- **Cliff**: bytes live each 3.00 x from 10,000 to 100,000, of which 2 x is allowed.\n"},
		{"writes are the work of every server", "Servers", along(byServers, writesScene, cpuPerK, map[int]float64{1: 0.006, 3: 0.03}),
			"- No cliff in the 1 step judged; the nearest to one: writes, CPU us each 5.00 x from 1 to 3, of which 6 x is allowed.\n"},
		{"too much even so", "Servers", along(byServers, writesScene, cpuPerK, map[int]float64{1: 0.006, 3: 0.042}),
			"- **Cliff**: writes, CPU us each 7.00 x from 1 to 3, of which 6 x is allowed.\n"},
		{"reads are the work of one", "Servers", along(byServers, readsScene, cpuPerK, map[int]float64{1: 0.001, 3: 0.0025}),
			"- **Cliff**: reads, CPU us each 2.50 x from 1 to 3, of which 2 x is allowed.\n"},
		{"an idle server", idleTitle, []cell{{Servers: 1, Scene: idleScene, Entrant: alone, Run: 1, Figures: figures{idlePercent: 0.4}}, {Servers: 3, Scene: idleScene, Entrant: alone, Run: 1, Figures: figures{idlePercent: 0.9}}},
			"- **Cliff**: % of a core a server 2.25 x from 1 to 3, of which 2 x is allowed.\n"},
		{"where fewer requests are in flight on each", "Connections", along(byConnections, readsScene, cpuPerK, map[int]float64{1: 0.001, 10: 0.009, 1000: 0.02, 10_000: 0.03}),
			"- No cliff in the 1 step judged; the nearest to one: reads, CPU us each 1.50 x from 1,000 to 10,000, of which 2 x is allowed.\n- Not judged: one figure "},
		{"where as many are", "Connections", along(byConnections, readsScene, cpuPerK, map[int]float64{1000: 0.02, 10_000: 0.05}),
			"- **Cliff**: reads, CPU us each 2.50 x from 1,000 to 10,000, of which 2 x is allowed.\n"},
		{"of many connections one in flight on each is the load of all", singlyTitle, append(along(byConnections, readsSingle, cpuPerK, map[int]float64{100: 0.008}), along(byConnections, readsScene, cpuPerK, map[int]float64{1000: 0.02})...),
			"- **Cliff**: reads, CPU us each 2.50 x from 100 to 1,000, of which 2 x is allowed.\n"},
		{"nothing to judge", nodesTitle, along(byNodes, writesScene, cpuPerK, map[int]float64{10_000: 0.002}), ""},
	} {
		var b strings.Builder
		summarizeCells(c.cells).tellVerdict(&b, tableOf(t, c.title))
		if c.want == "" {
			require.Empty(t, b.String(), c.name)
			continue
		}
		require.Contains(t, b.String(), c.want, c.name)
		require.Equal(t, strings.Contains(c.want, "**Cliff**"), !strings.Contains(b.String(), "No cliff"), c.name)
	}
}

func TestARateThatTheLoadProgramLimitsIsNotJudged(t *testing.T) {
	at := func(n int, perSecond, asking float64) cell {
		return cell{Servers: 1, Scene: byNodes.name(readsScene, n), Entrant: alone, Run: 1, Figures: figures{rate: perSecond, cpuPerK: 0.001, loadPerK: asking}}
	}
	told := func(asking float64) string {
		var b strings.Builder
		summarizeCells([]cell{at(10_000, 1000, 0.0001), at(100_000, 100, asking)}).tellVerdict(&b, tableOf(t, nodesTitle))
		return b.String()
	}
	require.Contains(t, told(0.0001), "**Cliff**: reads/s falls 10.00 x")
	require.Contains(t, told(0.001), "No cliff in the 1 step judged; the nearest to one: reads, CPU us each 1.00 x")
}

func TestWhatIsNotJudgedHidesNoCliffWhereTheFiguresBearIt(t *testing.T) {
	told := func(of *scaleTable, cells ...cell) string {
		var b strings.Builder
		summarizeCells(cells).tellVerdict(&b, of)
		return b.String()
	}
	singly := func(thousand float64) []cell {
		return append(along(byConnections, readsSingle, cpuPerK, map[int]float64{100: 0.008}), along(byConnections, readsScene, cpuPerK, map[int]float64{100: 0.001, 1000: thousand})...)
	}
	connections := tableOf(t, "Connections")
	require.Contains(t, told(connections, singly(0.012)...), "differ. They hide none: with one request in flight on each at all sizes (the next table) the CPU from 100 to 1,000 is, of reads 1.50 x.\n")
	require.Contains(t, told(connections, singly(0.02)...), "in flight on a connection differ.\n")

	starred := func(n int, each float64) cell {
		return cell{Servers: 1, Scene: byNodes.name(readsScene, n), Entrant: alone, Run: 1, Figures: figures{rate: 1000, cpuPerK: each, loadPerK: each}}
	}
	nodes := tableOf(t, nodesTitle)
	require.Contains(t, told(nodes, starred(10_000, 0.001), starred(100_000, 0.0015)), "- Rates not judged for their *: 1. They hide none: the CPU of each, which is judged there, is at most 1.50 x.\n")
	require.NotContains(t, told(nodes, starred(10_000, 0.001), starred(100_000, 0.003)), "hide none")
}

func TestAnExplanationIsToldWhereTheFiguresBearIt(t *testing.T) {
	why := func(title string, cells []cell) bool {
		var b strings.Builder
		summarizeCells(cells).tellVerdict(&b, tableOf(t, title))
		return strings.Contains(b.String(), "- Why: ")
	}
	servers := func(reads float64) []cell {
		all := append(along(byServers, writesScene, cpuPerK, map[int]float64{1: 0.006, 5: 0.03}), along(byServers, linearScene, cpuPerK, map[int]float64{1: 0.001, 5: 0.006})...)
		return append(all, along(byServers, readsScene, cpuPerK, map[int]float64{1: 0.001, 5: reads})...)
	}
	require.True(t, why("Servers", servers(0.0012)))
	require.False(t, why("Servers", servers(0.002)), "reads are not the work of one server then")
	nodes := func(most float64) []cell {
		return along(byNodes, writesScene, cpuPerK, map[int]float64{100_000: 0.004, million: most})
	}
	require.True(t, why(nodesTitle, nodes(0.006)))
	require.False(t, why(nodesTitle, nodes(0.004)), "there is nothing to explain")
	require.False(t, why(nodesTitle, nodes(0)), "one of them was not measured")
}

func TestALongTailIsTold(t *testing.T) {
	for p99, want := range map[float64]string{20: "", 21: "- **A long tail**: reads, 100,000 nodes: p99 21 ms, 21 x its p50.\n"} {
		var b strings.Builder
		summarizeCells([]cell{{Servers: 1, Scene: byNodes.name(readsScene, 100_000), Entrant: alone, Run: 1, Figures: figures{p50Ms: 1, p99Ms: p99}}}).tellVerdict(&b, tableOf(t, nodesTitle))
		require.Equal(t, want, b.String(), fmt.Sprint(p99))
	}
}

func TestAColdStartIsToldOfEverySize(t *testing.T) {
	var b strings.Builder
	s := summarizeCells([]cell{
		{Servers: 1, Scene: coldScene(million), Entrant: alone, Run: 1, Figures: figures{seconds: 1.5, fileS: 0.1, fileMiBs: 1000, startMiBs: 200}},
		{Servers: 1, Scene: coldScene(5 * million), Entrant: alone, Run: 1, Figures: figures{seconds: 1.5, fileS: 1, fileMiBs: 500, startMiBs: 400}},
		{Servers: 1, Scene: slowScene(million), Entrant: alone, Run: 1, Figures: figures{seconds: 3.6, diskS: 2.6}},
		{Servers: 1, Scene: slowScene(5 * million), Entrant: alone, Run: 1, Figures: figures{seconds: 7.4, diskS: 6.7}},
	})
	s.tellCold(&b)
	s.tellSlow(&b)
	s.tellUnbound(&b)
	for _, part := range []string{"- A start with 1,000,000 nodes and a cold page cache: 1.5 s", "would take 0.3 s: most of it is loading, not the disk.\n- A start with 5,000,000 nodes and", "would take 1.2 s: more than half of it is the disk.\n",
		"- A start with 1,000,000 nodes from a disk of 125 MiB/s: 3.6 s", "1.38 x as long, so loading adds to it (up to 1.25 x it", "- A start with 5,000,000 nodes from a disk", "1.10 x as long, so it is bounded by reading the disk.\n",
		"is a start from a disk of 125 MiB/s with 5,000,000 nodes, and not with 1,000,000; from the disk of this machine not with 1,000,000 nor 5,000,000 nodes. What"} {
		require.Contains(t, b.String(), part)
	}
}
