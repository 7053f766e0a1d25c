package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// headlines are what to know of Lycaon beside the others.
var headlines = []yardstick{
	{"writes", rate}, {"writes", cpuPerK}, {"50 % reads", rate}, {"reads", rate}, {"linearizable reads", rate}, {"one client, writes", p50Ms},
	{"open loop, 2,000 writes/s", p50Ms}, {"open loop, 2,000 writes/s", p99Ms}, {openLoopWrites, p99Ms}, {"sessions", rate}, {idleScene, idlePercent}, {restartScene(hundredThousand), seconds}, {killScene, seconds}, {pauseScene, seconds},
}

// openLoopWrites come at openLoopRate.
const (
	openLoopWrites = "open loop, 8,000 writes/s"
	openLoopRate   = 8000
)

// nearItsMost is the part of what a peer does at most from which on a fixed rate says
// more of where that is than of latency.
const nearItsMost = 0.8

// short is the first screen of the page: when and where it was measured, what it
// comes to, and where Lycaon is behind.
func (r *results) short(s *summary) string {
	var b strings.Builder
	b.WriteString(r.measuredAt(s) + "\n\n")
	b.WriteString("What Lycaon gives, and how many times better it is (medians): 2.0 x is twice the rate or half the time; **bold** is worse. For ZooKeeper one program loads both, in ZooKeeper's protocol; for etcd\n" +
		"each has its own Go client (in brackets: Lycaon's minimal one).\n\n| |")
	counts := s.serverCounts()
	for _, n := range counts {
		fmt.Fprintf(&b, " %d server%s, x ZooKeeper | x etcd |", n, plural(n))
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", 2*len(counts)) + "\n")
	for _, y := range headlines {
		var row strings.Builder
		for _, n := range counts {
			fmt.Fprintf(&row, " %s | %s |", s.givenText(n, y, throughZK, s.ratioText(n, y, throughZK, "zookeeper")), s.givenText(n, y, s.besideGo(n, y.scene), s.besideText(n, y, "etcd")))
		}
		if strings.Trim(row.String(), " |") != "" {
			fmt.Fprintf(&b, "| %s |%s\n", y.label(), row.String())
		}
	}
	b.WriteString("\n")
	s.tellTerms(&b)
	s.tellBehind(&b)
	return b.String()
}

// givenText is what an entrant gave, before how it compares, if it does.
func (s *summary) givenText(servers int, y yardstick, entrant, ratio string) string {
	if ratio == "" {
		return ""
	}
	v, _ := s.median(servers, y, entrant)
	return number(v) + ": " + ratio
}

// tellTerms says what flatters Lycaon in the headlines.
func (s *summary) tellTerms(b *strings.Builder) {
	var terms []string
	for _, n := range s.serverCounts() {
		_, compared := s.ratio(n, yardstick{openLoopWrites, p99Ms}, s.besideGo(n, openLoopWrites), "etcd")
		most, ok := s.median(n, yardstick{"writes", rate}, "etcd")
		if compared && ok && openLoopRate > nearItsMost*most {
			terms = append(terms, fmt.Sprintf("%s writes/s on %d server%s are %.0f %% of what etcd does at most (%s/s).", thousands(openLoopRate), n, plural(n), 100*openLoopRate/most, number(most)))
		}
	}
	if slices.ContainsFunc(s.serverCounts(), func(n int) bool { return len(s.spreads[n][pauseScene]) > 0 }) {
		terms = append(terms, "How long a paused leader costs is up to each system's default timeouts ([how it was measured](#how-it-was-measured)).")
	}
	if len(terms) > 0 {
		b.WriteString(strings.Join(terms, " ") + "\n\n")
	}
}

// measuredAt says in a sentence when, at which commit, how often and on what.
func (r *results) measuredAt(s *summary) string {
	if len(r.Abouts) == 0 {
		return "Measured " + s.runsText() + "."
	}
	first := r.Abouts[0]
	var commits, lengths []string
	for _, a := range r.Abouts {
		if _, commit, ok := strings.Cut(a.Versions["lycaon"], "commit "); ok && !slices.Contains(commits, commit) {
			commits = append(commits, commit)
		}
		if length := fmt.Sprintf("%g s", a.LengthS); !slices.Contains(lengths, length) {
			lengths = append(lengths, length)
		}
	}
	if len(commits) == 0 {
		commits = []string{unknown}
	}
	return fmt.Sprintf("**Measured at commit %s**, from %s on, by runs of %s (%s), on\n%s, which all servers and their load shared. What came in use after that commit is not in it.",
		strings.Join(commits, " and "), first.At.Format("2006-01-02 15:04 UTC"), strings.Join(lengths, " and "), s.runsText(), first.Machine)
}

// shortfall is a figure in which Lycaon is worse than peers.
type shortfall struct {
	servers      int
	y            yardstick
	ours, theirs []string // entrants
	worst        float64  // ratio
}

// shortfalls are all there are, of so many figures that were compared.
func (s *summary) shortfalls() (all []shortfall, compared int) {
	for _, n := range s.serverCounts() {
		for _, y := range s.compared(n) {
			f, ok := s.shortfall(n, y)
			if ok {
				compared++
			}
			if len(f.ours) > 0 {
				all = append(all, f)
			}
		}
	}
	return all, compared
}

// shortfall tells by whom Lycaon is beaten in a figure, and whether there is anybody
// to be compared with.
func (s *summary) shortfall(servers int, y yardstick) (f shortfall, compared bool) {
	f = shortfall{servers: servers, y: y, worst: 1}
	for _, p := range s.pairs(servers, y.scene) {
		ratio, ok := s.ratio(servers, y, p.entrant, p.peer)
		compared = compared || ok
		if !ok || ratio >= 1 {
			continue
		}
		f.worst = min(f.worst, ratio)
		if !slices.Contains(f.ours, p.entrant) {
			f.ours = append(f.ours, p.entrant)
		}
		if !slices.Contains(f.theirs, p.peer) {
			f.theirs = append(f.theirs, p.peer)
		}
	}
	return f, compared
}

// whySlow is said where a snapshot takes longer than that of a peer.
const whySlow = "A snapshot takes long on purpose: who writes it rests nine times as long as it worked, so that writes hardly notice (`server/replicate/pace.go`);\n" +
	"of three servers it is the time in which any of them takes one, which they do in turn.\n\n"

// notCounted is what no scene of these results has.
const notCounted = "Not counted is what only `bench -failover` measures: while a leader's disk hangs Lycaon writes nothing for 1.67 s, ZooKeeper for 0.02 to 0.4 s, etcd for 1.0 to 1.8 s ([bench/README.md](../bench/README.md#what-it-gave)).\n\n"

func (s *summary) tellBehind(b *strings.Builder) {
	all, compared := s.shortfalls()
	fmt.Fprintf(b, "**Where Lycaon is behind** a peer, of %d figures (those of [the tables](#beside-zookeeper-etcd-and-consul), and p50, p95 and p99 of every scene that has them): %s.\n", compared, count(len(all), "in none", "in one", "in %d"))
	b.WriteString(notCounted)
	slow := false
	for _, f := range all {
		slow = slow || f.y.figure == snapshotS
		fmt.Fprintf(b, "- %d server%s, %s: %s; %s (%.2f x)\n", f.servers, plural(f.servers), f.y.label(), s.valuesText(&f, f.ours), s.valuesText(&f, f.theirs), f.worst)
	}
	if len(all) > 0 {
		b.WriteString("\n")
	}
	s.tellGoBehind(b)
	if slow {
		b.WriteString(whySlow)
	}
	s.tellSnapshotCPU(b)
}

// worstTold are so many of the figures in which the Go client is behind.
const worstTold = 5

// tellGoBehind says how the Go client stands beside the minimal client that loads
// ZooKeeper: it is not like with like, so it is in no list of what is behind.
func (s *summary) tellGoBehind(b *strings.Builder) {
	var behind []shortfall
	compared := 0
	for _, n := range s.serverCounts() {
		for _, y := range s.compared(n) {
			ratio, ok := s.ratio(n, y, throughGo, "zookeeper")
			if !ok {
				continue
			}
			if compared++; ratio < 1 {
				behind = append(behind, shortfall{servers: n, y: y, worst: ratio})
			}
		}
	}
	if compared == 0 {
		return
	}
	fmt.Fprintf(b, "**Lycaon's full Go client beside the minimal client that loads ZooKeeper**, which is not like with like, since ours takes more of the same cores: behind in %d of %d such medians", len(behind), compared)
	slices.SortStableFunc(behind, func(f, g shortfall) int { return cmp.Compare(f.worst, g.worst) })
	var worst []string
	for _, f := range behind[:min(len(behind), worstTold)] {
		worst = append(worst, fmt.Sprintf("%s on %d server%s %.2f x", f.y.label(), f.servers, plural(f.servers), f.worst))
	}
	if len(worst) > 0 {
		fmt.Fprintf(b, ", the worst: %s", strings.Join(worst, "; "))
	}
	b.WriteString(".\n\n")
}

// tellSnapshotCPU tells what a snapshot costs where that of a peer costs less, by a
// figure that is in no verdict.
func (s *summary) tellSnapshotCPU(b *strings.Builder) {
	for _, n := range s.serverCounts() {
		of := s.spreads[n][snapshotScene]
		ours, measured := of[native][cpuS]
		var told, apart []string
		less := false
		for _, peer := range []string{"zookeeper", "etcd"} {
			theirs, known := of[peer][cpuS]
			if !measured || !known {
				continue
			}
			told = append(told, fmt.Sprintf("%s of %s", spreadText(of[peer], cpuS), peerNames[peer]))
			less = less || theirs.Median < ours.Median
			if theirs.Max < ours.Min {
				apart = append(apart, peerNames[peer])
			}
		}
		if !less {
			continue
		}
		overlap := "the ranges of the runs overlap"
		if len(apart) > 0 {
			overlap += ", except with those of " + strings.Join(apart, " and of ")
		}
		fmt.Fprintf(b, "**What a snapshot costs, %d server%s**, is more than of a peer: %s CPU s of Lycaon beyond as many seconds without one; %s (median, least and most of all runs). \n"+
			"No ratio: a small difference of large sums may fall below 0; %s.\n\n",
			n, plural(n), spreadText(of[native], cpuS), strings.Join(told, ", "), overlap)
	}
}

func (s *summary) valuesText(f *shortfall, names []string) string {
	var all []string
	for _, e := range names {
		v, _ := s.median(f.servers, f.y, e)
		all = append(all, e+" "+number(v))
	}
	return strings.Join(all, ", ")
}
