package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const reportHelp = `usage: go run . report [flags] FILE...

Makes tables and plots of files of results, of peers and of scale, and puts them into
a page between marks. Of a cell that is in several files the last one counts.

`

func playReport(_ context.Context, args []string) error {
	f := flagsOf("report", reportHelp)
	page := f.String("page", "", "the page whose marked part is written anew (default: print it)")
	plots := f.String("plots", "", "the folder for the plots and a copy of all results")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() == 0 {
		f.Usage()
		return errors.New("report wants a file of results")
	}
	all := &results{done: map[cellKey]bool{}}
	for _, name := range f.Args() {
		r, err := loadResults(name)
		if err != nil {
			return err
		}
		all.join(r)
	}
	if len(all.Abouts) == 0 {
		return errors.New("there are no results in it")
	}
	return all.report(*page, *plots)
}

// report tells of the comparison and of Lycaon alone, as far as there is
// something of them.
func (r *results) report(page, plots string) error {
	peers, scale := r.split()
	var err error
	if len(peers.Cells) > 0 {
		err = peers.peersReport(page, plots)
	}
	if len(scale.Cells) > 0 {
		err = errors.Join(err, scale.scaleReport(page, plots))
	}
	return err
}

// split divides results into those of the comparison and those of Lycaon alone.
func (r *results) split() (peers, scale *results) {
	peers, scale = &results{}, &results{}
	for _, a := range r.Abouts {
		of := peers
		if hasPrefix(a.Command, scaleCommands) {
			of = scale
		}
		of.Abouts = append(of.Abouts, a)
	}
	for _, c := range r.Cells {
		of := peers
		if c.Entrant == alone {
			of = scale
		}
		of.Cells = append(of.Cells, c)
	}
	return peers, scale
}

func (r *results) peersReport(page, plots string) error {
	s := summarizeCells(r.Cells)
	var images []plot
	if plots != "" {
		images = s.plots()
		if err := r.draw(images, plots, peersFile); err != nil {
			return err
		}
	}
	return writePart(page, "bench report", r.markdown(s, images, filepath.Base(plots)))
}

// draw writes plots, and beside them what they were made of.
func (r *results) draw(images []plot, folder, name string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, p := range images {
		if err := os.WriteFile(filepath.Join(folder, p.file), []byte(p.svg()), 0o644); err != nil {
			return err
		}
	}
	return r.copyTo(filepath.Join(folder, name))
}

// copyTo writes a file of results that holds all of these.
func (r *results) copyTo(name string) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	for i := range r.Abouts {
		if err := enc.Encode(line{About: &r.Abouts[i]}); err != nil {
			return err
		}
	}
	for i := range r.Cells {
		if err := enc.Encode(line{Cell: &r.Cells[i]}); err != nil {
			return err
		}
	}
	return os.WriteFile(name, []byte(b.String()), 0o644)
}

// writePart writes the part of a page anew that a command makes, or prints it if
// there is no page.
func writePart(page, by, text string) error {
	if page == "" {
		fmt.Print(text)
		return nil
	}
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	written, err := between(string(old), by, text)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(written), 0o644)
}

// marks are the lines around what a command makes.
func marks(by string) (begin, end string) {
	return "<!-- begin: made by " + by + " -->", "<!-- end: made by " + by + " -->"
}

// between puts text between the two marks of a page.
func between(page, by, text string) (string, error) {
	begin, end := marks(by)
	before, rest, ok := strings.Cut(page, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", fmt.Errorf("wants the lines %s and %s", begin, end)
	}
	return before + begin + "\n\n" + text + "\n" + end + after, nil
}

func (r *results) markdown(s *summary, images []plot, folder string) string {
	var b strings.Builder
	s.tellGoals(&b)
	b.WriteString("### Measured on\n\n")
	r.tellAbout(&b, s, folder+"/"+peersFile)
	s.tellBehind(&b)
	for _, n := range s.serverCounts() {
		fmt.Fprintf(&b, "### %s\n\n", heading(n))
		for _, p := range images {
			if p.servers == n {
				fmt.Fprintf(&b, "![%s](%s/%s)\n\n", p.title, folder, p.file)
			}
		}
		s.compareAll(&b, n)
		s.tellAll(&b, n)
	}
	return b.String()
}

func heading(servers int) string {
	if servers == 1 {
		return "One server"
	}
	return fmt.Sprintf("%d servers, clients spread over all", servers)
}

// tellAbout says on what, with what and how it was measured: the first run,
// and what differed in those that added to it.
func (r *results) tellAbout(b *strings.Builder, s *summary, file string) {
	if len(r.Abouts) == 0 {
		return
	}
	first := r.Abouts[0]
	fmt.Fprintf(b, "Measured from %s on.\n\n- Machine: %s. Every server and client ran on it, over loopback.\n- Disk: %s.\n",
		first.At.Format("2006-01-02 15:04 UTC"), first.Machine, first.Disk)
	versions := map[string]string{}
	for _, a := range slices.Backward(r.Abouts) {
		maps.Copy(versions, a.Versions)
	}
	for _, name := range sortedNames(versions) {
		fmt.Fprintf(b, "- %s: %s\n", name, strings.TrimPrefix(versions[name], name+" "))
	}
	for _, a := range r.Abouts {
		fmt.Fprintf(b, "- Command at %s, load %s: `%s` (%s)\n", a.At.Format("15:04"), a.Load, a.Command, a.amount())
		if a.Machine != first.Machine || a.Versions["lycaon"] != first.Versions["lycaon"] {
			fmt.Fprintf(b, "  - with %s on %s\n", a.Versions["lycaon"], a.Machine)
		}
	}
	fmt.Fprintf(b, "- Runs that there were: %s. All that each gave: [%s](%s), one JSON value a line.\n\n", s.runsText(), filepath.Base(file), file)
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

// pairs are which entrants of Lycaon are compared with which peers: the bare
// clients with all, the same program with itself, a Go client with the other.
var pairs = []struct{ entrant, peer string }{
	{native, "zookeeper"}, {native, "etcd"}, {throughZK, "zookeeper"}, {throughGo, "etcd"}, {throughGo, "consul"},
}

// whySlow is said where a snapshot takes longer than that of a peer.
const whySlow = "A snapshot of Lycaon takes long on purpose: who writes it rests nine times as long as each millisecond that it worked, and on a busy machine for what it waited too, so that the writes\n" +
	"that come meanwhile hardly notice; the rests grow shorter as the log grows behind it (`server/replicate/pace.go`). Of three servers it is\n" +
	"the time in which any of them takes one, which they do one after the other.\n\n"

// tellBehind lists what is worse than a peer, which is what to read first.
func (s *summary) tellBehind(b *strings.Builder) {
	var lines []string
	compared, slow := 0, false
	for _, n := range s.serverCounts() {
		for _, y := range s.yardsticks(n) {
			for _, p := range pairs {
				ratio, ok := s.ratio(n, y, p.entrant, p.peer)
				if !ok {
					continue
				}
				if compared++; ratio < 1 {
					slow = slow || y.figure == snapshotS
					ours, _ := s.median(n, y, p.entrant)
					theirs, _ := s.median(n, y, p.peer)
					lines = append(lines, fmt.Sprintf("- %d server%s, %s: %s %s, %s %s (%.2f x)\n", n, plural(n), y.label(), p.entrant, number(ours), p.peer, number(theirs), ratio))
				}
			}
		}
	}
	fmt.Fprintf(b, "**Where Lycaon is behind**, of %d comparisons: %s.\n\n", compared, count(len(lines), "nowhere", "once", "%d times"))
	for _, l := range lines {
		b.WriteString(l)
	}
	if len(lines) > 0 {
		b.WriteString("\n")
	}
	if slow {
		b.WriteString(whySlow)
	}
	s.tellFailed(b)
}

func (s *summary) tellFailed(b *strings.Builder) {
	if len(s.failed) > 0 {
		fmt.Fprintf(b, "**Runs that failed**, and are in no median: %d.\n\n", len(s.failed))
		for _, c := range s.failed {
			fmt.Fprintf(b, "- %d server%s, %s, %s, run %d: %s\n", c.Servers, plural(c.Servers), c.Scene, c.Entrant, c.Run, strings.ReplaceAll(c.Error, "\n", "; "))
		}
		b.WriteString("\n")
	}
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

// compareAll is the table of medians with the ratios: how much better Lycaon is,
// bold where it is worse.
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
	times := func(head, entrant, peer string) column {
		return column{head, func(y yardstick) string { return s.ratioText(servers, y, entrant, peer) }}
	}
	columns := []column{value("ZooKeeper", "zookeeper"), value("etcd", "etcd"), value("Lycaon", native), times("x ZooKeeper", native, "zookeeper"),
		times("x etcd", native, "etcd"), value("Lycaon as ZooKeeper", throughZK), times("x ZooKeeper", throughZK, "zookeeper"),
		value("Lycaon, Go client", throughGo), times("x etcd", throughGo, "etcd")}
	if s.measured(servers, "consul") {
		columns = append(columns, value("Consul", "consul"), times("Lycaon, Go client, x Consul", throughGo, "consul"))
	}
	if s.measured(servers, floorName) {
		columns = append(columns, value("Floor", floorName))
	}
	b.WriteString("Medians. A ratio is how much better Lycaon is: twice as much and half as long are both 2.0 x; **bold** is worse than the peer.\n\n|")
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

// tellAll is the table of everything: median, and the least and the most of all
// runs where there are several.
func (s *summary) tellAll(b *strings.Builder, servers int) {
	order := []string{rate, p50Ms, p95Ms, p99Ms, cpuPerK, rssMiB, refusals}
	b.WriteString("<details><summary>Everything: median (least to most)</summary>\n\n| scene | of | runs |")
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
				fmt.Fprintf(b, " %s |", spreadText(figures, f))
			}
			var more []string
			for _, f := range sortedNames(figures) {
				if !slices.Contains(order, f) {
					more = append(more, figureNames[f]+" "+spreadText(figures, f))
				}
			}
			fmt.Fprintf(b, " %s |\n", strings.Join(more, "; "))
		}
	}
	b.WriteString("\n</details>\n\n")
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
