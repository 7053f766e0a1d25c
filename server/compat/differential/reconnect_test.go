package differential

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// memory is what a client's library knows of its own watches, as the Java
// client does: which it has to set again after a reconnect. The lists are those of
// setWatches2.
type memory [5]map[string]bool

// Lists of a setWatches2.
const (
	listData = iota
	listExist
	listChild
	listPersistent
	listRecursive
)

func newMemory() *memory {
	m := &memory{}
	for i := range m {
		m[i] = map[string]bool{}
	}
	return m
}

// hears notes a reply, which may leave a watch, or an event, which uses one up.
func (m *memory) hears(it *item) {
	switch {
	case it.kind == itemEvent:
		for _, list := range usedUp[it.event] {
			delete(m[list], it.path)
		}
	case it.kind != itemReply:
	case it.err == errNoNode && it.op.Op == opExists && it.op.Watch:
		m[listExist][it.op.Path] = true
	case it.err != 0:
	case it.op.Op == opAddWatch:
		m[listPersistent+int(it.op.Mode)][it.op.Path] = true
	case it.op.Watch && (it.op.Op == opGetChildren || it.op.Op == opGetChildren2):
		m[listChild][it.op.Path] = true
	case it.op.Watch:
		m[listData][it.op.Path] = true
	}
}

var usedUp = map[int32][]int{
	eventCreated:         {listData, listExist},
	eventDataChanged:     {listData, listExist},
	eventDeleted:         {listData, listExist, listChild},
	eventChildrenChanged: {listChild},
}

func (m *memory) lists() (all [][]string) {
	for _, list := range m {
		all = append(all, slices.Sorted(maps.Keys(list)))
	}
	return all
}

// wanderers are clients that leave watches, lose their connection, and come back
// to another server with what they remember, while others change the tree.
type wanderers struct {
	*generator
	rounds int
	queue  []step
	back   []int // slots that have attached again and not set their watches
}

const wandering = 2 // slots; the others write

func (w *wanderers) next() *step {
	for len(w.queue) == 0 {
		switch {
		case len(w.back) > 0:
			w.renew()
		case w.rounds == 0:
			return w.close()
		default:
			w.rounds--
			w.round()
		}
	}
	st := w.queue[0]
	w.queue = w.queue[1:]
	return &st
}

// round plans one round up to the attach; what is set again is known then.
func (w *wanderers) round() {
	for slot := range slots {
		if !w.m.slots[slot].opened {
			w.queue = append(w.queue, step{Slot: slot, Kind: stepOpen})
			w.habits[slot] = pick(w.generator, []habit{oneShots, oneShots, persistent, recursive})
		}
	}
	for slot := range wandering {
		w.queue = append(w.queue, step{Slot: slot, Kind: stepSend, Ops: w.watches(slot)})
	}
	w.change()
	for slot := range wandering {
		if w.chance(70) {
			w.queue = append(w.queue, step{Slot: slot, Kind: stepDrop})
			w.back = append(w.back, slot)
		}
	}
	for range w.rng.IntN(4) {
		w.change()
	}
	for _, slot := range w.back {
		w.queue = append(w.queue, step{Slot: slot, Kind: stepAttach})
	}
}

func (w *wanderers) renew() {
	for _, slot := range w.back {
		w.queue = append(w.queue, step{Slot: slot, Kind: stepSend, Ops: []*op{
			{Op: opSetWatches2, Since: sinceNewest, Lists: w.m.slots[slot].memory.lists()},
		}})
	}
	w.back = nil
	w.change()
}

// watches leaves some of the habit of a slot.
func (w *wanderers) watches(slot int) (ops []*op) {
	for range 3 + w.rng.IntN(6) {
		switch w.habits[slot] {
		case oneShots:
			ops = append(ops, &op{Op: pick(w.generator, []opcode{opExists, opGetData, opGetChildren, opGetChildren2}), Path: w.proper(), Watch: true})
		case persistent:
			ops = append(ops, &op{Op: opAddWatch, Path: w.proper(), Mode: modePersistent})
		default:
			ops = append(ops, &op{Op: opAddWatch, Path: w.proper(), Mode: modeRecursive})
		}
	}
	return ops
}

// change lets a writer change a few nodes.
func (w *wanderers) change() {
	var ops []*op
	for range 1 + w.rng.IntN(6) {
		switch w.rng.IntN(4) {
		case 0:
			ops = append(ops, &op{Op: opDelete, Path: w.proper(), Version: -1})
		case 1:
			ops = append(ops, &op{Op: opSetData, Path: w.proper(), Data: w.data(), Version: -1})
		default:
			ops = append(ops, &op{Op: opCreate, Path: w.proper(), Data: w.data(), ACL: openACL, Flags: pick(w.generator, plainFlags)})
		}
	}
	w.queue = append(w.queue, step{Slot: wandering + w.rng.IntN(slots-wandering), Kind: stepSend, Ops: ops})
}

const roundsOfEpisode = 25

// comeBack lets clients wander for some episodes.
func (p *pair) comeBack(t *testing.T, seed uint64, episodes int) {
	for i := range uint64(episodes) {
		out, err := p.run(func(m *mirror) source {
			return &wanderers{generator: newGenerator(seed+i, m, 0), rounds: roundsOfEpisode}
		})
		require.NoError(t, err)
		if out.diff != nil {
			p.explain(t, seed+i, out)
			return
		}
	}
}
