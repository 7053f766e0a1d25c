package state

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/lycaon-io/lycaon/protocol"
)

// tally counts what happened, by name.
type tally map[string]int

func (c tally) count(a *action, e *expected) {
	c[fmt.Sprintf("kind %s", [...]string{"", "write", "open", "attach", "expire", "reap", "noop", "config"}[a.txn.Kind])]++
	c[fmt.Sprintf("verdict %s", [...]string{"", "applied", "repeated", "duplicate", "gap", "fenced"}[e.verdict])]++
	if e.verdict == Applied {
		c["code "+e.answer.Code.String()]++
	}
	if a.txn.Kind != TxnWrite {
		return
	}
	c["op "+a.txn.Op.String()]++
	if a.txn.Op == protocol.OpMulti && e.verdict == Applied {
		c["multi "+map[bool]string{true: "brief ", false: ""}[a.brief]+map[bool]string{true: "done", false: "undone"}[e.answer.Code == protocol.OK]]++
	}
	if e.answer.More != nil {
		for i := range e.answer.More.Results {
			if e.answer.More.Results[i].Code == protocol.RuntimeInconsistency {
				c["code "+protocol.RuntimeInconsistency.String()]++
				break
			}
		}
	}
	if e.verdict == Applied && e.answer.Code == protocol.TooLarge && len(a.steps) == 1 && !a.steps[0].Recursive {
		c["too wide "+a.steps[0].Op.String()]++
	}
	if e.verdict == Applied && e.answer.Code == protocol.OK {
		for i := range a.steps {
			c.feature(&a.steps[i])
		}
	}
}

func (c tally) feature(w *protocol.WriteOp) {
	if w.Recursive {
		c["done recursive"]++
	}
	if w.Op != protocol.OpCreate {
		return
	}
	c["done "+[...]string{"persistent", "ephemeral", "container", "ttl"}[w.Create.Kind]]++
	for name, set := range map[string]bool{"sequential": w.Create.Sequential, "parents": w.Create.Parents, "if absent": w.Create.IfAbsent} {
		if set {
			c["done "+name]++
		}
	}
}

// codesOfApply are all that a transaction can be answered with.
var codesOfApply = []protocol.Code{
	protocol.OK, protocol.RuntimeInconsistency, protocol.BadArguments, protocol.NoNode, protocol.NoAuth, protocol.BadVersion,
	protocol.NoChildrenForEphemerals, protocol.NodeExists, protocol.NotEmpty, protocol.SessionExpired, protocol.InvalidACL,
	protocol.SessionMoved, protocol.TooLarge, protocol.TooManyEphemerals, protocol.TooManyOutcomes, protocol.Aborted, protocol.Fenced,
	protocol.QuotaExceeded,
}

// check prints the distribution and wants every bucket filled.
func (c tally) check(t *testing.T, txns int) {
	for _, name := range slices.Sorted(maps.Keys(c)) {
		share := 100 * float64(c[name]) / float64(txns)
		t.Logf("%-32s %8d %7.2f %%", name, c[name], share)
		if share < 0.1 && name[:4] != "read" && name[:4] != "too " {
			t.Errorf("%s: %.3f %% is too rare", name, share)
		}
	}
	for _, code := range codesOfApply {
		if c["code "+code.String()] == 0 {
			t.Errorf("code %v never came", code)
		}
	}
	for name := range c {
		known := slices.ContainsFunc(codesOfApply, func(code protocol.Code) bool { return name == "code "+code.String() })
		if name[:4] == "code" && !known {
			t.Errorf("%s is not in the list of codes", name)
		}
	}
	for _, op := range []protocol.Op{protocol.OpCreate, protocol.OpSet, protocol.OpSetACL} {
		if c["too wide "+op.String()] == 0 {
			t.Errorf("no %v was too wide", op)
		}
	}
	if share := 100 * float64(c["op "+protocol.OpMulti.String()]) / float64(txns); share < 14 {
		t.Errorf("only %.1f %% multi", share)
	}
}
