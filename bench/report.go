package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

func progress(t trial) {
	var line strings.Builder
	fmt.Fprintf(&line, "round %d, load %s, %s of %s's leader:", t.Round, t.Load, t.Fault, t.System)
	for _, name := range sortedNames(t.Views) {
		fmt.Fprintf(&line, "  %s %.3f s (gap %.3f)", name, t.Views[name].RecoveredS, t.Views[name].GapS)
	}
	fmt.Fprintln(os.Stderr, line.String())
}

func sortedNames[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// spread is what is told of a figure.
type spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

func spreadOf(xs []float64) spread {
	slices.Sort(xs)
	return spread{xs[0], (xs[(len(xs)-1)/2] + xs[len(xs)/2]) / 2, xs[len(xs)-1]}
}

func (s spread) String() string { return fmt.Sprintf("%.3f %.3f %.3f", s.Min, s.Median, s.Max) }

// row is all rounds of one fault on one system, as one view saw them.
type row struct {
	Fault  string   `json:"fault"`
	System string   `json:"system"`
	View   string   `json:"view"`
	Rounds int      `json:"rounds"`
	Next   spread   `json:"next_write_s"`
	Gap    spread   `json:"gap_s"`
	Sum    sighting `json:"sum"`
}

func summarize(trials []trial) []row {
	type key struct{ fault, system, view string }
	next, gap, sums := map[key][]float64{}, map[key][]float64{}, map[key]sighting{}
	var order []key
	for _, t := range trials {
		for _, name := range sortedNames(t.Views) {
			k, s := key{t.Fault, t.System, name}, t.Views[name]
			if _, seen := next[k]; !seen {
				order = append(order, k)
			}
			next[k], gap[k] = append(next[k], s.RecoveredS), append(gap[k], s.GapS)
			sum := sums[k]
			sum.add(s)
			sums[k] = sum
		}
	}
	place := func(name string) int { return slices.IndexFunc(faults, func(f fault) bool { return f.name == name }) }
	slices.SortStableFunc(order, func(a, b key) int {
		return cmp.Or(cmp.Compare(place(a.fault), place(b.fault)), cmp.Compare(a.view, b.view))
	})
	var rows []row
	for _, k := range order {
		rows = append(rows, row{k.fault, k.system, k.view, len(next[k]), spreadOf(next[k]), spreadOf(gap[k]), sums[k]})
	}
	return rows
}

// add joins what was seen elsewhere or in another round.
func (s *sighting) add(o sighting) {
	s.Writes += o.Writes
	s.Failed += o.Failed
	s.SessionsLost += o.SessionsLost
	s.EphemeralsLost += o.EphemeralsLost
	s.GapS = max(s.GapS, o.GapS)
	s.RecoveredS = max(s.RecoveredS, o.RecoveredS)
	s.Failure = cmp.Or(s.Failure, o.Failure)
}

func tabulate(rows []row) {
	fmt.Printf("%-6s %-14s %-10s %6s  %-22s %-22s %8s %9s %6s\n", "", "", "", "", "next write: seconds", "longest gap: seconds", "sessions", "ephemeral", "failed")
	fmt.Printf("%-6s %-14s %-10s %6s  %-22s %-22s %8s %9s %6s\n", "fault", "client", "system", "rounds", "min median max", "min median max", "lost", "lost", "writes")
	for _, r := range rows {
		fmt.Printf("%-6s %-14s %-10s %6d  %-22s %-22s %8d %9d %6d\n", r.Fault, r.View, r.System, r.Rounds, r.Next, r.Gap,
			r.Sum.SessionsLost, r.Sum.EphemeralsLost, r.Sum.Failed)
	}
}

func tellRolled(r rolled) {
	fmt.Printf("rolling restart of %s: round %d, load %s: %.1f s, %d writes, %d failed, %d sessions and %d ephemerals lost, "+
		"longest gap of a client %.3f s, of all %.3f s; each stopped after %.2f s\n", r.System, r.Round, r.Load, r.TookS,
		r.Seen.Writes, r.Seen.Failed, r.Seen.SessionsLost, r.Seen.EphemeralsLost, r.Seen.GapS, r.AnyS, r.StoppedS)
	if r.Seen.Failure != "" {
		fmt.Printf("  the first failure: %s\n", r.Seen.Failure)
	}
}

// save writes what was measured for programs.
func save(file string, what any) error {
	if file == "" {
		return nil
	}
	raw, err := json.MarshalIndent(what, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(raw, '\n'), 0o644)
}
