package faults

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// goodWorld has a little of everything.
func goodWorld(t *testing.T) *world {
	w := newWorld(t)
	a, b := w.open(1), w.open(2)
	for _, path := range append(slices.Clone(rooms), "/counter/c", "/pair/a", "/pair/b") {
		data := ""
		switch path {
		case "/counter/c":
			data = "0#c"
		case "/pair/a", "/pair/b":
			data = "500#" + path
		}
		w.write(1, a, step{Kind: "create", Path: path, Data: data, Version: -1})
	}
	w.event(2, b, 1, modeRecursive, "opened", "/w", w.mach.Zxid())
	w.event(2, b, 2, modeOnce, "opened", "/w/1", w.mach.Zxid())
	made := w.write(1, a, step{Kind: "create", Path: "/w/1", Data: "x"}).Zxid
	w.event(2, b, 1, modeRecursive, "created", "/w/1", made)
	w.event(2, b, 2, modeOnce, "created", "/w/1", made)
	w.read(2, b, false, step{Kind: "get", Path: "/w/1"})
	w.event(2, b, 0, "", "drained", "", 0)
	changed := w.write(1, a, step{Kind: "set", Path: "/w/1", Data: "y", Version: 0}).Zxid
	w.event(2, b, 1, modeRecursive, "changed", "/w/1", changed)

	w.write(1, a, step{Kind: "create", Path: "/reg/1", Data: "1"})
	w.read(2, b, true, step{Kind: "get", Path: "/reg/1"})
	w.write(1, a, step{Kind: "set", Path: "/reg/1", Data: "2", Version: 0})
	w.write(2, b, step{Kind: "set", Path: "/reg/1", Data: "3", Version: 0}) // fails
	w.read(2, b, true, step{Kind: "exists", Path: "/reg/1"})
	w.write(2, b, step{Kind: "delete", Path: "/reg/1", Version: 1})
	w.read(2, b, true, step{Kind: "get", Path: "/reg/1"})

	w.write(1, a, step{Kind: "create", Path: "/set/s1", Data: "s1"})
	w.write(1, a, step{Kind: "set", Path: "/counter/c", Data: "1#d", Version: 0})
	for range 3 {
		w.write(1, a, step{Kind: "create", Path: "/seq/n-", Data: "n", Sequential: true})
		w.write(1, a, step{Kind: "create", Path: "/queue/q-", Data: "q", Sequential: true})
	}
	w.write(2, b, step{Kind: "delete", Path: "/seq/n-0000000002", Version: -1})
	w.write(1, a, step{Kind: "create", Path: "/seq/n-", Data: "n", Sequential: true})
	w.write(2, b, step{Kind: "delete", Path: "/queue/q-0000000000", Version: -1})
	w.write(2, b, step{Kind: "delete", Path: "/queue/q-0000000001", Version: -1})
	var batch []step
	for _, name := range []string{"b-0", "b-1", "b-2", "b-3"} {
		batch = append(batch, step{Kind: "create", Path: "/batch/" + name, Data: name})
	}
	w.write(1, a, batch...)
	w.write(1, a, step{Kind: "create", Path: "/batch/c-0"}, step{Kind: "check", Path: "/batch", Version: 77})
	w.write(1, a, step{Kind: "set", Path: "/pair/a", Data: "490#e", Version: 0}, step{Kind: "set", Path: "/pair/b", Data: "510#f", Version: 0})
	w.read(2, b, false, step{Kind: "get", Path: "/pair/a"}, step{Kind: "get", Path: "/pair/b"})

	s := w.begin()
	held := w.strange(s, step{Kind: "create", Path: "/strange/held"})
	w.strange(s, step{Kind: "guard", Path: "/strange/held", Czxid: held}, step{Kind: "create", Path: "/strange/g"})
	w.strange(s, step{Kind: "guard", Path: "/strange/held", Czxid: held + 1}, step{Kind: "create", Path: "/strange/late"}) // fails
	w.strange(s, step{Kind: "raiseSequence", Path: "/strange", AtLeast: 100})
	w.strange(s, step{Kind: "create", Path: "/strange/n-", Sequential: true})
	require.NotNil(t, w.model.nodes["/strange/n-0000000100"])

	w.event(2, b, 1, modeRecursive, "closed", "/w", w.mach.Zxid())
	e := w.open(3)
	w.write(3, e, step{Kind: "create", Path: "/eph/1", Data: "e", Ephemeral: true})
	w.end(3, e, true)
	f := w.open(4)
	w.write(4, f, step{Kind: "create", Path: "/eph/2", Data: "f", Ephemeral: true})
	w.end(4, f, false)
	return w
}

func checkerNamed(t *testing.T, name string) checker {
	i := slices.IndexFunc(checkers, func(c checker) bool { return c.name == name })
	require.GreaterOrEqual(t, i, 0, name)
	return checkers[i]
}

func find(t *testing.T, name string, h *history) findings {
	t.Helper()
	line, err := replay(h, nil)
	require.NoError(t, err)
	return checkerNamed(t, name).check(h, line)
}

func TestEveryCheckerAcceptsAGoodHistory(t *testing.T) {
	h := goodWorld(t).finish()
	for _, c := range checkers {
		if c.name != "traffic" { // a world is slow
			require.Empty(t, find(t, c.name, h), c.name)
		}
	}
}

// theOp finds the one operation that begins with a step.
func theOp(t *testing.T, h *history, kind, path, data string) *op {
	t.Helper()
	for i := range h.Ops {
		if s := h.Ops[i].Steps[0]; s.Kind == kind && s.Path == path && s.Data == data {
			return &h.Ops[i]
		}
	}
	t.Fatalf("no %s of %s", kind, path)
	return nil
}

func theEvent(h *history, kind string, watch int) int {
	return slices.IndexFunc(h.Events, func(e event) bool { return e.Kind == kind && e.Watch == watch })
}

// lies are what each checker must see. A checker that cannot fail is worth nothing.
var lies = []struct {
	checker, name string
	tell          func(t *testing.T, h *history)
	says          string
}{
	{"C1", "a linearizable read is stale", func(t *testing.T, h *history) {
		theOp(t, h, "exists", "/reg/1", "").Answers[0].Version = 0
	}, "Illegal"},
	{"C1", "a write that was refused had run", func(t *testing.T, h *history) {
		o := theOp(t, h, "set", "/reg/1", "2")
		o.Outcome, o.Error = fail, "BadVersion"
	}, "Illegal"},
	{"C2", "a reply is not the model's", func(t *testing.T, h *history) {
		theOp(t, h, "set", "/counter/c", "1#d").Answers[0].Version = 2
	}, "the model says"},
	{"C2", "a local read has another state than its zxid says", func(t *testing.T, h *history) {
		theOp(t, h, "get", "/w/1", "").Answers[0].Data = "y"
	}, "the model has"},
	{"C2", "a refusal is not the model's", func(t *testing.T, h *history) {
		theOp(t, h, "set", "/reg/1", "3").Error = "NoNode"
	}, "the model says"},
	{"C2", "a failed write is in the log", func(t *testing.T, h *history) {
		o := theOp(t, h, "create", "/set/s1", "s1")
		o.Outcome, o.Error, o.Zxid = fail, "NotReady", 0
	}, "nobody was told"},
	{"C2", "a write is acknowledged that is not in the log", func(t *testing.T, h *history) {
		theOp(t, h, "create", "/set/s1", "s1").Zxid = 1e6
	}, "does not have"},
	{"C2", "a write is ordered before one that had returned", func(t *testing.T, h *history) {
		o := theOp(t, h, "create", "/set/s1", "s1")
		o.Invoke, o.Return = h.About.End, h.About.End+1
	}, "after this had returned"},
	{"C2", "a linearizable read misses what had been acknowledged", func(t *testing.T, h *history) {
		theOp(t, h, "exists", "/reg/1", "").Zxid -= 2
	}, "after this had returned"},
	{"C3", "a session goes back", func(t *testing.T, h *history) {
		theOp(t, h, "get", "/pair/a", "").Zxid = theOp(t, h, "exists", "/reg/1", "").Zxid - 1
	}, "in the same session"},
	{"C4", "an acknowledged node is lost", func(_ *testing.T, h *history) { dropFinal(h, "/set") }, "is missing"},
	{"C4", "a node that nobody made", func(_ *testing.T, h *history) { addFinal(h, "/set", "s2") }, "nobody made it"},
	{"C4", "a node whose create had failed", func(t *testing.T, h *history) {
		theOp(t, h, "create", "/set/s1", "s1").Outcome = fail
	}, "told to have failed"},
	{"C4", "a deleted node is back", func(_ *testing.T, h *history) { addFinal(h, "/seq", "n-0000000002") }, "its delete was acknowledged"},
	{"C5", "an increment is lost", func(_ *testing.T, h *history) { finalOf(h, "/counter/c").Answers[0].Data = "0#c" }, "the counter is at 0"},
	{"C5", "an increment ran twice", func(_ *testing.T, h *history) { finalOf(h, "/counter/c").Answers[0].Data = "2#c" }, "the counter is at 2"},
	{"C5", "a batch is lost", func(_ *testing.T, h *history) { dropFinal(h, "/batch") }, "is missing"},
	{"C6", "a number is given twice", func(_ *testing.T, h *history) {
		numbered := sequentials(h)
		numbered[1].Answers[0].Path = numbered[0].Answers[0].Path
	}, "given twice"},
	{"C6", "numbers fall", func(_ *testing.T, h *history) {
		numbered := sequentials(h)
		numbered[0].Zxid, numbered[1].Zxid = numbered[1].Zxid, numbered[0].Zxid
	}, "is not after"},
	{"C7", "an element is taken twice", func(t *testing.T, h *history) {
		h.Ops = append(h.Ops, *theOp(t, h, "delete", "/queue/q-0000000000", ""))
	}, "taken twice"},
	{"C7", "the second is taken before the first", func(t *testing.T, h *history) {
		a, b := theOp(t, h, "delete", "/queue/q-0000000000", ""), theOp(t, h, "delete", "/queue/q-0000000001", "")
		*a, *b = *b, *a
	}, "taken after"},
	{"C7", "an element is lost", func(_ *testing.T, h *history) { dropFinal(h, "/queue") }, "is missing"},
	{"C8", "half a transfer is seen", func(t *testing.T, h *history) {
		theOp(t, h, "get", "/pair/a", "").Answers[0].Data = "500#a"
	}, "make 1010"},
	{"C8", "half a batch is there", func(_ *testing.T, h *history) { dropFinal(h, "/batch") }, "there are 3"},
	{"C9", "an event comes after what it announces", func(_ *testing.T, h *history) {
		for i := range h.Events {
			h.Events[i].N *= 2
		}
		for i := range h.Ops {
			h.Ops[i].N *= 2
		}
		h.Events[theEvent(h, "created", 1)].N = h.Events[theEvent(h, "drained", 0)].N + 1
	}, "after a reply"},
	{"C9", "two events are exchanged", func(_ *testing.T, h *history) {
		made, changed := &h.Events[theEvent(h, "created", 1)], &h.Events[theEvent(h, "changed", 1)]
		made.N, changed.N = changed.N, made.N
	}, "after"},
	{"C10", "an event is missing", func(_ *testing.T, h *history) {
		i := theEvent(h, "changed", 1)
		h.Events = slices.Delete(h.Events, i, i+1)
	}, "was told as []"},
	{"C10", "an event comes twice", func(_ *testing.T, h *history) {
		h.Events = append(h.Events, h.Events[theEvent(h, "created", 1)])
	}, "twice"},
	{"C10", "an event of nothing", func(_ *testing.T, h *history) {
		h.Events[theEvent(h, "changed", 1)].Zxid++
	}, "was told"},
	{"C10", "a one-shot does not fire", func(_ *testing.T, h *history) {
		h.Events[theEvent(h, "created", 2)].Kind = "closed"
	}, "did not fire"},
	{"C10", "a one-shot fires late", func(_ *testing.T, h *history) {
		h.Events[theEvent(h, "created", 2)].Zxid++
	}, "the first change was"},
	{"C11", "a session expires much too late", func(_ *testing.T, h *history) {
		for i := range h.Lives {
			if h.Lives[i].State == "abandoned" {
				h.Lives[i].At -= 5 * 1e9
			}
		}
	}, "expired at"},
	{"C11", "a session never expires", func(_ *testing.T, h *history) {
		h.Lives = append(h.Lives, life{Session: 1, State: "abandoned", TimeoutMs: 1, At: 0})
		h.About.End = 1e12
	}, "did not expire"},
	{"C12", "a session expires too early", func(_ *testing.T, h *history) {
		for i := range h.Ops {
			if o := &h.Ops[i]; o.Process == 3 {
				o.Invoke += 900 * 1e6
				o.Return = o.Invoke + 1
			}
		}
	}, "expired at"},
	{"C12", "a session acts after its end", func(_ *testing.T, h *history) {
		for i := range h.Ops {
			if o := &h.Ops[i]; o.Process == 4 {
				o.Zxid += 2
			}
		}
	}, "had ended"},
	{"C12", "a session is lost without need", func(_ *testing.T, h *history) {
		h.Lives = append(h.Lives, life{Process: 1, Session: 1, State: "expired", Cause: "no sign of life for 1s", At: h.About.End})
	}, "was lost"},
	{"C12", "a client is told of an end that never was", func(_ *testing.T, h *history) {
		h.Lives = append(h.Lives, life{Process: 1, Session: 1, State: "expired", Cause: "session expired", At: h.About.End})
	}, "and it has not"},
	{"C12", "a client holds a session that has expired", func(_ *testing.T, h *history) {
		for _, l := range h.Lives {
			if l.State == "abandoned" {
				h.Lives = append(h.Lives, life{Process: 3, Session: l.Session, State: "expired", Cause: "no sign of life", At: h.About.End + 1e9})
			}
		}
		h.Lives = slices.DeleteFunc(h.Lives, func(l life) bool { return l.State == "abandoned" })
	}, "held it until"},
	{"C15", "a server has another state", func(_ *testing.T, h *history) { h.Members[1].Digest++ }, "server 2 has"},
	{"C15", "all have a state that the log does not make", func(_ *testing.T, h *history) {
		h.Members[0].Digest++
		h.Members[1].Digest++
	}, "the log makes"},
	{"C15", "a server is behind", func(_ *testing.T, h *history) { h.Members[1].Zxid-- }, "server 2 has zxid"},
	{"C15", "a server does not answer", func(_ *testing.T, h *history) { h.Members = h.Members[:1] }, "1 of 2"},
	{"C16", "a term goes back", func(_ *testing.T, h *history) { h.Samples[1].Term = 0 }, "went back"},
	{"C16", "a vote goes back", func(_ *testing.T, h *history) { h.Samples[1].VoteTerm = 0 }, "went back"},
	{"C16", "two votes in one term", func(_ *testing.T, h *history) { h.Samples[1].VoteTerm = 1 }, "voted"},
	{"C16", "two entries at one place", func(_ *testing.T, h *history) {
		h.Entries[3].Data = append(slices.Clone(h.Entries[3].Data), 0)
	}, "different entries"},
	{"outcomes", "a session that is closed later does not know", func(_ *testing.T, h *history) {
		for i := range h.Ops {
			if h.Ops[i].Process == 4 {
				h.Ops[i].Outcome = unknown
			}
		}
	}, "no known outcome"},
	{"outcomes", "a live session does not know", func(t *testing.T, h *history) {
		theOp(t, h, "create", "/set/s1", "s1").Outcome = unknown
	}, "no known outcome"},
	{"outcomes", "an answer never comes", func(t *testing.T, h *history) {
		theOp(t, h, "create", "/set/s1", "s1").Error = "Timeout"
	}, "no answer"},
	{"notes", "something was noted", func(_ *testing.T, h *history) { h.Notes = append(h.Notes, "server 1 ended by itself") }, "ended"},
	{"C18", "the gap is too long", func(t *testing.T, h *history) {
		at := theOp(t, h, "create", "/set/s1", "s1").Invoke
		h.Faults = append(h.Faults, fault{Name: "kill", Begin: at + beat, Healed: at + 2*beat, GapMs: 1})
	}, "no write for"},
	{"C18", "writes do not go on after the fault", func(_ *testing.T, h *history) {
		h.Faults = append(h.Faults, fault{Name: "kill all", Deaf: true, Begin: beat, Healed: h.About.End})
	}, "after its end"},
	{"C18", "a write fails that was worth its wait", func(t *testing.T, h *history) {
		o := theOp(t, h, "create", "/set/s1", "s1")
		o.Outcome, o.Error = fail, "NotReady"
	}, "NotReady"},
	{"traffic", "hardly anything happened", func(_ *testing.T, h *history) { h.About.End = 1e12 }, "void"},
}

func dropFinal(h *history, path string) {
	o := finalOf(h, path)
	o.Answers[0].Names = o.Answers[0].Names[1:]
}

func addFinal(h *history, path, name string) {
	o := finalOf(h, path)
	o.Answers[0].Names = append(slices.Clone(o.Answers[0].Names), name)
}

func finalOf(h *history, path string) *op {
	i := slices.IndexFunc(h.Ops, func(o op) bool { return o.Process >= finalProcess && o.Steps[0].Path == path })
	return &h.Ops[i]
}

func sequentials(h *history) (all []*op) {
	for i := range h.Ops {
		if s := h.Ops[i].Steps[0]; s.Sequential && strings.HasPrefix(s.Path, "/seq/") {
			all = append(all, &h.Ops[i])
		}
	}
	return all
}

func TestEveryCheckerSeesTheLie(t *testing.T) {
	seen := map[string]bool{}
	for _, lie := range lies {
		t.Run(lie.checker+" "+lie.name, func(t *testing.T) {
			h := goodWorld(t).finish()
			lie.tell(t, h)
			found := find(t, lie.checker, h)
			require.NotEmpty(t, found)
			require.True(t, slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, lie.says) }), "%q in %q", lie.says, found)
		})
		seen[lie.checker] = true
	}
	for _, c := range checkers {
		require.True(t, seen[c.name], "no lie is told to %s", c.name)
	}
}

// What was late while nothing ran at all is no fault of the servers.
func TestAStallOfTheMachineIsNotTakenForALateEnd(t *testing.T) {
	for _, name := range []string{"a session expires much too late", "a client holds a session that has expired"} {
		t.Run(name, func(t *testing.T) {
			h := goodWorld(t).finish()
			lie := lies[0]
			for _, l := range lies {
				if l.name == name {
					lie = l
				}
			}
			lie.tell(t, h)
			h.Stalls = append(h.Stalls, stall{-10e9, h.About.End + 10e9})
			for _, found := range find(t, lie.checker, h) {
				require.NotContains(t, found, lie.says)
			}
		})
	}
}
