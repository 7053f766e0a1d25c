package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

func heading(servers int) string {
	if servers == 1 {
		return "One server"
	}
	return fmt.Sprintf("%d servers, clients spread over all", servers)
}

// aboutMarkdown says on what, with what and how it was measured: the first run,
// and what differed in those that added to it.
func (r *results) aboutMarkdown(s *summary, file string) string {
	if len(r.Abouts) == 0 {
		return ""
	}
	var b strings.Builder
	first := r.Abouts[0]
	fmt.Fprintf(&b, "Measured from %s on.\n\n- Machine: %s. Every server and client ran on it, over loopback.\n- Disk: %s.\n",
		first.At.Format("2006-01-02 15:04 UTC"), first.Machine, first.Disk)
	versions := map[string]string{}
	for _, a := range slices.Backward(r.Abouts) {
		maps.Copy(versions, a.Versions)
	}
	for _, name := range sortedNames(versions) {
		fmt.Fprintf(&b, "- %s: %s\n", name, strings.TrimPrefix(versions[name], name+" "))
	}
	for _, a := range r.Abouts {
		fmt.Fprintf(&b, "- Command at %s, load %s: `%s` (%s)\n", a.At.Format("15:04"), a.Load, a.Command, a.amount())
		if a.Machine != first.Machine || a.Versions["lycaon"] != first.Versions["lycaon"] {
			fmt.Fprintf(&b, "  - with %s on %s\n", a.Versions["lycaon"], a.Machine)
		}
	}
	fmt.Fprintf(&b, "- Runs that there were: %s. All that each gave: [%s](%s), one JSON value a line.\n\n", s.runsText(), filepath.Base(file), file)
	return b.String()
}

// runsText says how many runs the medians are of, whatever was asked for: a run may
// have been ended, or failed.
func (s *summary) runsText() string {
	var each, few, many []int
	for k, n := range s.runs {
		each = append(each, n)
		if slices.Contains(manyScenes(), k.scene) {
			many = append(many, n)
		} else {
			few = append(few, n)
		}
	}
	if len(each) == 0 || len(few) == 0 || len(many) == 0 || slices.Min(each) == slices.Max(each) {
		return extent(each) + " of each scene"
	}
	return extent(few) + " of each scene, " + extent(many) + " of those with 100,000 nodes and more"
}

// extent is from the least to the most.
func extent(all []int) string {
	switch {
	case len(all) == 0:
		return "0"
	case slices.Min(all) == slices.Max(all):
		return fmt.Sprint(all[0])
	}
	return fmt.Sprintf("%d to %d", slices.Min(all), slices.Max(all))
}

// failedMarkdown lists the runs that are in no median.
func (s *summary) failedMarkdown() string {
	if len(s.failed) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "**Runs that failed**, and are in no median: %d.\n\n", len(s.failed))
	for _, c := range s.failed {
		fmt.Fprintf(&b, "- %d server%s, %s, %s, run %d: %s\n", c.Servers, plural(c.Servers), c.Scene, c.Entrant, c.Run, strings.ReplaceAll(c.Error, "\n", "; "))
	}
	return b.String() + "\n"
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

func count(n int, none, one, many string) string {
	switch n {
	case 0:
		return none
	case 1:
		return one
	}
	return fmt.Sprintf(many, n)
}

// pair is an entrant of Lycaon and the peer that it is compared with.
type pair struct{ entrant, peer string }

// pairs are those of a scene: like with like. The minimal clients stand beside each
// other, as does the one program in ZooKeeper's protocol with itself, and Go clients.
func (s *summary) pairs(servers int, scene string) []pair {
	goes := s.besideGo(servers, scene)
	return []pair{{native, "zookeeper"}, {throughZK, "zookeeper"}, {goes, "etcd"}, {goes, "consul"}}
}

// besideGo is the entrant that stands beside what is loaded by a Go client that calls:
// ours; where it takes no part, as where the client is none of the matter, the minimal one.
func (s *summary) besideGo(servers int, scene string) string {
	if !s.tookPart(servers, scene, throughGo) {
		return native
	}
	return throughGo
}

// tookPart tells whether an entrant was asked for a scene, even if that failed.
func (s *summary) tookPart(servers int, scene, entrant string) bool {
	return len(s.spreads[servers][scene][entrant]) > 0 || s.failures[cellKey{servers, scene, entrant, 0}] > 0
}

// besideText is the ratio to such a peer, in brackets if it is that of the minimal client.
func (s *summary) besideText(servers int, y yardstick, peer string) string {
	entrant := s.besideGo(servers, y.scene)
	text := s.ratioText(servers, y, entrant, peer)
	if entrant == native && text != "" {
		return "(" + text + ")"
	}
	return text
}

// tablesMarkdown are the tables of medians, one for each number of servers.
func (s *summary) tablesMarkdown() string {
	var b strings.Builder
	b.WriteString("Medians. A ratio is how much better Lycaon is: twice as much and half as long are both 2.0 x; **bold** is worse than the peer. Each stands behind the client that it is of; in\n" +
		"brackets it is of the minimal client (*Lycaon*), since the Go client takes no part.\n\n")
	for _, n := range s.serverCounts() {
		fmt.Fprintf(&b, "### %s\n\n", heading(n))
		s.compareAll(&b, n)
	}
	return b.String()
}

// compareAll is the table of medians with the ratios.
func (s *summary) compareAll(b *strings.Builder, servers int) {
	type column struct {
		head string
		text func(y yardstick) string
	}
	value := func(head, entrant string) column {
		return column{head, func(y yardstick) string {
			if v, ok := s.median(servers, y, entrant); ok {
				return number(v)
			}
			return ""
		}}
	}
	times := func(entrant string) column {
		return column{"x ZooKeeper", func(y yardstick) string { return s.ratioText(servers, y, entrant, "zookeeper") }}
	}
	beside := func(peer string) column {
		return column{"x " + peerNames[peer], func(y yardstick) string { return s.besideText(servers, y, peer) }}
	}
	columns := []column{value("ZooKeeper", "zookeeper"), value("etcd", "etcd"), value("Lycaon", native), times(native),
		value("Lycaon as ZooKeeper", throughZK), times(throughZK), value("Lycaon, Go client", throughGo), beside("etcd")}
	if s.measured(servers, "consul") {
		columns = append(columns, beside("consul"), value("Consul", "consul"))
	}
	if s.measured(servers, floorName) {
		columns = append(columns, value("Floor", floorName))
	}
	b.WriteString("|")
	for _, c := range columns {
		fmt.Fprintf(b, " | %s", c.head)
	}
	b.WriteString(" |\n|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, y := range s.yardsticks(servers) {
		fmt.Fprintf(b, "| %s", y.label())
		for _, c := range columns {
			fmt.Fprintf(b, " | %s", c.text(y))
		}
		b.WriteString(" |\n")
	}
	b.WriteString("\n")
}

// measured tells whether there is anything of an entrant.
func (s *summary) measured(servers int, entrant string) bool {
	for _, byEntrant := range s.spreads[servers] {
		if len(byEntrant[entrant]) > 0 {
			return true
		}
	}
	return false
}

func (s *summary) ratioText(servers int, y yardstick, entrant, peer string) string {
	ratio, ok := s.ratio(servers, y, entrant, peer)
	switch {
	case !ok:
		return ""
	case ratio < 1:
		return fmt.Sprintf("**%.2f x**", ratio)
	}
	return fmt.Sprintf("%.1f x", ratio)
}

// everything is the page of all that was measured.
func (r *results) everything(s *summary) string {
	var b strings.Builder
	b.WriteString("# Everything that was measured\n\nWhat each system gave in each scene: the median of its runs, and in brackets the least and the most; **bold** is worse than the peer that it stands\n" +
		"beside, as [in short](../PERFORMANCE.md#in-short) tells. Made by `make bench-peers`, which also writes\n" +
		"[PERFORMANCE.md](../PERFORMANCE.md#how-it-was-measured), where the scenes and the figures are explained.\n\n")
	b.WriteString(r.measuredAt(s) + "\n\n")
	for _, n := range s.serverCounts() {
		fmt.Fprintf(&b, "## %s\n\n", heading(n))
		s.tellAll(&b, n)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// tellAll is the table of everything: median, and the least and the most of all
// runs where there are several.
func (s *summary) tellAll(b *strings.Builder, servers int) {
	behind := map[yardstick][]string{}
	for _, y := range s.compared(servers) {
		f, _ := s.shortfall(servers, y)
		behind[y] = f.ours
	}
	text := func(scene, entrant, figure string) string {
		t := spreadText(s.spreads[servers][scene][entrant], figure)
		if slices.Contains(behind[yardstick{scene, figure}], entrant) {
			t = "**" + t + "**"
		}
		return t
	}
	order := []string{rate, p50Ms, p95Ms, p99Ms, cpuPerK, rssMiB, refusals}
	b.WriteString("| scene | of | runs |")
	for _, f := range order {
		fmt.Fprintf(b, " %s |", figureNames[f])
	}
	b.WriteString(" more |\n|---|---|---|" + strings.Repeat("---|", len(order)+1) + "\n")
	for _, scene := range s.scenes(servers) {
		for _, e := range entrantNames() {
			figures := s.spreads[servers][scene][e]
			if len(figures) == 0 {
				continue
			}
			fmt.Fprintf(b, "| %s | %s | %d |", scene, e, s.runs[cellKey{servers: servers, scene: scene, entrant: e}])
			for _, f := range order {
				fmt.Fprintf(b, " %s |", text(scene, e, f))
			}
			var more []string
			for _, f := range sortedNames(figures) {
				if !slices.Contains(order, f) {
					more = append(more, figureNames[f]+" "+text(scene, e, f))
				}
			}
			fmt.Fprintf(b, " %s |\n", strings.Join(more, "; "))
		}
	}
	b.WriteString("\n")
}

func spreadText(figures map[string]spread, name string) string {
	s, ok := figures[name]
	switch {
	case !ok:
		return ""
	case s.Min == s.Max:
		return number(s.Median)
	}
	return fmt.Sprintf("%s (%s to %s)", number(s.Median), number(s.Min), number(s.Max))
}
