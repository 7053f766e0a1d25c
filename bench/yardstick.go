package main

import (
	"fmt"
	"slices"
	"strings"
)

// yardstick is a figure of a scene by which systems are compared.
type yardstick struct {
	scene, figure string
}

// lower tells whether less is better.
func (y yardstick) lower() bool { return y.figure != rate }

func (y yardstick) label() string {
	return y.scene + ", " + figureNames[y.figure]
}

// figureNames are how figures are told, with their units.
var figureNames = map[string]string{
	rate: "per s", p50Ms: "p50 ms", p95Ms: "p95 ms", p99Ms: "p99 ms", cpuPerK: "CPU s per 1,000", rssMiB: "MiB resident", refusals: "errors",
	seconds: "s", cpuS: "CPU s", leaderS: "s, client at the leader", nodeBytes: "bytes a node", nodeAnon: "anonymous bytes a node",
	loadPerK: "CPU s per 1,000 of the load program", liveBytes: "live bytes each", perSync: "writes a sync",
	idlePercent: "% of a core a server", busiestPercent: "% of a core the busiest", firstMiB: "MiB resident at its beginning", liveMiB: "MiB live", firstLive: "MiB live at its beginning", quietP99Ms: "p99 ms without", snapshotS: "s of snapshot",
	startMiBs: "MiB read a second", fileMiBs: "MiB/s of the snapshot alone", fileS: "s to read the snapshot alone", diskS: "s of the disk for what is read",
}

// yardsticksOf are the figures that count in a scene.
func yardsticksOf(scene string) []yardstick {
	var names []string
	switch {
	case strings.HasPrefix(scene, "one client"):
		names = []string{p50Ms, cpuPerK}
	case strings.HasPrefix(scene, "one change"), scene == startScene:
		names = []string{p50Ms}
	case strings.HasPrefix(scene, "open loop"):
		names = []string{p95Ms, p99Ms, cpuPerK}
	case scene == snapshotScene:
		names = []string{p99Ms, snapshotS}
	case strings.HasPrefix(scene, "kill"):
		names = []string{seconds, cpuS}
	case scene == killScene, scene == pauseScene:
		names = []string{seconds, leaderS}
	case scene == createScene(hundredThousand): // too few for a figure of memory
		names = []string{rate, cpuPerK}
	case scene == "writes":
		names = []string{rate, cpuPerK, rssMiB}
	case scene == idleScene:
		names = []string{idlePercent}
	case scene == batchScene(million):
		names = []string{rate, cpuPerK, nodeBytes}
	default:
		names = []string{rate, cpuPerK}
	}
	var all []yardstick
	for _, n := range names {
		all = append(all, yardstick{scene, n})
	}
	return all
}

// summary is what all runs of the cells gave, by servers, scene, entrant and
// figure.
type summary struct {
	spreads map[int]map[string]map[string]map[string]spread
	runs    map[cellKey]int // of each but its run
	ofRun   map[cellKey]figures
	failed  []cell

	failures map[cellKey]int // as runs
}

func summarizeCells(cells []cell) *summary {
	s := &summary{spreads: map[int]map[string]map[string]map[string]spread{}, runs: map[cellKey]int{}, ofRun: map[cellKey]figures{}, failures: map[cellKey]int{}}
	values := map[cellKey]map[string][]float64{}
	for _, c := range cells {
		k := c.key().like()
		if c.Error != "" {
			s.failed = append(s.failed, c)
			s.failures[k]++
			continue
		}
		s.runs[k]++
		s.ofRun[c.key()] = c.Figures
		if values[k] == nil {
			values[k] = map[string][]float64{}
		}
		for name, v := range c.Figures {
			values[k][name] = append(values[k][name], v)
		}
	}
	for k, byName := range values {
		for name, vs := range byName {
			s.at(k.servers, k.scene, k.entrant)[name] = spreadOf(vs)
		}
	}
	return s
}

// at is where the figures of an entrant are kept.
func (s *summary) at(servers int, scene, entrant string) map[string]spread {
	if s.spreads[servers] == nil {
		s.spreads[servers] = map[string]map[string]map[string]spread{}
	}
	if s.spreads[servers][scene] == nil {
		s.spreads[servers][scene] = map[string]map[string]spread{}
	}
	if s.spreads[servers][scene][entrant] == nil {
		s.spreads[servers][scene][entrant] = map[string]spread{}
	}
	return s.spreads[servers][scene][entrant]
}

// median is that of a figure, if there is one.
func (s *summary) median(servers int, y yardstick, entrant string) (float64, bool) {
	v, ok := s.spreads[servers][y.scene][entrant][y.figure]
	return v.Median, ok
}

// ratio is how much better an entrant is than another: 2 if it does twice as
// much, or takes half as long. There is none where either was not measured, or
// measured as 0.
func (s *summary) ratio(servers int, y yardstick, entrant, peer string) (float64, bool) {
	a, okA := s.median(servers, y, entrant)
	b, okB := s.median(servers, y, peer)
	if !okA || !okB || a <= 0 || b <= 0 {
		return 0, false
	}
	if y.lower() {
		return b / a, true
	}
	return a / b, true
}

// scenes are those that were played on so many servers, in order.
func (s *summary) scenes(servers int) []string {
	names := sortedNames(s.spreads[servers])
	slices.SortStableFunc(names, func(a, b string) int { return placeOf(a) - placeOf(b) })
	return names
}

// serverCounts are the numbers of servers that there is something of.
func (s *summary) serverCounts() []int {
	var all []int
	for n := range s.spreads {
		if slices.ContainsFunc(entrantNames(), func(e string) bool { return s.measured(n, e) }) {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

func (s *summary) yardsticks(servers int) []yardstick { return s.figuresOf(servers, yardsticksOf) }

// compared are the figures in which it is told where Lycaon is behind: those that count,
// and how long requests took in every scene, which the tables have no room for.
func (s *summary) compared(servers int) []yardstick {
	return s.figuresOf(servers, func(scene string) []yardstick {
		all := yardsticksOf(scene)
		for _, f := range []string{p50Ms, p95Ms, p99Ms} {
			if y := (yardstick{scene, f}); !slices.Contains(all, y) {
				all = append(all, y)
			}
		}
		return all
	})
}

// figuresOf are the figures that somebody gave, of those of each scene.
func (s *summary) figuresOf(servers int, of func(scene string) []yardstick) []yardstick {
	var all []yardstick
	for _, scene := range s.scenes(servers) {
		for _, y := range of(scene) {
			if slices.ContainsFunc(entrantNames(), func(e string) bool { _, ok := s.median(servers, y, e); return ok }) {
				all = append(all, y)
			}
		}
	}
	return all
}

// number writes a figure with three digits that mean something.
func number(v float64) string {
	switch {
	case v >= 999_500:
		return fmt.Sprintf("%.3g M", v/1e6)
	case v >= 9995:
		return fmt.Sprintf("%.3g k", v/1e3)
	case v >= 999.5:
		return thousands(int(v + 0.5))
	case v == 0:
		return "0"
	}
	return fmt.Sprintf("%.3g", v)
}
