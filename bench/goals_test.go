package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAGoalIsJudgedByWhatItStandsBeside(t *testing.T) {
	of := func(entrant, figure string, values ...float64) (all []cell) {
		for run, v := range values {
			all = append(all, cell{Servers: 1, Scene: "scene", Entrant: entrant, Run: run + 1, Figures: figures{figure: v}})
		}
		return all
	}
	failing := func(entrant string, runs ...int) (all []cell) {
		for _, run := range runs {
			all = append(all, cell{Servers: 1, Scene: "scene", Entrant: entrant, Run: run, Error: "no answer"})
		}
		return all
	}
	join := func(parts ...[]cell) (all []cell) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	for _, c := range []struct {
		name     string
		cells    []cell
		goal     goal
		want     string
		multiple float64
	}{
		{"as much as is wanted", join(of(native, rate, 22), of("zookeeper", rate, 10)), goal{figure: rate, times: 2.2, of: "zookeeper"}, "met", 2.2},
		{"less than is wanted", join(of(native, rate, 21), of("zookeeper", rate, 10)), goal{figure: rate, times: 2.2, of: "zookeeper"}, "**not met**", 2.1},
		{"not measured beside it", of(native, rate, 40), goal{figure: rate, times: 5, of: "etcd"}, "not measured", 0},
		{"less CPU", join(of(native, cpuPerK, 5), of("zookeeper", cpuPerK, 10)), goal{figure: cpuPerK, times: 0.5, of: "zookeeper"}, "met", 0.5},
		{"a figure of its own", of(native, seconds, 3), goal{figure: seconds, limit: 2}, "**not met**", 1.5},
		{"the median", of(native, seconds, 1, 1, 3), goal{figure: seconds, limit: 2}, "at the line: 2 of 3 runs", 0.5},
		{"the other side of the line", of(native, seconds, 1, 3, 3), goal{figure: seconds, limit: 2}, "**not met**, though in 1 of 3 runs", 1.5},
		{"on the other side, beside one that failed", join(of(native, seconds, 1, 3, 3), failing(native, 4)), goal{figure: seconds, limit: 2}, "**not met**, though in 1 of 4 runs, 1 failed", 1.5},
		{"every run", of(native, seconds, 1, 1.5, 1.9), goal{figure: seconds, limit: 2}, "met", 0.75},
		{"no run", of(native, seconds, 2.1, 3, 4), goal{figure: seconds, limit: 2}, "**not met**", 1.5},
		{"each run beside its own", join(of(native, rate, 20, 40, 60), of("zookeeper", rate, 10, 20, 30)), goal{figure: rate, times: 2, of: "zookeeper"}, "met", 2},
		{"a run that the other lacks", join(of(native, rate, 10, 40, 60), of("zookeeper", rate, 10, 20, 30)[1:]), goal{figure: rate, times: 1.5, of: "zookeeper"}, "met", 1.6},
		{"the worst", of(native, seconds, 1, 1, 3), goal{figure: seconds, limit: 2, worst: true}, "**not met**", 1.5},
		{"a run that failed", join(of(native, seconds, 1, 1, 1), failing(native, 4)), goal{figure: seconds, limit: 2}, "at the line: 3 of 4 runs, 1 failed", 0.5},
		{"one that failed beside some that do not meet it", join(of(native, seconds, 3, 3), failing(native, 3)), goal{figure: seconds, limit: 2}, "**not met**, 1 failed", 1.5},
		{"every run failed", join(failing(native, 1, 2), of("zookeeper", rate, 10, 10)), goal{figure: rate, times: 2, of: "zookeeper"}, "**not met**, 2 failed", 0},
		{"a failure in another's run", join(of(native, rate, 20, 20), of("zookeeper", rate, 10), failing("zookeeper", 2)), goal{figure: rate, times: 2, of: "zookeeper"}, "met", 2},
		{"the worst of all but one that failed", join(of(native, seconds, 1, 1.5), failing(native, 3)), goal{figure: seconds, limit: 2, worst: true}, "at the line: 2 of 3 runs, 1 failed", 0.75},
		{"the worst, and one that failed", join(of(native, seconds, 1, 3), failing(native, 3)), goal{figure: seconds, limit: 2, worst: true}, "**not met**, 1 failed", 1.5},
		{"nothing of it", of(native, rate, 3), goal{figure: seconds, limit: 2}, "not measured", 0},
		{"beside another figure of itself", []cell{{Servers: 1, Scene: "scene", Entrant: native, Run: 1, Figures: figures{p99Ms: 6, quietP99Ms: 4}}},
			goal{figure: p99Ms, times: 2, of: itself, beside: quietP99Ms}, "met", 1.5},
	} {
		c.goal.servers, c.goal.scene = 1, "scene"
		got := c.goal.judge(summarizeCells(c.cells), native)
		require.Equal(t, c.want, got.text(), c.name)
		require.InDelta(t, c.multiple, got.multiple, 1e-9, c.name)
	}
}

func TestTheGoalsAreATableOfWhatWasMeasured(t *testing.T) {
	cells := append(someCells(), cell{Servers: 1, Scene: startScene, Entrant: native, Run: 1, Figures: figures{p50Ms: 12}},
		cell{Servers: 1, Scene: "writes", Entrant: floorName, Run: 1, Figures: figures{rate: 4000}}, cell{Servers: 1, Scene: "writes", Entrant: throughZK, Run: 1, Figures: figures{rate: 900}},
		cell{Servers: 1, Scene: "one client, writes", Entrant: throughZK, Run: 1, Figures: figures{p50Ms: 0.3}})
	text := summarizeCells(cells).goalsMarkdown()
	for _, row := range []string{
		"**Of 7 goals 4 are met in every run, 0 by the median but not in every run, 3 are not met.** Not measured: 44.\n",
		"Loaded as ZooKeeper is, Lycaon meets 0 of the 1 goals of throughput, CPU and idle sessions that do not name etcd; 0 are at the line, 1 not met.\n",
		"| writes, per s | at least 2.2 x ZooKeeper | 4,000 | 500 |  | 1,000 | 900 to 1,200 | 2.00 x ZooKeeper | **not met** | 900 | 1.80 x ZooKeeper | **not met** |\n",
		"| writes, CPU s per 1,000 | at most 0.5 x ZooKeeper |  | 0.04 |  | 0.02 | 0.01 to 0.03 | 0.50 x ZooKeeper | met | | | |\n",
		"| one client, reads, p50 ms | at most 0.08 ms |  | 0.2 |  | 0.4 |  | 5.00 x the goal | **not met** | | | |\n",
		"| one client, writes, p50 ms | at most 0.42 ms |  |  |  |  |  |  | not measured | 0.3 | | |\n",
		"| leader killed with -9, to the next write, s | at most 0.4 s |  |  | 1.5 | 0.3 (Go client) |  | 0.75 x the goal | met | | | |\n",
		"| start the command, read a node, exit, p50 ms | at most 15 ms |  |  |  | 12 |  | 0.80 x the goal | met | | | |\n",
		"| sessions, per s | at least 2.5 x ZooKeeper |  |  |  |  |  |  | not measured | | | |\n",
		"| **3 servers, clients spread over all** |",
	} {
		require.Contains(t, text, row)
	}
}

func TestBesideEtcdAGoalIsJudgedByOurGoClient(t *testing.T) {
	g := goal{servers: 1, scene: "reads", figure: rate, times: 5, of: "etcd"}
	cells := []cell{{Servers: 1, Scene: "reads", Entrant: native, Run: 1, Figures: figures{rate: 600}}, {Servers: 1, Scene: "reads", Entrant: "etcd", Run: 1, Figures: figures{rate: 100}}}
	require.Equal(t, native, summarizeCells(cells).judged(&g), "where it takes no part")
	cells = append(cells, cell{Servers: 1, Scene: "reads", Entrant: throughGo, Run: 1, Figures: figures{rate: 400}})
	s := summarizeCells(cells)
	require.Equal(t, throughGo, s.judged(&g))
	d := g.judge(s, s.judged(&g))
	require.Equal(t, "**not met**", d.text())
	require.False(t, g.throughToo())
	beside := goal{servers: 1, scene: "reads", figure: rate, times: 5, of: "zookeeper"}
	require.Equal(t, native, s.judged(&beside))
}

func TestNobodyIsJudgedInPlaceOfWhoFailed(t *testing.T) {
	for _, c := range []struct{ failed, gave, of string }{{native, throughGo, "zookeeper"}, {throughGo, native, "etcd"}} {
		g := goal{servers: 1, scene: "reads", figure: rate, times: 5, of: c.of}
		s := summarizeCells([]cell{{Servers: 1, Scene: "reads", Entrant: c.failed, Run: 1, Error: "no answer"}, {Servers: 1, Scene: "reads", Entrant: c.gave, Run: 1, Figures: figures{rate: 600}},
			{Servers: 1, Scene: "reads", Entrant: c.of, Run: 1, Figures: figures{rate: 100}}})
		require.Equal(t, c.failed, s.judged(&g))
		d := g.judge(s, s.judged(&g))
		require.Equal(t, "**not met**, 1 failed", d.text())
		require.Empty(t, g.multipleText(d))
	}
}

func TestAMultipleIsToldOnItsSideOfTheGoal(t *testing.T) {
	atMost, atLeast := goal{figure: cpuPerK, times: 0.5, of: "zookeeper"}, goal{figure: rate, times: 3, of: "zookeeper"}
	for _, c := range []struct {
		g        goal
		multiple float64
		want     string
	}{
		{atMost, 0.4961, "0.50"}, {atMost, 0.503, "0.503"}, {atMost, 0.5004, "0.5004"}, {atMost, 0.58, "0.58"}, {atMost, 0.50000001, "0.500000"},
		{atLeast, 2.997, "2.997"}, {atLeast, 3.001, "3.00"}, {atLeast, 2.91, "2.91"},
	} {
		require.Equal(t, c.want+" x ZooKeeper", c.g.multipleText(verdict{known: true, multiple: c.multiple, met: c.g.meets(c.multiple)}))
	}
}

func TestAFailedRunIsToldInTheTableOfTheGoals(t *testing.T) {
	of := func(entrant string, run int, f figures, failure string) cell {
		return cell{Servers: 1, Scene: "writes", Entrant: entrant, Run: run, Figures: f, Error: failure}
	}
	both := func(more ...cell) string {
		return summarizeCells(append(more, of("zookeeper", 1, figures{rate: 100}, ""), of("zookeeper", 2, figures{rate: 100}, ""), of(native, 1, figures{rate: 300}, ""))).goalsMarkdown()
	}
	require.Contains(t, both(of(native, 2, figures{rate: 300}, "")), "**Of 1 goals 1 are met in every run, 0 by the median but not in every run, 0 are not met.** ")
	text := both(of(native, 2, nil, "no answer"), of(throughZK, 1, nil, "no answer"), of(throughGo, 1, nil, "no answer"))
	require.Contains(t, text, "**Of 1 goals 0 are met in every run, 1 by the median but not in every run, 0 are not met. By Lycaon's full Go client, of 3: 0, 0, 3** ")
	require.Contains(t, text, "| 300 |  | 3.00 x ZooKeeper | at the line: 1 of 2 runs, 1 failed | | | **not met**, 1 failed |\n")
	require.Contains(t, text, "\n- 1 server, writes, per s: **not met**, 1 failed\n")
}

func TestWhatTheGoClientDoesNotMeetIsTold(t *testing.T) {
	of := func(entrant string, v float64) cell {
		return cell{Servers: 1, Scene: "one change to 1,000 watchers", Entrant: entrant, Run: 1, Figures: figures{p50Ms: v}}
	}
	require.NotContains(t, summarizeCells([]cell{of(native, 8)}).goalsMarkdown(), "By Lycaon's full Go client")
	text := summarizeCells([]cell{of(native, 8), of(throughGo, 12.6)}).goalsMarkdown()
	require.Contains(t, text, "**Of 1 goals 1 are met in every run, 0 by the median but not in every run, 0 are not met. By Lycaon's full Go client, of 1: 0, 0, 1** ")
	require.Contains(t, text, "\n- 1 server, one change to 1,000 watchers, p50 ms: 12.6, 1.05 x the goal, where the goal is at most 12 ms: **not met**\n")
	text = summarizeCells([]cell{of(native, 8), of(throughGo, 11)}).goalsMarkdown()
	require.Contains(t, text, "of 1: 1, 0, 0** ")
	require.NotContains(t, text, "\n- ")
}

func TestIdleSessionsAreJudgedThroughTheProtocolOfZooKeeperToo(t *testing.T) {
	cells := []cell{{Servers: 1, Scene: idleScene, Entrant: native, Run: 1, Figures: figures{idlePercent: 0.8}}, {Servers: 1, Scene: idleScene, Entrant: throughZK, Run: 1, Figures: figures{idlePercent: 0.9}},
		{Servers: 1, Scene: idleScene, Entrant: throughZK, Run: 2, Figures: figures{idlePercent: 1.1}}, {Servers: 1, Scene: idleScene, Entrant: throughZK, Run: 3, Figures: figures{idlePercent: 0.9}}}
	require.Contains(t, summarizeCells(cells).goalsMarkdown(), "| 0.8 |  | 0.80 x the goal | met | 0.9 | 0.90 x the goal | at the line: 2 of 3 runs |\n")
}

func TestWhatIdleSessionsTakeOfAllServersIsToldBesideTheGoal(t *testing.T) {
	of := func(servers int, entrant string, v float64) cell {
		return cell{Servers: servers, Scene: idleScene, Entrant: entrant, Run: 1, Figures: figures{idlePercent: v}}
	}
	text := summarizeCells([]cell{of(1, native, 0.8), of(3, native, 0.7), of(3, "etcd", 7)}).goalsMarkdown()
	require.Contains(t, text, "*Idle* is what each server takes, and so is its goal; all 3 servers together take, in % of a core: lycaon 2.1, etcd 21. It has a price")
	require.NotContains(t, summarizeCells([]cell{of(1, native, 0.8)}).goalsMarkdown(), "*Idle* is what", "of one server there is no sum")
}

func TestAGoalIsCountedByItsMedian(t *testing.T) {
	var c score
	for _, d := range []verdict{{known: true, met: true, runs: 3, good: 3}, {known: true, met: true, runs: 3, good: 2}, {known: true, runs: 3, good: 2}, {known: true, runs: 3}, {}} {
		c.add(d)
	}
	require.Equal(t, score{met: 1, line: 1, missed: 2, unknown: 1}, c)
}

func TestEveryGoalIsAFigureOfAScene(t *testing.T) {
	for _, g := range goals() {
		require.Contains(t, sceneNames(), g.scene)
		require.NotEmpty(t, figureNames[g.figure], g.scene)
		require.NotContains(t, g.words(), "x  ", g.scene)
		require.True(t, g.times > 0 != (g.limit > 0), "%s, %s: one of a multiple and a figure", g.scene, g.figure)
	}
}
