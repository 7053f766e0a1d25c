package differential

import (
	"math/rand/v2"
	"slices"
)

const (
	slots    = 4
	maxBurst = 12
)

// generator invents the steps of an episode. It looks at the mirror to hit what
// is there as often as what is not; equal seeds and equal answers give equal
// steps.
type generator struct {
	rng  *rand.Rand
	m    *mirror
	left int // requests to come

	// moves says that an attach may be to another server. Then none is made over a
	// live connection: when the former server learns of it is no matter of order.
	moves bool

	habits  [slots]habit
	fresh   [slots]bool // attached a moment ago
	now     int         // the slot of the step
	closing []step      // the end of the episode, once begun
	ended   bool
}

// habit is the kind of watches that a connection leaves. ZooKeeper 3.8 keeps one
// kind for each path of a connection (ZOOKEEPER-4466), so most keep to one.
type habit int

const (
	oneShots habit = iota
	persistent
	recursive
	mixed
)

func newGenerator(seed uint64, m *mirror, requests int) *generator {
	return &generator{rng: rand.New(rand.NewPCG(seed, 1)), m: m, left: requests}
}

func (g *generator) chance(percent float64) bool { return g.rng.Float64()*100 < percent }

func pick[T any](g *generator, from []T) T { return from[g.rng.IntN(len(from))] }

// weighted picks an index with the probability of its weight.
func (g *generator) weighted(weights []int) int {
	total := 0
	for _, w := range weights {
		total += w
	}
	at := g.rng.IntN(total)
	for i, w := range weights {
		if at -= w; at < 0 {
			return i
		}
	}
	return 0
}

// next is the next step, nil at the end.
func (g *generator) next() *step {
	if g.left <= 0 {
		return g.close()
	}
	g.now = g.rng.IntN(slots)
	st := g.step()
	g.left -= max(1, len(st.Ops))
	return st
}

func (g *generator) step() *step {
	c := g.m.slots[g.now]
	switch {
	case !c.connected:
		return g.connect(c.opened)
	case g.fresh[g.now]:
		g.fresh[g.now] = false
		return g.afterConnect()
	case g.chance(1.5):
		return &step{Slot: g.now, Kind: stepDrop}
	case !g.moves && g.chance(1):
		return g.connect(true) // while connected
	case g.chance(1.5):
		return g.farewell()
	case g.chance(1.5):
		return g.send(g.auth(), &op{Op: opPing})
	case g.chance(1.5):
		return g.send(g.odd())
	}
	return g.send(g.burst()...)
}

func (g *generator) send(ops ...*op) *step { return &step{Slot: g.now, Kind: stepSend, Ops: ops} }

// connect opens a session or attaches to the one that is there.
func (g *generator) connect(opened bool) *step {
	g.habits[g.now] = habit(g.weighted([]int{60, 18, 14, 8}))
	g.fresh[g.now] = true
	st := &step{Slot: g.now, Kind: stepOpen}
	if opened && g.chance(85) {
		st.Kind = stepAttach
		if g.chance(4) {
			st.How = pick(g, []string{wrongPassword, aheadOfServer})
		}
	}
	if st.How == "" && g.chance(10) {
		st.How = shortHello
	}
	return st
}

// afterConnect is what clients do first: they prove who they are, and set
// their watches again.
func (g *generator) afterConnect() *step {
	var ops []*op
	if secret := secrets[g.now]; secret != "" && g.chance(70) {
		ops = append(ops, &op{Op: opAuth, Scheme: "digest", Data: []byte(secret)})
	}
	if g.chance(60) {
		ops = append(ops, g.setWatches())
	}
	return g.send(append(ops, &op{Op: opPing})...)
}

// endsBurst says that what ZooKeeper answers right behind o depends on how far
// its threads are: it judges by the former ACL or by the new one, and it undoes
// too late what a multi had begun that breaks in the middle.
func endsBurst(o *op) bool {
	if o.Op != opMulti {
		return o.Op == opSetACL
	}
	return o.Cut > 0 || slices.ContainsFunc(o.Ops, func(sub *op) bool {
		return endsBurst(sub) || !sub.Op.changes() && sub.Op != opCheck || sub.Op.creates() && oddFlags(sub)
	})
}

func oddFlags(o *op) bool {
	switch o.Op {
	case opCreateContainer:
		return o.Flags != flagContainer
	case opCreateTTL:
		return o.Flags != flagTTL && o.Flags != flagTTLSequential
	}
	return o.Flags < 0 || o.Flags > flagEphemeral|flagSequential
}

// burst is a few requests at once.
func (g *generator) burst() []*op {
	n := 1
	if g.chance(60) {
		n = 2 + g.rng.IntN(maxBurst-1)
	}
	ops := make([]*op, n)
	for i := range ops {
		ops[i] = g.op()
		if endsBurst(ops[i]) {
			return ops[:i+1]
		}
	}
	return ops
}

func (g *generator) farewell() *step {
	ops := g.burst()
	if endsBurst(ops[len(ops)-1]) {
		ops = ops[:0]
	}
	return g.send(append(ops, &op{Op: opCloseSession})...)
}

// close ends the episode: everybody hears what is left, then the sessions end
// one after the other.
func (g *generator) close() *step {
	if !g.ended {
		g.ended = true
		for slot := range slots {
			g.closing = append(g.closing, step{Slot: slot, Kind: stepSend, Ops: []*op{{Op: opGetEphemerals}, {Op: opPing}}})
		}
		for slot := range slots {
			g.closing = append(g.closing,
				step{Slot: slot, Kind: stepSend, Ops: []*op{{Op: opPing}}},
				step{Slot: slot, Kind: stepSend, Ops: []*op{{Op: opCloseSession}}})
		}
	}
	if len(g.closing) == 0 {
		return nil
	}
	st := g.closing[0]
	g.closing = g.closing[1:]
	return &st
}
