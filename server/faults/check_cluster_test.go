package faults

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
)

const (
	leastRate = 50.0 // operations a second, of some 1000 on a machine at rest: below that a run proves nothing
	// recoverWithin is how soon writes go on after a fault has ended, whatever it was.
	recoverWithin = 5 * time.Second
	// overGap is how long a short fault is looked at, so that its gap is only a part of that.
	overGap = 3 * time.Second
	// shortest is the least time over which a rate is taken.
	shortest = 500 * time.Millisecond
)

// checkAgreement is C15, and that the state is the one of the log.
func checkAgreement(h *history, line *timeline) (found findings) {
	if len(h.Members) != h.About.Servers {
		found.add("%d of %d servers said at the end how they are", len(h.Members), h.About.Servers)
	}
	for _, m := range h.Members {
		if first := h.Members[0]; m.Zxid != first.Zxid || m.Digest != first.Digest || m.Nodes != first.Nodes {
			found.add("server %d has zxid %d, digest %016x, %d nodes; server %d has zxid %d, digest %016x, %d nodes",
				m.ID, m.Zxid, m.Digest, m.Nodes, first.ID, first.Zxid, first.Digest, first.Nodes)
		}
		if line.covers(m.Zxid) && m.Zxid > line.First && !slices.Contains(line.Digests[m.Zxid], m.Digest) {
			found.add("server %d has digest %016x at zxid %d, the log makes %016x", m.ID, m.Digest, m.Zxid, line.Digests[m.Zxid])
		}
	}
	return found
}

// checkLogs is C16.
func checkLogs(h *history, _ *timeline) (found findings) {
	newest := map[string]sample{}
	for _, s := range h.Samples {
		if s.Problem != "" {
			found.add("the store of server %d: %s", s.Server, s.Problem)
			continue
		}
		disk := fmt.Sprintf("%d.%d", s.Server, s.Boot)
		was, seen := newest[disk]
		newest[disk] = s
		switch {
		case !seen:
		case s.Term < was.Term:
			found.add("the term of server %d went back from %d to %d", s.Server, was.Term, s.Term)
		case s.VoteTerm < was.VoteTerm:
			found.add("the vote of server %d went back from term %d to %d", s.Server, was.VoteTerm, s.VoteTerm)
		case s.VoteTerm == was.VoteTerm && s.Vote != was.Vote:
			found.add("server %d voted in term %d for %s and for %s", s.Server, s.VoteTerm, was.Vote, s.Vote)
		}
	}
	type place struct{ index, term uint64 }
	sums := map[place]*entry{}
	for i := range h.Entries {
		e := &h.Entries[i]
		at := place{e.Index, e.Term}
		if was := sums[at]; was == nil {
			sums[at] = e
		} else if was.Type != e.Type || xxhash.Sum64(was.Data) != xxhash.Sum64(e.Data) {
			found.add("servers %d and %d have different entries at index %d of term %d", was.Server, e.Server, e.Index, e.Term)
		}
	}
	return found
}

// outage is what clients felt of one fault.
type outage struct {
	name    string
	longest time.Duration // without any acknowledged write
	next    time.Duration // from the fault to the first write that was asked after it
	slowest time.Duration // single write
	healed  time.Duration // from the end of the fault to a write
	settled time.Duration // from the end of the fault until all servers were ready
	stalled time.Duration // of all that, when nothing at all ran
	errors  map[string]int
}

// outages measures every fault until the next one begins, or a while after it has healed.
func (h *history) outages() (all []outage) {
	var acks, asked []*op
	for i := range h.Ops {
		if o := &h.Ops[i]; o.writes() && o.Process < finalProcess {
			asked = append(asked, o)
			if o.Outcome == ok {
				acks = append(acks, o)
			}
		}
	}
	slices.SortFunc(acks, func(a, b *op) int { return cmp.Compare(a.Return, b.Return) })
	for i, f := range h.Faults {
		until := max(f.Healed, f.Settled) + int64(outageGrace)
		if i+1 < len(h.Faults) {
			until = min(until, h.Faults[i+1].Begin)
		}
		out := measure(f, until, acks, asked)
		out.stalled = h.stalled(f.Begin, until)
		all = append(all, out)
	}
	return all
}

func measure(f fault, until int64, acks, asked []*op) outage {
	out := outage{name: f.Name, next: -1, healed: -1, settled: time.Duration(f.Settled - f.Healed), errors: map[string]int{}}
	last := f.Begin
	for _, o := range acks {
		if o.Return < f.Begin || last >= until {
			continue
		}
		out.longest = max(out.longest, time.Duration(min(o.Return, until)-last))
		last = o.Return
		if o.Return >= f.Healed && out.healed < 0 {
			out.healed = time.Duration(o.Return - f.Healed)
		}
		if o.Invoke >= f.Begin && out.next < 0 {
			out.next = time.Duration(o.Return - f.Begin)
		}
	}
	for _, o := range asked {
		if o.Invoke > until || o.Return < f.Begin {
			continue
		}
		if o.Outcome == ok {
			out.slowest = max(out.slowest, time.Duration(o.Return-o.Invoke))
		} else if !slices.Contains(machineErrors, o.Error) {
			out.errors[o.Error]++
		}
	}
	return out
}

// checkGaps is C18, with the errors that clients were told: a write that fails for another reason than the tree was not worth its wait.
func checkGaps(h *history, _ *timeline) (found findings) {
	for i, out := range h.outages() {
		limit := time.Duration(h.Faults[i].GapMs) * time.Millisecond
		if limit > 0 {
			limit += out.stalled
		}
		if limit > 0 && (out.longest > limit || out.next < 0) {
			found.add("%s (%s): no write for %v, at most %v is borne; the next one after %v", out.name, h.Faults[i].Detail, out.longest, limit, out.next)
		}
	}
	for _, out := range h.outages() {
		if out.healed < 0 || out.healed > recoverWithin+out.stalled {
			found.add("%s: writes went on %v after its end, and should have within %v", out.name, out.healed, recoverWithin)
		}
	}
	for i := range h.Ops {
		o := &h.Ops[i]
		if o.Outcome != fail || slices.Contains(machineErrors, o.Error) || o.Error == "SessionExpired" || o.Error == "Timeout" {
			continue // sessions and silence are for C12 and the outcomes
		}
		if !h.bears(o) {
			found.add("%s", o)
		}
	}
	return found
}

func (h *history) bears(o *op) bool {
	return slices.ContainsFunc(h.Faults, func(f fault) bool {
		return o.Return >= f.Begin && o.Invoke <= max(f.Healed, f.Settled)+int64(outageGrace) && slices.Contains(f.Bears, o.Error)
	})
}

// gapTable is C18 for people.
func gapTable(h *history) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-34s %8s %8s %8s %8s %8s  %s\n", "fault", "gap", "next", "slowest", "healed", "settled", "errors told")
	for _, o := range h.outages() {
		fmt.Fprintf(&b, "%-34s %8s %8s %8s %8s %8s  %v\n",
			o.name, short(o.longest), short(o.next), short(o.slowest), short(o.healed), short(o.settled), o.errors)
	}
	if sum := h.stalled(0, never); sum > 0 {
		fmt.Fprintf(&b, "in %d stretches of together %s nothing ran at all: the machine has other work\n", len(h.Stalls), short(sum))
	}
	return b.String()
}

func short(d time.Duration) string { return d.Round(time.Millisecond).String() }

// checkTraffic: a run with too little to check is void.
func checkTraffic(h *history, _ *timeline) (found findings) {
	var returns []int64
	for i := range h.Ops {
		if o := &h.Ops[i]; o.judged() && o.Process < finalProcess {
			returns = append(returns, o.Return)
		}
	}
	rate := func(when string, from, to int64) {
		if to-from-int64(h.stalled(from, to)) < int64(shortest) {
			return
		}
		n := 0
		for _, r := range returns {
			if r >= from && r < to {
				n++
			}
		}
		if per := float64(n) / max(1e-3, seconds(to-from)-h.stalled(from, to).Seconds()); per < leastRate {
			found.add("%s, %.1fs to %.1fs: %.0f operations a second, at least %.0f are wanted: the run is void", when, seconds(from), seconds(to), per, leastRate)
		}
	}
	if len(h.Faults) == 0 {
		rate("without faults", 0, h.About.End)
		return found
	}
	rate("before the first fault", h.About.Begin, h.Faults[0].Begin)
	for i, f := range h.Faults {
		until := h.About.End
		if i+1 < len(h.Faults) {
			until = h.Faults[i+1].Begin
		}
		if !f.Deaf && !f.Quiet {
			rate(f.Name, f.Begin, max(f.Healed, min(until, f.Begin+int64(overGap))))
		}
		rate("after "+f.Name, max(f.Healed, f.Settled), until)
	}
	return found
}
