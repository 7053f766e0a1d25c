package faults

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// places gives everything that one process wrote down, in its order.
type place struct {
	n int
	o *op
	e *event
}

func (h *history) places() map[int][]place {
	all := map[int][]place{}
	for i := range h.Ops {
		all[h.Ops[i].Process] = append(all[h.Ops[i].Process], place{h.Ops[i].N, &h.Ops[i], nil})
	}
	for i := range h.Events {
		all[h.Events[i].Process] = append(all[h.Events[i].Process], place{h.Events[i].N, nil, &h.Events[i]})
	}
	for _, p := range all {
		slices.SortFunc(p, func(a, b place) int { return cmp.Compare(a.n, b.n) })
	}
	return all
}

// tells is of the events that a server sent.
func (e *event) tells() bool {
	return e.Kind == "created" || e.Kind == "deleted" || e.Kind == "changed"
}

// checkEventOrder is C9. A watcher empties its watches after each reply, and says so: what comes later than that has to be newer than the reply.
func checkEventOrder(h *history, _ *timeline) (found findings) {
	for _, places := range h.places() {
		shown := map[uint64]uint64{}  // session -> newest zxid of a reply
		closed := map[uint64]uint64{} // the same before the watches were last emptied
		newest := map[int]uint64{}    // watch -> zxid of its newest event
		for _, p := range places {
			switch {
			case p.o != nil && p.o.judged():
				shown[p.o.Session] = max(shown[p.o.Session], p.o.Zxid)
			case p.e == nil:
			case p.e.Kind == "drained":
				closed[p.e.Session] = shown[p.e.Session]
			case !p.e.tells():
			case p.e.Zxid < newest[p.e.Watch]:
				found.add("watch %d was told zxid %d after %d", p.e.Watch, p.e.Zxid, newest[p.e.Watch])
			default:
				newest[p.e.Watch] = p.e.Zxid
				if p.e.Zxid <= closed[p.e.Session] && p.e.Mode == modeRecursive {
					found.add("watch %d was told %s %s of zxid %d after a reply of zxid %d", p.e.Watch, p.e.Kind, p.e.Path, p.e.Zxid, closed[p.e.Session])
				}
			}
		}
	}
	return found
}

// told is what one watch said, from its registration to its end.
type told struct {
	id       int
	mode     string
	path     string
	from, to uint64 // everything after from and up to to has to be there
	exact    bool   // to is known
	events   []*event
	gaps     [][2]uint64 // open at the left
}

func (h *history) watches() map[int]*told {
	all := map[int]*told{}
	for _, places := range h.places() {
		for _, p := range places {
			e := p.e
			if e == nil || e.Watch == 0 {
				continue
			}
			w := all[e.Watch]
			if w == nil {
				w = &told{id: e.Watch, mode: e.Mode, from: e.Zxid, path: e.Path}
				all[e.Watch] = w
			}
			w.add(e)
		}
	}
	return all
}

func (w *told) add(e *event) {
	switch {
	case e.tells():
		w.events = append(w.events, e)
		w.to = max(w.to, e.Zxid-1) // more of this transaction might have followed
	case e.Kind == "closed" && e.Zxid > 0:
		w.to, w.exact = e.Zxid, true
	case e.Kind == "gap":
		until := e.Zxid
		if until == 0 {
			until = math.MaxUint64
		}
		w.gaps = append(w.gaps, [2]uint64{max(w.from, w.to), until})
	}
}

func (w *told) excused(zxid uint64) bool {
	return slices.ContainsFunc(w.gaps, func(g [2]uint64) bool { return zxid > g[0] && zxid <= g[1] })
}

// checkEventsComplete is C10: what a watch told is what the log has of its path.
func checkEventsComplete(h *history, line *timeline) (found findings) {
	gaps := 0
	for _, w := range h.watches() {
		gaps += len(w.gaps)
		if !line.covers(w.from) {
			continue // the log begins later
		}
		if w.mode == modeOnce {
			checkOnce(&found, w, line)
			continue
		}
		checkStaying(&found, w, line)
	}
	return found
}

func checkStaying(found *findings, w *told, line *timeline) {
	had := map[uint64][]change{}
	for _, e := range w.events {
		c := change{e.Kind, e.Path}
		if slices.Contains(had[e.Zxid], c) {
			found.add("watch %d was told %v of zxid %d twice", w.id, c, e.Zxid)
		}
		had[e.Zxid] = append(had[e.Zxid], c)
	}
	for i := range line.Txns {
		x := &line.Txns[i]
		if x.Zxid <= w.from {
			continue
		}
		var want []change
		for _, c := range x.Changes {
			if c.Path == w.path || strings.HasPrefix(c.Path, w.path+"/") {
				want = append(want, c)
			}
		}
		if got := had[x.Zxid]; !slices.Equal(got, want) && (x.Zxid <= w.to && !w.excused(x.Zxid) || len(got) > 0) {
			found.add("watch %d on %s, registered at %d: zxid %d was told as %v, and was %v", w.id, w.path, w.from, x.Zxid, got, want)
		}
		delete(had, x.Zxid)
	}
	for zxid, changes := range had {
		if zxid > line.Last && !line.Whole {
			continue
		}
		found.add("watch %d was told %v of zxid %d, which it was registered after, or which is not in the log", w.id, changes, zxid)
	}
}

func checkOnce(found *findings, w *told, line *timeline) {
	if len(w.events) > 1 {
		found.add("one-shot watch %d fired %d times", w.id, len(w.events))
	}
	first := line.firstChange(w.path, w.from)
	switch {
	case len(w.events) == 0 && first != nil && w.exact && first.Zxid <= w.to:
		found.add("one-shot watch %d on %s, registered at %d, did not fire for zxid %d, up to %d", w.id, w.path, w.from, first.Zxid, w.to)
	case len(w.events) == 0 || w.events[0].Zxid > line.Last && !line.Whole:
	case first == nil:
		found.add("one-shot watch %d on %s, registered at %d, fired for zxid %d, and nothing had changed", w.id, w.path, w.from, w.events[0].Zxid)
	case w.events[0].Zxid < first.Zxid:
		// A server that no longer knew what had happened compared: its event bears the point from which the watch was resumed.
	case w.events[0].Zxid > first.Zxid:
		found.add("one-shot watch %d on %s, registered at %d, fired for zxid %d, the first change was %d", w.id, w.path, w.from, w.events[0].Zxid, first.Zxid)
	case !slices.Contains(first.Changes, change{w.events[0].Kind, w.path}):
		found.add("one-shot watch %d on %s was told %s of zxid %d, which was %v", w.id, w.path, w.events[0].Kind, first.Zxid, first.Changes)
	}
}
