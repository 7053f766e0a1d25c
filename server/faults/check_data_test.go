package faults

import (
	"fmt"
	"slices"
	"strings"
)

// finals are the answers to one of the final reads, one a server.
func (h *history) finals(path string) (all []answer) {
	for i := range h.Ops {
		o := &h.Ops[i]
		if o.Process >= finalProcess && o.Outcome == ok && o.Steps[0].Path == path {
			all = append(all, o.Answers[0])
		}
	}
	return all
}

// present tells of each created path below room whether it has to be there (ok) or may be (unknown), and of what was taken away again.
func (h *history) present(room string) (made, gone map[string]outcome) {
	made, gone = map[string]outcome{}, map[string]outcome{}
	for i := range h.Ops {
		o := &h.Ops[i]
		if !o.writes() {
			continue
		}
		for j, s := range o.Steps {
			path := s.Path
			if s.Sequential && o.Outcome == ok {
				path = o.Answers[j].Path
			}
			switch {
			case !strings.HasPrefix(path, room+"/"):
			case s.Kind == "create" && !(s.Sequential && o.Outcome != ok):
				made[path] = o.Outcome
			case s.Kind == "delete" && o.Outcome != fail && gone[path] != ok:
				gone[path] = o.Outcome
			}
		}
	}
	return made, gone
}

// unanswered counts the creates of numbered nodes whose names nobody was told.
func (h *history) unanswered(room string) (n int) {
	for i := range h.Ops {
		o := &h.Ops[i]
		if o.Outcome == unknown && o.writes() && o.Steps[0].Sequential && strings.HasPrefix(o.Steps[0].Path, room+"/") {
			n++
		}
	}
	return n
}

// checkRoom compares what every server has below a room at the end with what clients were told.
func (h *history) checkRoom(room string) (found findings) {
	made, gone := h.present(room)
	lists := h.finals(room)
	if len(lists) == 0 {
		found.add("nobody read %s at the end", room)
	}
	for _, list := range lists {
		nameless := h.unanswered(room)
		there := map[string]bool{}
		for _, name := range list.Names {
			path := room + "/" + name
			there[path] = true
			switch {
			case made[path] == "" && nameless > 0:
				nameless--
			case made[path] == "":
				found.add("%s is there, and nobody made it", path)
			case made[path] == fail:
				found.add("%s is there, and its create was told to have failed", path)
			case gone[path] == ok:
				found.add("%s is there, and its delete was acknowledged", path)
			}
		}
		for path, how := range made {
			if how == ok && gone[path] == "" && !there[path] {
				found.add("%s is missing, and its create was acknowledged", path)
			}
		}
	}
	return found
}

// checkSet is C4.
func checkSet(h *history, _ *timeline) (found findings) {
	for _, room := range []string{"/set", "/seq"} {
		found = append(found, h.checkRoom(room)...)
	}
	return found
}

// checkCounters is C5.
func checkCounters(h *history, _ *timeline) (found findings) {
	acked, doubtful := 0, 0
	for i := range h.Ops {
		o := &h.Ops[i]
		if !o.writes() || o.Steps[0].Kind != "set" || o.Steps[0].Path != "/counter/c" {
			continue
		}
		switch o.Outcome {
		case ok:
			acked++
		case unknown:
			doubtful++
		}
	}
	for _, final := range h.finals("/counter/c") {
		if n := valueOf(final.Data); n < acked || n > acked+doubtful {
			found.add("the counter is at %d after %d acknowledged and %d unknown increments", n, acked, doubtful)
		}
	}
	return append(found, h.checkRoom("/batch")...)
}

// checkSequence is C6, by what clients were told and by the log.
func checkSequence(h *history, line *timeline) (found findings) {
	type numbered struct {
		path string
		zxid uint64
	}
	rooms := map[string][]numbered{}
	for i := range h.Ops {
		o := &h.Ops[i]
		if o.Outcome == ok && o.Call == "write" && o.Steps[0].Sequential {
			prefix := o.Steps[0].Path
			rooms[prefix] = append(rooms[prefix], numbered{o.Answers[0].Path, o.Zxid})
		}
	}
	for prefix, all := range rooms {
		slices.SortFunc(all, func(a, b numbered) int { return strings.Compare(a.path, b.path) })
		for i := 1; i < len(all); i++ {
			if all[i].path == all[i-1].path {
				found.add("%s was given twice, at zxid %d and %d", all[i].path, all[i-1].zxid, all[i].zxid)
			} else if all[i].zxid <= all[i-1].zxid {
				found.add("below %s, %s of zxid %d is not after %s of zxid %d", prefix, all[i].path, all[i].zxid, all[i-1].path, all[i-1].zxid)
			}
		}
	}
	newest := map[string]string{}
	for i := range line.Txns {
		for j, s := range line.Txns[i].Steps {
			if !s.Sequential || j >= len(line.Txns[i].Answers) {
				continue
			}
			path := line.Txns[i].Answers[j].Path
			if path <= newest[s.Path] {
				found.add("zxid %d: %s comes after %s", line.Txns[i].Zxid, path, newest[s.Path])
			}
			newest[s.Path] = path
		}
	}
	return found
}

// checkQueue is C7: each element is taken once, by the first in the order in which they came, and none is lost.
func checkQueue(h *history, _ *timeline) (found findings) {
	taken := map[string]int{}
	newest := map[int]string{}
	for i := range h.Ops {
		o := &h.Ops[i]
		if o.Outcome != ok || !o.writes() || o.Steps[0].Kind != "delete" || !strings.HasPrefix(o.Steps[0].Path, "/queue/") {
			continue
		}
		path := o.Steps[0].Path
		if taken[path]++; taken[path] > 1 {
			found.add("%s was taken twice", path)
		}
		if path <= newest[o.Process] {
			found.add("%s was taken after %s", path, newest[o.Process])
		}
		newest[o.Process] = path
	}
	return append(found, h.checkRoom("/queue")...)
}

// checkMulti is C8: who reads two nodes at once sees both halves of each transfer, or none.
func checkMulti(h *history, _ *timeline) (found findings) {
	for i := range h.Ops {
		o := &h.Ops[i]
		if o.Call != "read" || o.Outcome != ok || len(o.Steps) != 2 || o.Steps[0].Path != "/pair/a" {
			continue
		}
		if sum := valueOf(o.Answers[0].Data) + valueOf(o.Answers[1].Data); sum != pairTotal {
			found.add("%s: %s and %s make %d", o, o.Answers[0].Data, o.Answers[1].Data, sum)
		}
	}
	batches := map[string]int{}
	for i, list := range h.finals("/batch") {
		for _, name := range list.Names {
			word, _, _ := strings.Cut(name, "-")
			batches[fmt.Sprintf("%s of the %d. server", word, i)]++
		}
	}
	for word, n := range batches {
		if n != batchSize {
			found.add("of batch %s there are %d nodes", word, n)
		}
	}
	return found
}
