package faults

import (
	"fmt"
	"testing"
)

// maxFindings is how many violations one checker reports.
const maxFindings = 20

// findings is what a checker found wrong.
type findings []string

func (f *findings) add(format string, args ...any) {
	if len(*f) < maxFindings {
		*f = append(*f, fmt.Sprintf(format, args...))
	}
}

// checker searches a history for what must not be.
type checker struct {
	name  string
	what  string
	check func(h *history, line *timeline) findings
}

// checkers are all that a history has to pass.
var checkers = []checker{
	{"C1", "every znode is linearizable", checkLinearizable},
	{"C2", "every reply is the model's at its zxid, and real time is kept", checkLogOrder},
	{"C3", "no session goes back, and each sees what it wrote", checkSessions},
	{"C4", "no acknowledged write is lost and none was made up", checkSet},
	{"C5", "the counters have every acknowledged step", checkCounters},
	{"C6", "numbers are unique, rise with the zxid and never come back", checkSequence},
	{"C7", "the queue gives each element once", checkQueue},
	{"C8", "a multi is all or nothing", checkMulti},
	{"C9", "events come in order, and before what they announce", checkEventOrder},
	{"C10", "watches miss nothing and repeat nothing", checkEventsComplete},
	{"C11", "ephemeral nodes live as long as their sessions", checkEphemerals},
	{"C12", "no session ends before its time, and none acts after its end", checkExpiry},
	{"C15", "all servers have the same state", checkAgreement},
	{"C16", "terms and votes never go back, one entry a place", checkLogs},
	{"outcomes", "an unknown outcome comes with a lost session alone", checkOutcomes},
	{"notes", "nothing was seen that must not be while the run went on", checkNotes},
	{"C18", "faults are short for clients", checkGaps},
	{"traffic", "there was enough to go wrong", checkTraffic},
}

// checkAll runs every checker and prints what they found.
func checkAll(t testing.TB, h *history) {
	t.Helper()
	line, err := replay(h, nil)
	if err != nil {
		t.Errorf("the log cannot be replayed: %v", err)
		return
	}
	t.Logf("%d operations, %d events, %d log entries, zxid %d to %d", len(h.Ops), len(h.Events), len(h.Entries), line.First, line.Last)
	for _, c := range checkers {
		for _, f := range c.check(h, line) {
			t.Errorf("%s, %s: %s", c.name, c.what, f)
		}
	}
	t.Log(gapTable(h))
}

func checkNotes(h *history, _ *timeline) (found findings) {
	for _, n := range h.Notes {
		found.add("%s", n)
	}
	return found
}

// checkOutcomes: the client promises to learn the outcome of each write, whatever happens to servers and connections, while its session lasts.
func checkOutcomes(h *history, _ *timeline) (found findings) {
	lost := map[uint64]bool{}
	for _, l := range h.Lives {
		lost[l.Session] = lost[l.Session] || l.State == "expired"
	}
	for i := range h.Ops {
		o := &h.Ops[i]
		switch {
		case o.Error == "Timeout":
			found.add("%s had no answer within %v", o, callWithin)
		case o.Outcome == unknown && !lost[o.Session]:
			found.add("%s has no known outcome, and session %#x lived on", o, o.Session)
		case o.Error == "Aborted":
			found.add("%s was aborted: its answer was forgotten too early", o)
		}
	}
	return found
}

func (o *op) String() string {
	text := fmt.Sprintf("process %d session %#x %s", o.Process, o.Session, o.Call)
	for i, s := range o.Steps {
		if i == 3 {
			text += " ..."
			break
		}
		text += fmt.Sprintf(" [%s %s v%d %q]", s.Kind, s.Path, s.Version, s.Data[:min(len(s.Data), 24)])
	}
	return fmt.Sprintf("%s at %.3fs: %s %s zxid %d", text, seconds(o.Invoke), o.Outcome, o.Error, o.Zxid)
}

func seconds(ns int64) float64 { return float64(ns) / 1e9 }
