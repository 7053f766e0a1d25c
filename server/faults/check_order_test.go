package faults

import (
	"cmp"
	"slices"

	"github.com/lycaon-io/lycaon/protocol"
)

// checkLogOrder is C2: the log is replayed, and at each zxid the replies that bear it must be the model's. Then real time: who returned before
// another began is ordered before it.
func checkLogOrder(h *history, line *timeline) (found findings) {
	for _, f := range line.Faulty {
		found.add("%s", f)
	}
	byZxid := map[uint64][]*op{}
	for i := range h.Ops {
		if o := &h.Ops[i]; o.judged() {
			byZxid[o.Zxid] = append(byZxid[o.Zxid], o)
			if o.Zxid > line.Last && line.Whole {
				found.add("%s bears a zxid that the log, which ends at %d, does not have", o, line.Last)
			}
		}
	}
	known := sessionsOf(h)
	_, err := replay(h, func(zxid uint64, m *model) {
		x := line.at(zxid)
		written := false
		for _, o := range byZxid[zxid] {
			if o.writes() && o.Outcome == ok {
				if x != nil || line.Whole {
					compareWrite(&found, o, x)
				}
				written = true
				continue
			}
			compareView(&found, o, m)
		}
		if x != nil && x.Kind == "write" && !written && known[x.Session] && !explained(h, x) {
			found.add("zxid %d: %+v of session %#x ran, and nobody was told or left in doubt", zxid, x.Steps, x.Session)
		}
	})
	if err != nil {
		found.add("%v", err)
	}
	realTime(&found, h)
	return found
}

// judged are the operations whose zxid says which state they are of.
func (o *op) judged() bool {
	if o.Zxid == 0 {
		return false
	}
	return o.Outcome == ok || o.Outcome == fail && slices.Contains(machineErrors, o.Error)
}

func sessionsOf(h *history) map[uint64]bool {
	known := map[uint64]bool{}
	for _, l := range h.Lives {
		known[l.Session] = true
	}
	return known
}

// explained tells whether a write in the log is one whose outcome a client does not know.
func explained(h *history, x *txn) bool {
	return slices.ContainsFunc(h.Ops, func(o op) bool {
		return o.Session == x.Session && o.Outcome == unknown && slices.EqualFunc(o.Steps, x.Steps, sameStep)
	})
}

func sameStep(a, b step) bool {
	if a.Kind == "create" {
		a.Version, b.Version = 0, 0
	}
	return a == b
}

func compareWrite(found *findings, o *op, x *txn) {
	switch {
	case x == nil || x.Kind != "write":
		found.add("%s was acknowledged with a zxid at which nothing was written", o)
	case x.Session != o.Session:
		found.add("%s was acknowledged with the zxid of session %#x", o, x.Session)
	case !slices.EqualFunc(o.Steps, x.Steps, sameStep):
		found.add("%s was acknowledged with the zxid of %+v", o, x.Steps)
	default:
		for i := range o.Answers {
			if told, want := o.Answers[i].asReply(&o.Steps[i]), x.Answers[i].asReply(&o.Steps[i]); !told.equal(&want) {
				found.add("%s was told %+v, the model says %+v", o, told, want)
			}
		}
	}
}

// asReply leaves of an answer what the reply to a step carries.
func (a answer) asReply(s *step) answer {
	a.Data = ""
	switch s.Kind {
	case "set":
		a.Path = ""
	case "delete", "check":
		return answer{}
	}
	return a
}

// compareView judges what was read, and why a write was refused, by the state at its zxid.
func compareView(found *findings, o *op, m *model) {
	if o.writes() {
		code, culprit := m.try(o.Session, o.Steps)
		if code.String() != o.Error || code != protocol.OK && o.Call == "multi" && culprit != o.Culprit {
			found.add("%s failed by step %d, the model says %v by step %d", o, o.Culprit, code, culprit)
		}
		return
	}
	for i := range o.Steps {
		want := m.read(&o.Steps[i])
		told := answer{Error: o.Error}
		if o.Outcome == ok {
			told = o.Answers[i]
		}
		if told.Error == "" && told.Path == "" {
			told.Path = want.Path
		}
		if !told.equal(&want) {
			found.add("%s was told %+v, the model has %+v", o, told, want)
		}
	}
}

// moment is a call or a return.
type moment struct {
	at      int64
	returns bool
	o       *op
}

// realTime walks the moments of all operations with the greatest zxid that anybody had been told by then.
func realTime(found *findings, h *history) {
	var moments []moment
	for i := range h.Ops {
		if o := &h.Ops[i]; o.judged() {
			moments = append(moments, moment{o.Invoke, false, o}, moment{o.Return, true, o})
		}
	}
	slices.SortStableFunc(moments, func(a, b moment) int {
		if c := cmp.Compare(a.at, b.at); c != 0 || a.returns == b.returns {
			return c
		}
		if b.returns {
			return -1
		}
		return 1
	})
	var newest *op
	floor := map[*op]*op{}
	for _, m := range moments {
		if !m.returns {
			floor[m.o] = newest
			continue
		}
		o, before := m.o, floor[m.o]
		delete(floor, o)
		if before != nil && (o.writes() || o.Linearizable) {
			behind := o.Zxid < before.Zxid || o.writes() && o.Outcome == ok && o.Zxid == before.Zxid
			if behind {
				found.add("%s began after this had returned: %s", o, before)
			}
		}
		if newest == nil || o.Zxid > newest.Zxid {
			newest = o
		}
	}
}

// checkSessions is C3.
func checkSessions(h *history, _ *timeline) (found findings) {
	for session, ops := range h.sessionOps() {
		if session == 0 {
			continue // guests have no session to be consistent with
		}
		returned := slices.Clone(ops)
		slices.SortStableFunc(returned, func(a, b *op) int { return cmp.Compare(a.Return, b.Return) })
		var newest *op
		for _, o := range ops {
			for len(returned) > 0 && returned[0].Return < o.Invoke {
				if r := returned[0]; r.judged() && (newest == nil || r.Zxid > newest.Zxid) {
					newest = r
				}
				returned = returned[1:]
			}
			if newest != nil && o.judged() && o.Zxid < newest.Zxid {
				found.add("%s came after, in the same session: %s", o, newest)
			}
		}
	}
	return found
}
