package faults

import (
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// stampGrain is what the stamp of a batch, in milliseconds of the wall clock, may be off.
	stampGrain = 5 * time.Millisecond
	// givesUp is in the words of a client that has not been told of its session's end, and must take it for ended.
	givesUp = "no sign of life"
	// giveUpGrain is how late the timer may be by which a client gives its session up: no stall that is shorter is noted.
	giveUpGrain = stallGrain
	// expiryGrace is how much later than its timeout a session may end: ticks, a leader's spread of many expiries, an election.
	expiryGrace = 3 * time.Second
	// outageGrace is how long after a fault its traces may be seen.
	outageGrace = 5 * time.Second
)

// checkEphemerals is C11, by the log: an ephemeral node belongs to a live session at every zxid and goes with it at one zxid; and sessions that
// were left to their timeout end.
func checkEphemerals(h *history, line *timeline) (found findings) {
	live, owner := maps.Clone(line.alive), map[string]uint64{}
	for i := range line.Txns {
		x := &line.Txns[i]
		switch x.Kind {
		case "open":
			live[x.Session] = true
		case "write":
			ownedBy(&found, x, live, owner)
		case "close", "expire":
			delete(live, x.Session)
			sessionGone(&found, x, owner)
		}
	}
	for _, l := range h.Lives {
		if l.State == "abandoned" {
			endsInTime(&found, h, line, &l)
		}
	}
	return found
}

func ownedBy(found *findings, x *txn, live map[uint64]bool, owner map[string]uint64) {
	for j, s := range x.Steps {
		if j >= len(x.Answers) || s.Kind != "create" {
			continue
		}
		if s.Ephemeral {
			if !live[x.Session] {
				found.add("zxid %d: %s is ephemeral and its session %#x does not live", x.Zxid, x.Answers[j].Path, x.Session)
			}
			owner[x.Answers[j].Path] = x.Session
		}
	}
	for _, c := range x.Changes {
		if c.Kind == "deleted" {
			asked := slices.ContainsFunc(x.Steps, func(s step) bool { return s.Kind == "delete" && s.Path == c.Path })
			if owner[c.Path] != 0 && !asked {
				found.add("zxid %d: %s of session %#x went, and nobody had asked", x.Zxid, c.Path, owner[c.Path])
			}
			delete(owner, c.Path)
		}
	}
}

func sessionGone(found *findings, x *txn, owner map[string]uint64) {
	for _, c := range x.Changes {
		if c.Kind != "deleted" || owner[c.Path] != x.Session && owner[c.Path] != 0 {
			found.add("zxid %d: the end of session %#x has %v, which is of session %#x", x.Zxid, x.Session, c, owner[c.Path])
		}
		delete(owner, c.Path)
	}
	for path, session := range owner {
		if session == x.Session {
			found.add("zxid %d: session %#x ended and %s stays", x.Zxid, session, path)
		}
	}
}

// endsInTime: a session that was abandoned is over when its timeout is, or that time after the last fault.
func endsInTime(found *findings, h *history, line *timeline, l *life) {
	timeout := int64(l.TimeoutMs) * int64(time.Millisecond)
	due := l.At + timeout
	for _, f := range h.Faults {
		if f.Begin < due+int64(expiryGrace) {
			due = max(due, f.Settled+timeout)
		}
	}
	due += int64(expiryGrace + h.stalled(l.At, due+int64(expiryGrace)))
	end := line.endOf(l.Session)
	switch {
	case end == nil && due < h.About.End && line.Whole:
		found.add("session %#x was abandoned at %.3fs with a timeout of %d ms and did not expire by %.3fs", l.Session, seconds(l.At), l.TimeoutMs, seconds(due))
	case end != nil && h.sinceStart(end.StampMs) > due:
		found.add("session %#x was abandoned at %.3fs with a timeout of %d ms and expired at %.3fs", l.Session, seconds(l.At), l.TimeoutMs, seconds(h.sinceStart(end.StampMs)))
	}
}

// sinceStart turns a stamp of the log into the history's clock: all run on one machine.
func (h *history) sinceStart(stampMs int64) int64 {
	return stampMs*int64(time.Millisecond) - h.About.WallNs
}

// checkExpiry is C12.
func checkExpiry(h *history, line *timeline) (found findings) {
	timeouts, ends := map[uint64]int64{}, map[uint64]*txn{}
	for i := range line.Txns {
		x := &line.Txns[i]
		switch x.Kind {
		case "close", "expire":
			ends[x.Session] = x
		case "open", "attach":
			if end := ends[x.Session]; end != nil {
				found.add("zxid %d: session %#x is back after its end at %d", x.Zxid, x.Session, end.Zxid)
			}
			timeouts[x.Session] = x.Timeout * int64(time.Millisecond)
		}
	}
	heard := map[uint64]*op{}
	for i := range h.Ops {
		o := &h.Ops[i]
		if !o.judged() {
			continue
		}
		if o.writes() && (heard[o.Session] == nil || heard[o.Session].Invoke < o.Invoke) {
			heard[o.Session] = o // the leader has heard it too
		}
		if end := ends[o.Session]; end != nil && o.Zxid >= end.Zxid {
			found.add("%s, and its session had ended at zxid %d", o, end.Zxid)
		}
	}
	for session, end := range ends {
		o := heard[session]
		if end.Kind == "expire" && o != nil && h.sinceStart(end.StampMs)+int64(stampGrain) < o.Invoke+timeouts[session] {
			found.add("session %#x with a timeout of %v expired at %.3fs, and this was answered: %s",
				session, time.Duration(timeouts[session]), seconds(h.sinceStart(end.StampMs)), o)
		}
	}
	return append(found, lostSessions(h, line, ends)...)
}

// lostSessions: no fault that leaves a majority costs a session whose client does its part.
func lostSessions(h *history, line *timeline, ends map[uint64]*txn) (found findings) {
	left := map[uint64]bool{}
	for _, l := range h.Lives {
		switch l.State {
		case "abandoned", "closing":
			left[l.Session] = true
		case "expired":
			if left[l.Session] {
				continue
			}
			byItself := strings.Contains(l.Cause, givesUp)
			switch end := ends[l.Session]; {
			case end == nil && !byItself && line.Whole:
				found.add("the client of session %#x was told at %.3fs that it has ended (%s), and it has not", l.Session, seconds(l.At), l.Cause)
			case end != nil && byItself && l.At > h.sinceStart(end.StampMs)+int64(giveUpGrain+h.stalled(h.sinceStart(end.StampMs), l.At)):
				found.add("the client of session %#x held it until %.3fs, and it had expired at %.3fs", l.Session, seconds(l.At), seconds(h.sinceStart(end.StampMs)))
			}
			if !h.deafAt(l.At) && h.stalled(l.At-int64(loadTimeout), l.At) < loadTimeout/4 {
				found.add("session %#x was lost at %.3fs: %s", l.Session, seconds(l.At), l.Cause)
			}
		}
	}
	return found
}

// deafAt tells whether the cluster had no majority for so long, and that so lately, that a session may be lost. A shorter outage, with the
// third of a timeout that may lie between two signs of life, costs none.
func (h *history) deafAt(at int64) bool {
	return slices.ContainsFunc(h.Faults, func(f fault) bool {
		return f.Deaf && f.Settled-f.Begin > int64(loadTimeout/2) && at >= f.Begin && at <= f.Settled+int64(outageGrace)
	})
}
