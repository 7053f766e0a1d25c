package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestALeafIsWrittenAsItsDirectoryIs(t *testing.T) {
	for _, i := range []int{0, 9, 10, 999, 1000, 12_345, 999_999, 4_999_999, 99_999_999} {
		require.Equal(t, fmt.Sprintf("%s/node-%08d", directory(i/fan), i), leaf(i))
	}
}

func TestFewAreAtWorkAtOnceAndTheFirstFailureEndsIt(t *testing.T) {
	const workers, n = 4, 100
	var atWork, did atomic.Int64
	require.NoError(t, fewOf(workers, n, func(int) error {
		defer atWork.Add(-1)
		did.Add(1)
		if now := atWork.Add(1); now > workers {
			return fmt.Errorf("%d at once", now)
		}
		return nil
	}))
	require.EqualValues(t, n, did.Load())
	did.Store(0)
	require.ErrorContains(t, fewOf(1, n, func(i int) error {
		if did.Add(1); i == 10 {
			return errors.New("broken")
		}
		return nil
	}), "broken")
	require.EqualValues(t, 11, did.Load())
}

func TestAThousandClientsThatFailFillOneLine(t *testing.T) {
	require.Equal(t, "lost (and 2 more)", brief(errors.Join(errors.New("lost"), errors.New("lost"), errors.New("gone"))))
	require.Equal(t, "lost", brief(errors.New("lost")))
}

func TestLittleMemoryIsNotDividedAmongThings(t *testing.T) {
	f := figures{}
	f.weigh(1<<20, 1000)
	require.Empty(t, f)
	f.weigh(32<<20, 1<<20)
	require.Equal(t, figures{liveBytes: 32}, f)
}

// scaleCells are of two sizes along the axis of connections.
func scaleCells() []cell {
	made := func(scene string, f figures) cell {
		return cell{Servers: 1, Scene: scene, Entrant: alone, Run: 1, Figures: f}
	}
	return []cell{
		made("reads, 1 connections", figures{rate: 500_000, p50Ms: 1, p99Ms: 2, cpuPerK: 0.001, loadPerK: 0.0005}),
		made("reads, 10,000 connections", figures{rate: 50_000, p50Ms: 10, p99Ms: 20, cpuPerK: 0.004, loadPerK: 0.004}),
		made("reads one at a time, 1 connections", figures{rate: 20_000, p50Ms: 0.05, p99Ms: 0.1, cpuPerK: 0.008}),
		made(openScene(10_000), figures{rate: 7000, liveBytes: 20 << 10}),
		made(createScene(million), figures{rate: 90_000, liveBytes: 380, nodeBytes: 1024}),
		made(restartScene(million), figures{seconds: 2}),
		made(readsScene, figures{rate: 600_000, cpuPerK: 0.001}),
		made(writesScene, figures{rate: 90_000, perSync: 400}),
		made("writes one at a time, 1 connections", figures{rate: 2500, perSync: 1}),
		{Servers: 3, Scene: idleScene, Entrant: alone, Run: 1, Figures: figures{idlePercent: 0.5, firstMiB: 80, rssMiB: 81}},
		{Servers: 1, Scene: createScene(5 * million), Entrant: alone, Run: 1, Error: "left out"},
	}
}

func TestTheTablesOfScaleTellEachSize(t *testing.T) {
	r := &results{Cells: scaleCells(), Abouts: []about{{Machine: "2 cores", Command: scaleCommands[0]}}}
	s := summarizeCells(r.Cells)
	text := r.scaleMarkdown(s, s.scalePlots(), "performance")
	for _, part := range []string{
		"| 1 |  |  | 500 k | 1 | 2 | 1 |  |  |  |  |\n",
		"| 10,000 | 7,000 | 20 | 50 k* | 10 | 20 | 4 |  |  |  |  |\n",
		"- reads: 1 to 4 us of CPU each, the most 4.0 x the least.\n",
		"| 1 | 20 k | 0.05 | 0.1 | 8 | 2,500 |  |  |  |\n| 10 |  |  |  |  |  |  |  |  |\n",
		"- reads: 4 to 8 us of CPU each, the most 2.0 x the least.\n",
		"| 3 | 0.5 | 80 | 81 |\n",
		"- 3 servers: +1.0 MiB resident in those 30 s; whether it comes to rest is not told by so short a time.\n",
		"create 5,000,000 nodes, lycaon alone, run 1: left out\n",
		"(performance/scale-cpu.svg)",
	} {
		require.Contains(t, text, part)
	}
	require.NotContains(t, text, "Why:", "what is missing bears nothing")
}

func TestEveryLoadOfAnAxisHasItsName(t *testing.T) {
	require.Equal(t, "reads, 10,000 nodes", byNodes.name(readsScene, 10_000))
	require.Equal(t, 1, byNodes.servers(10_000))
	require.Equal(t, "reads", byServers.name(readsScene, 3))
	require.Equal(t, 3, byServers.servers(3))
	require.Equal(t, "1 server", sizeLabel(byServers, 1))
	require.Equal(t, "0 watches", sizeLabel(byWatches, 0))
}

func TestAReportTellsPeersAndScaleInPartsOfTheirOwn(t *testing.T) {
	dir := t.TempDir()
	pageFile := filepath.Join(dir, "PAGE.md")
	var empty strings.Builder
	for _, by := range []string{"bench report, in short", "bench report, goals", "bench report, tables", "bench report, measured on", "bench report, plots", "bench scale", "bench scale, capacity"} {
		begin, end := marks(by)
		fmt.Fprintf(&empty, "%s\n%s\n", begin, end)
	}
	require.NoError(t, os.WriteFile(pageFile, []byte(empty.String()), 0o600))
	r := &results{Cells: append(someCells(), scaleCells()...), Abouts: []about{{Machine: "one", Command: "go run . peers"}, {Machine: "two", Command: scaleCommands[1] + ` ARGS="-short"`}}}
	require.NoError(t, r.report(pageFile, filepath.Join(dir, "plots")))
	written, err := os.ReadFile(pageFile)
	require.NoError(t, err)
	peers, scale, found := strings.Cut(string(written), "<!-- begin: made by bench scale -->")
	require.True(t, found)
	require.Contains(t, peers, "| create 1,000,000 nodes, 32 a transaction, live bytes each | at most 400 bytes |  |  |  |  |  |  | not measured |", "that of Lycaon alone is of other runs")
	require.Contains(t, peers, "Machine: one.")
	require.NotContains(t, peers, "Machine: two.")
	require.NotContains(t, peers, "left out")
	require.NotContains(t, peers, "600 k", "what has peers is judged beside them alone")
	require.Contains(t, scale, "Machine: two.")
	require.Contains(t, scale, "left out")
	require.Contains(t, scale, "| what | buys |")
	for _, name := range []string{"scale-cpu.svg", "scale.json", "results.json", "1-cpu.svg", "everything.md"} {
		require.FileExists(t, filepath.Join(dir, "plots", name))
	}
}

func TestACoreAndAGiBAreReckonedFromTheLargestSizes(t *testing.T) {
	cells := scaleCells()
	text := summarizeCells(cells).capacityMarkdown()
	for _, part := range []string{
		"| one core's time of one server, 32 clients with 32 requests in flight each | 1 M reads/s |\n",
		"| one core's time of one server, 10,000 clients that wait for each answer | 250 k reads/s |\n",
		"| one sync of the disk, 32 clients with 32 requests in flight each | 400 writes |\n",
		"| one sync of the disk, one client that waits for each answer | 1 write |\n",
		"| one client that waits for each answer, of one server | 2,500 writes/s |\n",
		"| one GiB, at 1.5 x what lives, for garbage | 1.88 M nodes of 100 bytes, of 1,000,000 (570 bytes each) |\n",
		"| one GiB, at 1.5 x what lives, for garbage | 35 k connections with a session, of 10,000 (30.7 k bytes each) |\n",
		"| one second of all cores here | 7,000 sessions opened, without a node, on one server |\n",
		"| a restart with 1,000,000 nodes, from kill -9 to an answered write | 2 s |\n",
	} {
		require.Contains(t, text, part)
	}
	require.NotContains(t, text, "An example", "no watch and no write was measured")
	cells = append(cells, cell{Servers: 1, Scene: watchScene(100_000), Entrant: alone, Run: 1, Figures: figures{liveBytes: 200}},
		cell{Servers: 1, Scene: "fixed rate, 2,000 writes/s", Entrant: alone, Run: 1, Figures: figures{cpuPerK: 0.3}})
	text = summarizeCells(cells).capacityMarkdown()
	// 2 x 530,000 x 380 bytes; 15,000 x 30 KiB; 75,000 x 300 bytes; 385 + 440 + 22 + 256.
	for _, part := range []string{"385 MiB for 2 x what lives of the nodes", "440 MiB for the connections", "22 MiB for the watches", "256 MiB for the\n  process itself", "**1,103 MiB**", "- CPU: that load at its fixed rate was not measured",
		"| an even 2,000 writes/s of 32 connections, 1 server | cost 0.3 ms of CPU each, of all servers |\n"} {
		require.Contains(t, text, part)
	}
	cells = append(cells, cell{Servers: 1, Scene: coldScene(million), Entrant: alone, Run: 1, Figures: figures{seconds: 3}})
	require.Contains(t, summarizeCells(cells).capacityMarkdown(), "| the same with 1,000,000 nodes and nothing of them in the page cache | 3 s |\n")
	cells = append(cells, cell{Servers: 1, Scene: slowScene(million), Entrant: alone, Run: 1, Figures: figures{seconds: 7}})
	require.Contains(t, summarizeCells(cells).capacityMarkdown(), "| the same with 1,000,000 nodes from a disk of 125 MiB/s | 7 s |\n")
}

func TestTheExampleTakesTheDearerPingsAndSaysHowLongItsRequestsTook(t *testing.T) {
	cells := append(scaleCells(), cell{Servers: 1, Scene: watchScene(100_000), Entrant: alone, Run: 1, Figures: figures{liveBytes: 200}},
		cell{Servers: 3, Scene: exampleLoad.scene, Entrant: alone, Run: 1, Figures: figures{idlePercent: 30, busiestPercent: 40.6, p50Ms: 0.3, p99Ms: 30}})
	cells = slices.DeleteFunc(cells, func(c cell) bool { return c.Scene == idleScene })
	told := func() string { return summarizeCells(cells).capacityMarkdown() }
	for _, part := range []string{"took 30 % of a core a server and 40.6 % of the busiest, with a p50 of 0.3 ms and a p99 of **30 ms**, 100 x as long.",
		"Two that have the work of three:\n  61 %", "which were not measured, **more than 61 % of a core**."} {
		require.Contains(t, told(), part)
	}
	idle := func(servers int, percent float64) {
		cells = append(cells, cell{Servers: servers, Scene: idleScene, Entrant: alone, Run: 1, Figures: figures{idlePercent: percent}})
	}
	idle(1, 0.9) // x 15
	require.Contains(t, told(), "The pings of 15,000 sessions: 14 %, if they grow evenly from the 0.9 % of a server that 1,000 on 1 server cost")
	require.Contains(t, told(), "Together **75 % of a core**; buy 2 times as much, **1.5 cores a server**.")
	idle(3, 0.2) // x 45, and less
	require.Contains(t, told(), "The pings of 15,000 sessions: 14 %")
	cells = cells[:len(cells)-1]
	idle(3, 0.85)
	require.Contains(t, told(), "The pings of 15,000 sessions: 39 %, if they grow evenly from the 0.85 % of a server that 1,000 on 3 servers cost")
	require.Contains(t, told(), "Together **100 % of a core**; buy 2 times as much, **2.0 cores a server**.")
}
