package main

import (
	"encoding/xml"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestResultsGoOnWhereTheyWere(t *testing.T) {
	name := filepath.Join(t.TempDir(), "results.json")
	r, err := openResults(name)
	require.NoError(t, err)
	r.begin(about{Machine: "m", LengthS: 2})
	require.NoError(t, r.add(newCell(1, "writes", "etcd", 1, figures{rate: 10}, nil)))
	require.NoError(t, r.add(newCell(1, "writes", "zookeeper", 1, figures{rate: 1}, errors.New("broken"))))
	require.NoError(t, r.file.Close())

	r, err = openResults(name)
	require.NoError(t, err)
	r.begin(about{Machine: "other"})
	require.True(t, r.has(1, "writes", "etcd", 1))
	require.False(t, r.has(1, "writes", "etcd", 2))
	require.False(t, r.has(3, "writes", "etcd", 1))
	require.False(t, r.has(1, "writes", "zookeeper", 1), "what failed is run again")
	require.NoError(t, r.add(newCell(1, "writes", "zookeeper", 1, figures{rate: 7}, nil)))
	require.NoError(t, r.file.Close())
	r, err = openResults(name)
	require.NoError(t, err)
	r.begin(about{Machine: "third"})
	require.NoError(t, r.file.Close())

	r, err = loadResults(name)
	require.NoError(t, err)
	require.Len(t, r.Cells, 2, "and replaces it")
	require.Len(t, r.Abouts, 2, "a run that measured nothing says nothing")
	require.True(t, r.has(1, "writes", "zookeeper", 1))
	require.Equal(t, "m", r.Abouts[0].Machine)
	copied := filepath.Join(t.TempDir(), "copy.json")
	require.NoError(t, r.copyTo(copied))
	again, err := loadResults(copied)
	require.NoError(t, err)
	require.Equal(t, r.Cells, again.Cells)

	require.NoError(t, os.WriteFile(name, []byte("{\"cell\":{}}\nnonsense\n"), 0o644))
	_, err = loadResults(name)
	require.ErrorContains(t, err, "line 2")
}

// sample cells: Lycaon is ahead in writes, behind in latency.
func someCells() []cell {
	made := func(servers int, scene, entrant string, f ...figures) (all []cell) {
		for i := range f {
			all = append(all, cell{Servers: servers, Scene: scene, Entrant: entrant, Run: i + 1, Figures: f[i]})
		}
		return all
	}
	var all []cell
	all = append(all, made(1, "writes", native, figures{rate: 900, cpuPerK: 0.01}, figures{rate: 1200, cpuPerK: 0.02}, figures{rate: 1000, cpuPerK: 0.03})...)
	all = append(all, made(1, "writes", "zookeeper", figures{rate: 500, cpuPerK: 0.04})...)
	all = append(all, made(1, "one client, reads", native, figures{p50Ms: 0.4, rate: 5})...)
	all = append(all, made(1, "one client, reads", "zookeeper", figures{p50Ms: 0.2, rate: 5})...)
	all = append(all, made(3, killScene, throughGo, figures{seconds: 0.3, leaderS: 0.5})...)
	all = append(all, made(3, killScene, "etcd", figures{seconds: 1.5, leaderS: 0})...)
	return append(all, cell{Servers: 3, Scene: "reads", Entrant: "etcd", Run: 1, Error: "lost\nit"})
}

func TestARatioIsHowMuchBetterLycaonIs(t *testing.T) {
	s := summarizeCells(someCells())
	for _, c := range []struct {
		name          string
		servers       int
		y             yardstick
		entrant, peer string
		want          float64
		notComparable bool
	}{
		{"more a second", 1, yardstick{"writes", rate}, native, "zookeeper", 2, false},
		{"less CPU", 1, yardstick{"writes", cpuPerK}, native, "zookeeper", 2, false},
		{"longer", 1, yardstick{"one client, reads", p50Ms}, native, "zookeeper", 0.5, false},
		{"sooner", 3, yardstick{killScene, seconds}, throughGo, "etcd", 5, false},
		{"against 0", 3, yardstick{killScene, leaderS}, throughGo, "etcd", 0, true},
		{"against what was not measured", 1, yardstick{"writes", rate}, native, "etcd", 0, true},
	} {
		got, ok := s.ratio(c.servers, c.y, c.entrant, c.peer)
		require.Equal(t, !c.notComparable, ok, c.name)
		require.InDelta(t, c.want, got, 1e-9, c.name)
	}
}

func TestThePageSaysWhereLycaonIsBehindAndWhatFailed(t *testing.T) {
	r := &results{Cells: someCells(), Abouts: []about{{Machine: "2 cores", Command: "go run . peers", LengthS: 2, Runs: 5, BulkRuns: 1, Versions: map[string]string{"lycaon": "v1, commit abc1234"}}}}
	s := summarizeCells(r.Cells)
	short := r.short(s)
	require.Contains(t, short, "**Measured at commit abc1234**, from ")
	require.Contains(t, short, "by runs of 2 s (1 to 3 of each scene), on\n2 cores, which all servers and their load shared.")
	require.Contains(t, short, "| "+killScene+", s |  |  |  | 0.3: 5.0 x |\n")
	require.NotContains(t, short, "| sessions", "which nobody played")
	require.Contains(t, short, "of every scene that has them): in one.\n"+notCounted+"- 1 server, one client, reads, p50 ms: lycaon 0.4; zookeeper 0.2 (0.50 x)\n")
	require.Equal(t, "**Runs that failed**, and are in no median: 1.\n\n- 3 servers, reads, etcd, run 1: lost; it\n\n", s.failedMarkdown())
	tables := s.tablesMarkdown()
	require.Contains(t, tables, "| writes, per s | 500 |  | 1,000 | 2.0 x |  |  |  |  |\n")
	require.Contains(t, tables, "| one client, reads, p50 ms | 0.2 |  | 0.4 | **0.50 x** |")
	require.Contains(t, r.everything(s), "| writes | lycaon | 3 | 1,000 (900 to 1,200) |")
	require.Contains(t, plotsMarkdown(s.plots(), "performance"), "![One server: done a second (more is better; logarithmic axis)](performance/1-throughput.svg)")
	on := r.aboutMarkdown(s, "performance/results.json")
	require.Contains(t, on, "`go run . peers` (asked for: 5 runs of 2 s, 1 of the scenes with 100,000 nodes and more)\n")
	require.Contains(t, on, "- Runs that there were: 1 to 3 of each scene. All that each gave: [results.json](performance/results.json), one JSON value a line.\n", "whatever was asked for")
	many := append(someCells(), cell{Servers: 1, Scene: batchScene(million), Entrant: native, Run: 1, Figures: figures{rate: 1}})
	require.Equal(t, "1 to 3 of each scene, 1 of those with 100,000 nodes and more", summarizeCells(many).runsText())
	require.Equal(t, "1 of each scene", summarizeCells(many[4:]).runsText())
}

func TestConsulHasItsColumnsWhereItWasMeasured(t *testing.T) {
	r := &results{Abouts: []about{{}}, Cells: append(someCells(),
		cell{Servers: 3, Scene: killScene, Entrant: "consul", Run: 1, Figures: figures{seconds: 9}})}
	one, three, _ := strings.Cut(summarizeCells(r.Cells).tablesMarkdown(), "### 3 servers")
	require.NotContains(t, one, "Consul")
	require.Contains(t, three, "| Lycaon, Go client | x etcd | x Consul | Consul |\n")
	require.Contains(t, three, "| "+killScene+", s |  | 1.5 |  |  |  |  | 0.3 | 5.0 x | 30.0 x | 9 |\n")
}

func TestBesideEtcdStandsAGoClientAndInBracketsTheMinimalOne(t *testing.T) {
	cells := append(someCells(), cell{Servers: 1, Scene: "writes", Entrant: "etcd", Run: 1, Figures: figures{rate: 100}})
	require.Contains(t, summarizeCells(cells).tablesMarkdown(), "| writes, per s | 500 | 100 | 1,000 | 2.0 x |  |  |  | (10.0 x) |\n")
	cells = append(cells, cell{Servers: 1, Scene: "writes", Entrant: throughGo, Run: 1, Figures: figures{rate: 50}})
	s := summarizeCells(cells)
	require.Contains(t, s.tablesMarkdown(), "| writes, per s | 500 | 100 | 1,000 | 2.0 x |  |  | 50 | **0.50 x** |\n")
	require.Contains(t, (&results{}).short(s), "- 1 server, writes, per s: lycaon, Go client 50; etcd 100 (0.50 x)\n")
}

func TestHowLongRequestsTookIsComparedInEveryScene(t *testing.T) {
	of := func(entrant, scene string, f figures) cell {
		return cell{Servers: 3, Scene: scene, Entrant: entrant, Run: 1, Figures: f}
	}
	const loop, lone = "open loop, 2,000 writes/s", "one client, writes"
	r := &results{Abouts: []about{{}}, Cells: []cell{
		of(native, loop, figures{rate: 1999, p50Ms: 1.2, p95Ms: 1, p99Ms: 2}), of("zookeeper", loop, figures{rate: 2000, p50Ms: 1, p95Ms: 2, p99Ms: 2}),
		of(throughGo, lone, figures{rate: 10, p50Ms: 1, p95Ms: 3, p99Ms: 9}), of("etcd", lone, figures{rate: 20, p50Ms: 1, p95Ms: 2, p99Ms: 10}),
		of(throughZK, "writes", figures{rate: 9, p99Ms: 30}), of("zookeeper", "writes", figures{rate: 8, p99Ms: 20}),
	}}
	s := summarizeCells(r.Cells)
	require.Contains(t, r.short(s), "of every scene that has them): in 3.\n"+notCounted+
		"- 3 servers, writes, p99 ms: lycaon as ZooKeeper 30; zookeeper 20 (0.67 x)\n"+
		"- 3 servers, one client, writes, p95 ms: lycaon, Go client 3; etcd 2 (0.67 x)\n"+
		"- 3 servers, open loop, 2,000 writes/s, p50 ms: lycaon 1.2; zookeeper 1 (0.83 x)\n\n")
	require.Contains(t, r.short(s), ", of 8 figures ")
	everything := r.everything(s)
	require.Contains(t, everything, "| "+loop+" | lycaon | 1 | 1,999 | **1.2** | 1 | 2 |")
	require.Contains(t, everything, "| "+lone+" | lycaon, Go client | 1 | 10 | 1 | **3** | 9 |", "a rate that is no yardstick of its scene is not marked")
	require.Equal(t, 3, strings.Count(everything, "| **"))
}

func TestAFixedRateNearTheMostOfEtcdIsSaidToBe(t *testing.T) {
	short := func(most float64) string {
		of := func(entrant, scene string, f figures) cell {
			return cell{Servers: 3, Scene: scene, Entrant: entrant, Run: 1, Figures: f}
		}
		return (&results{}).short(summarizeCells([]cell{of("etcd", "writes", figures{rate: most}), of(throughGo, openLoopWrites, figures{p99Ms: 2}), of("etcd", openLoopWrites, figures{p99Ms: 100})}))
	}
	require.Contains(t, short(8888), "| open loop, 8,000 writes/s, p99 ms |  | 2: 50.0 x |\n\n8,000 writes/s on 3 servers are 90 % of what etcd does at most (8,888/s).\n\n")
	require.NotContains(t, short(10_000), "at most")
	require.NotContains(t, short(10_000), "timeouts", "where no leader was paused")
	require.Contains(t, (&results{}).short(summarizeCells([]cell{{Servers: 3, Scene: pauseScene, Entrant: "etcd", Run: 1, Figures: figures{seconds: 1}}})), "default timeouts ([how")
}

func TestWhereTheGoClientIsBehindZooKeeperIsToldApart(t *testing.T) {
	of := func(entrant, scene string, f figures) cell {
		return cell{Servers: 1, Scene: scene, Entrant: entrant, Run: 1, Figures: f}
	}
	s := summarizeCells([]cell{of(throughGo, "sessions", figures{rate: 80, p99Ms: 4}), of("zookeeper", "sessions", figures{rate: 100, p99Ms: 2}),
		of(throughGo, "writes", figures{rate: 200}), of("zookeeper", "writes", figures{rate: 100})})
	short := (&results{}).short(s)
	require.Contains(t, short, "is not like with like, since ours takes more of the same cores: behind in 2 of 3 such medians, the worst: sessions, p99 ms on 1 server 0.50 x; sessions, per s on 1 server 0.80 x.\n")
	require.Contains(t, short, "): in none.\n", "and is in no list")
	require.NotContains(t, (&results{}).short(summarizeCells(someCells())), "beside the minimal client that loads ZooKeeper", "where it was not measured there")
}

func TestTheCPUOfASnapshotIsToldWhereItIsMoreThanThatOfAPeer(t *testing.T) {
	of := func(entrant string, values ...float64) (all []cell) {
		for run, v := range values {
			all = append(all, cell{Servers: 3, Scene: snapshotScene, Entrant: entrant, Run: run + 1, Figures: figures{cpuS: v}})
		}
		return all
	}
	short := func(cells ...[]cell) string { return (&results{}).short(summarizeCells(slices.Concat(cells...))) }
	text := short(of(native, 2, 1, 4), of("zookeeper", 0.5, -0.5, 1.5), of("etcd", -0.1, -0.2, 0.3))
	require.Contains(t, text, "**What a snapshot costs, 3 servers**, is more than of a peer: 2 (1 to 4) CPU s of Lycaon beyond as many seconds without one; 0.5 (-0.5 to 1.5) of ZooKeeper, -0.1 (-0.2 to 0.3) of etcd")
	require.Contains(t, text, "; the ranges of the runs overlap, except with those of etcd.\n")
	require.Contains(t, short(of(native, 2, 1, 4), of("zookeeper", 0.5, -0.5, 1.5)), "; the ranges of the runs overlap.\n")
	require.NotContains(t, short(of(native, 0.2), of("zookeeper", 0.5)), "What a snapshot costs")
}

func TestAPageKeepsWhatIsOutsideTheMarks(t *testing.T) {
	const begin, end = "<!-- begin: made by bench report -->", "<!-- end: made by bench report -->"
	other := "<!-- begin: made by bench scale -->\nother\n<!-- end: made by bench scale -->\n"
	page := "# Title\n" + other + begin + "\nold\n" + end + "\nend\n"
	got, err := between(page, "bench report", "new\n")
	require.NoError(t, err)
	require.Equal(t, "# Title\n"+other+begin+"\n\nnew\n\n"+end+"\nend\n", got)
	twice, err := between(got, "bench report", "new\n")
	require.NoError(t, err)
	require.Equal(t, got, twice)
	_, err = between("# Title\n"+begin, "bench report", "new")
	require.ErrorContains(t, err, "wants the lines")
}

func TestAPlotIsAnSVGWithABarForEachFigure(t *testing.T) {
	for _, p := range summarizeCells(someCells()).plots() {
		svg := p.svg()
		d, bars := xml.NewDecoder(strings.NewReader(svg)), 0
		for {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			require.NoError(t, err, svg)
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "title" {
				bars++
			}
		}
		want := 1 // the title of the whole
		for _, g := range p.groups {
			want += len(g.bars)
		}
		require.Equal(t, want, bars, p.file)
		require.NotContains(t, svg, "consul", "of which there is nothing")
		require.NotContains(t, svg, "NaN")
		require.NotContains(t, svg, "Inf")
	}
	empty := plot{title: "a < b & c"}
	require.Contains(t, empty.svg(), "a &lt; b &amp; c")
}

func TestAScaleHasRoomForEveryBar(t *testing.T) {
	for _, c := range []struct{ values, want []float64 }{
		{[]float64{0.3, 20}, []float64{0.1, 100}},
		{[]float64{10}, []float64{1, 10}},
		{[]float64{15, 16}, []float64{10, 100}},
		{nil, []float64{1, 10}},
	} {
		p := plot{groups: []plotGroup{{}}}
		for _, v := range c.values {
			p.groups[0].bars = append(p.groups[0].bars, bar{native, v})
		}
		least, most := p.bounds()
		require.InDeltaSlice(t, c.want, []float64{least, most}, 1e-9, "%v", c.values)
	}
}

func TestNumbersHaveThreeDigits(t *testing.T) {
	for want, v := range map[string]float64{"0": 0, "0.0123": 0.012345, "1.5": 1.5, "999": 999.4, "1,000": 999.6, "9,994": 9994, "10 k": 9996, "72.1 k": 72_100,
		"1 M": 999_600, "1.09 M": 1_091_062} {
		require.Equal(t, want, number(v))
	}
	for want, n := range map[string]int{"0": 0, "999": 999, "1,000": 1000, "1,234,567": 1_234_567} {
		require.Equal(t, want, thousands(n))
	}
}

func TestRequestsAreSplitByTheSnapshot(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	var whole tally
	for i := range 100 {
		took := time.Millisecond
		if i >= 40 && i <= 49 {
			took = 20 * time.Millisecond
		}
		whole.answered = append(whole.answered, sampleOf(at(i), took))
	}
	got, err := throughFigures(whole, []span{{at(40), at(49)}})
	require.NoError(t, err)
	require.InDelta(t, 20, got[p99Ms], 1e-9)
	require.InDelta(t, 1, got[quietP99Ms], 1e-9)
	require.InDelta(t, 0.009, got[snapshotS], 1e-9)
	_, err = throughFigures(whole, []span{{at(200), at(300)}})
	require.ErrorContains(t, err, "while the snapshot was taken")
}

func TestASnapshotCostsWhatItsSecondsTakeMoreThanOthers(t *testing.T) {
	s := time.Second
	require.Equal(t, 3*s, surplus([]time.Duration{3 * s, 2 * s}, []time.Duration{s, 2 * s, 0}))
	require.Zero(t, surplus(nil, nil))
}

func TestASpanIsOverWhenItIsSoNoMore(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	s := &spans{}
	for i, is := range []bool{false, true, true, false, false, true} {
		s.note(is, at(i))
		require.Equal(t, i == 3 || i == 4, s.over(), i)
		require.Equal(t, is, s.seenSince(at(i)), i)
		require.Equal(t, i > 0, s.seenSince(at(max(0, i-2))), "%d: in the 2 ms before", i)
	}
	require.Equal(t, []span{{at(1), at(3)}, {at(5), at(5)}}, s.seen)
	require.Equal(t, 2*time.Millisecond, s.longest())
}

func TestWhatCannotBeOpenedIsNothing(t *testing.T) {
	none, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, none.Close())
	for _, e := range entrants(binaries{}) {
		if e.name == throughGo || e.name == "etcd" {
			continue // their clients wait for a server
		}
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			a, err := e.dial(none.Addr().String())
			require.Error(t, err)
			require.Nil(t, a)
		})
		t.Run(e.name+" under load", func(t *testing.T) {
			t.Parallel()
			l, err := e.loader(none.Addr().String())
			require.Error(t, err)
			require.Nil(t, l)
		})
	}
}

func TestASnapshotIsComparedWithAsManyQuietSeconds(t *testing.T) {
	require.Equal(t, quietSeconds, enoughQuiet(0, 0), "none yet")
	require.Equal(t, quietSeconds, enoughQuiet(20, 1200*time.Millisecond), "a short one")
	require.Equal(t, 11, enoughQuiet(20, 11900*time.Millisecond))
	require.Equal(t, quietSeconds, enoughQuiet(quietPatience, 11900*time.Millisecond), "so much quiet does not come")
}

func TestASnapshotOfZooKeeperIsWholeWithItsSeal(t *testing.T) {
	name := filepath.Join(t.TempDir(), "snapshot.1f")
	require.False(t, zkSealed(name), "it may be gone")
	for _, c := range []struct {
		of     string
		sealed bool
	}{
		{"", false},
		{"ZKSN", false},
		{"ZKSN and nodes\x00\x00\x00\x01/", true},
		{"ZKSN and nodes\x00\x00\x00\x01/m", false},
		{"ZKSN and nodes\x00\x00\x00\x02//", false},
	} {
		require.NoError(t, os.WriteFile(name, []byte(c.of), 0o644))
		require.Equal(t, c.sealed, zkSealed(name), "%q", c.of)
	}
}

func TestTheFloorAndTheCommandArePlayedWhereTheyCanBe(t *testing.T) {
	played := func(servers int, entrant string) (scenes []string) {
		c := &comparison{names: entrant}
		all, err := c.entrants(servers)
		require.NoError(t, err)
		for _, a := range acts() {
			for _, e := range all {
				if !a.leaves(e) {
					scenes = append(scenes, a.name)
				}
			}
		}
		return scenes
	}
	require.Contains(t, played(1, native), startScene)
	require.NotContains(t, played(1, "etcd"), startScene)
	require.Subset(t, played(1, floorName), []string{"writes", "reads", "one client, reads", "one change to 1,000 watchers", "listing of 10,000 children"})
	for _, scene := range []string{"linearizable reads", "sessions", idleScene} {
		require.NotContains(t, played(1, floorName), scene)
	}
	require.Empty(t, played(3, floorName))
}

func TestEachRunHasAnOrderOfItsOwn(t *testing.T) {
	for run, want := range []string{"abdc", "bcad", "cdba", "dacb", "abdc"} {
		require.Equal(t, want, strings.Join(inTurn([]string{"a", "b", "c", "d"}, run+1), ""))
	}
	require.Empty(t, inTurn([]string(nil), 1))

	all := []int{0, 1, 2, 3, 4, 5, 6}
	behind, first := map[[2]int]int{}, map[int]int{}
	for run := range len(all) {
		turns := inTurn(all, run+1)
		require.ElementsMatch(t, all, turns)
		first[turns[0]]++
		for i := range len(turns) - 1 {
			behind[[2]int{turns[i], turns[i+1]}]++
		}
	}
	require.Len(t, first, len(all))
	for pair, times := range behind {
		require.LessOrEqual(t, times, 2, pair)
	}
}

func TestAPortIsGivenOnce(t *testing.T) {
	seen := map[string]bool{}
	for range 300 {
		addr, err := freeAddr()
		require.NoError(t, err)
		require.False(t, seen[addr], addr)
		seen[addr] = true
	}
}

func TestACommandIsToldAsItIsTyped(t *testing.T) {
	require.Equal(t, "peers -only 'one client' -millions ''", commandLine([]string{"peers", "-only", "one client", "-millions", ""}))
	require.Equal(t, `make bench-peers ARGS=".../consul.bin -out .../r.json -lycaon ../bin/lycaon"`, withoutFolders(`make bench-peers ARGS="/a/consul.bin -out /b/c/r.json -lycaon ../bin/lycaon"`))
}

func TestEverySceneHasItsPlace(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range sceneNames() {
		require.False(t, seen[name], name)
		seen[name] = true
		require.NotEmpty(t, yardsticksOf(name), name)
		for _, y := range yardsticksOf(name) {
			require.NotEmpty(t, figureNames[y.figure], name)
		}
	}
	for _, e := range entrantNames() {
		require.NotEmpty(t, colours[e], e)
	}
}

// absent is a system whose servers do not come up.
type absent struct {
	loop
	tries *int
}

func (a absent) lay(string, int) ([]*member, error) {
	*a.tries++
	return nil, errors.New("it is not here")
}

func TestServersThatDoNotComeUpAreNotWaitedForAgain(t *testing.T) {
	r, err := openResults(filepath.Join(t.TempDir(), "results.json"))
	require.NoError(t, err)
	tries := 0
	c := comparison{dir: t.TempDir(), down: map[string]error{}, results: r}
	e := entrant{name: "etcd", system: absent{tries: &tries}}
	require.Empty(t, c.ensembles(t.Context(), map[string]system{"etcd": e.system}, 1))
	for _, a := range acts()[:3] {
		require.NoError(t, c.perform(t.Context(), map[string]*venue{}, 1, a, e, 1))
	}
	require.Equal(t, 2, tries)
	require.Len(t, r.Cells, 3)
	for _, failed := range r.Cells {
		require.Contains(t, failed.Error, "it is not here")
	}
}
