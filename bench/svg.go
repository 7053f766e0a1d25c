package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// plot is groups of bars, one for each entrant or load, along a scale of powers of ten.
type plot struct {
	servers int
	file    string
	title   string
	kinds   []string // of bars; without any the entrants
	groups  []plotGroup
}

type plotGroup struct {
	label string
	bars  []bar
}

type bar struct {
	entrant string
	value   float64
}

var colours = map[string]string{
	readsScene: "#4a6fa5", writesScene: "#0b6e4f",
	native: "#0b6e4f", throughGo: "#3aa17e", throughZK: "#8fd3b6", "zookeeper": "#c8553d", "etcd": "#4a6fa5", "consul": "#b0568f", floorName: "#999999",
}

// plots are the pictures of the page: what is done a second, what it takes, what
// it costs, and how long it is gone.
func (s *summary) plots() []plot {
	kinds := []struct {
		file, title string
		figures     []string
	}{
		{"throughput", "done a second (more is better; logarithmic axis)", []string{rate}},
		{"latency", "milliseconds (less is better; logarithmic axis)", []string{p50Ms, p99Ms}},
		{"cpu", "CPU seconds of the servers per 1,000 (less is better; logarithmic axis)", []string{cpuPerK}},
		{"recovery", "seconds until it serves again (less is better; logarithmic axis)", []string{seconds}},
	}
	var all []plot
	for _, n := range s.serverCounts() {
		for _, k := range kinds {
			p := plot{servers: n, file: fmt.Sprintf("%d-%s.svg", n, k.file), title: fmt.Sprintf("%s: %s", heading(n), k.title)}
			for _, y := range s.yardsticks(n) {
				if slices.Contains(k.figures, y.figure) {
					p.groups = append(p.groups, s.group(n, y))
				}
			}
			if len(p.groups) > 0 {
				all = append(all, p)
			}
		}
	}
	return all
}

// plotsMarkdown shows pictures that are in a folder beside the page.
func plotsMarkdown(images []plot, folder string) string {
	var b strings.Builder
	for _, p := range images {
		fmt.Fprintf(&b, "![%s](%s/%s)\n\n", p.title, folder, p.file)
	}
	return b.String()
}

func (s *summary) group(servers int, y yardstick) plotGroup {
	g := plotGroup{label: y.scene}
	if y.figure == p50Ms || y.figure == p99Ms {
		g.label = y.label()
	}
	for _, e := range entrantNames() {
		if v, ok := s.median(servers, y, e); ok && v > 0 {
			g.bars = append(g.bars, bar{e, v})
		}
	}
	return g
}

const (
	plotWidth = 860
	legend    = 120 // width of an entry
	labels    = 340 // width of the labels' column
	scale     = 440 // of the longest bar
	barHeight = 12
	groupGap  = 10
	plotHead  = 62
)

// svg draws the plot. Every scale begins a power of ten below the least value,
// so that each bar is seen.
func (p *plot) svg() string {
	least, most := p.bounds()
	decades := math.Log10(most / least)
	height := plotHead + 10
	for _, g := range p.groups {
		height += len(g.bars)*barHeight + groupGap
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n",
		plotWidth, height, plotWidth, height)
	fmt.Fprintf(&b, `<title>%s</title><rect width="100%%" height="100%%" fill="white"/>`+"\n", html.EscapeString(p.title))
	fmt.Fprintf(&b, `<text x="10" y="18" font-size="14" font-weight="bold">%s</text>`+"\n", html.EscapeString(p.title))
	for i, e := range p.legend() {
		x := 10 + i*legend
		fmt.Fprintf(&b, `<rect x="%d" y="28" width="10" height="10" fill="%s"/><text x="%d" y="37">%s</text>`+"\n", x, colours[e], x+14, html.EscapeString(e))
	}
	for at := least; at <= most*1.001; at *= 10 {
		x := labels + math.Log10(at/least)/decades*scale
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#ddd"/><text x="%.1f" y="%d" fill="#666" text-anchor="middle">%s</text>`+"\n",
			x, x, plotHead-4, height-6, x, plotHead-8, number(at))
	}
	y := plotHead
	for _, g := range p.groups {
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="10" text-anchor="end">%s</text>`+"\n", labels-8, y+len(g.bars)*barHeight/2+4, html.EscapeString(g.label))
		for _, bar := range g.bars {
			width := math.Log10(bar.value/least) / decades * scale
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"><title>%s: %s</title></rect><text x="%.1f" y="%d" font-size="9">%s</text>`+"\n",
				labels, y, width, barHeight-2, colours[bar.entrant], html.EscapeString(bar.entrant), number(bar.value), labels+width+3, y+barHeight-3, number(bar.value))
			y += barHeight
		}
		y += groupGap
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// legend are the kinds of bars, without those of which there is none.
func (p *plot) legend() []string {
	if len(p.kinds) > 0 {
		return p.kinds
	}
	return slices.DeleteFunc(entrantNames(), func(e string) bool {
		return !slices.ContainsFunc(p.groups, func(g plotGroup) bool {
			return slices.ContainsFunc(g.bars, func(b bar) bool { return b.entrant == e })
		})
	})
}

// bounds are the powers of ten that the values are between.
func (p *plot) bounds() (least, most float64) {
	least, most = math.Inf(1), 0
	for _, g := range p.groups {
		for _, bar := range g.bars {
			least, most = min(least, bar.value), max(most, bar.value)
		}
	}
	if most == 0 {
		return 1, 10
	}
	least = math.Pow(10, math.Floor(math.Log10(least/1.5)))
	return least, max(10*least, math.Pow(10, math.Ceil(math.Log10(most))))
}
