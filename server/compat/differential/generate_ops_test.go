package differential

// op invents one request of a burst.
func (g *generator) op() *op {
	o := g.whole()
	if g.chance(0.5) {
		o.Cut = 1 + g.rng.IntN(4)
	}
	return o
}

var burstWeights = []struct {
	weight int
	make   func(g *generator) *op
}{
	{24, (*generator).create},
	{11, func(g *generator) *op { return &op{Op: opDelete, Path: g.path(), Version: 0} }},
	{9, func(g *generator) *op { return g.read(opExists) }},
	{8, func(g *generator) *op { return g.read(opGetData) }},
	{9, (*generator).setData},
	{4, func(g *generator) *op { return &op{Op: opGetACL, Path: g.below()} }},
	{4, (*generator).setACL},
	{5, func(g *generator) *op { return g.read(opGetChildren) }},
	{5, func(g *generator) *op { return g.read(opGetChildren2) }},
	{2, func(g *generator) *op { return &op{Op: opSync, Path: g.path()} }},
	{7, (*generator).multi},
	{3, (*generator).multiRead},
	{2, (*generator).getEphemerals},
	{3, func(g *generator) *op { return &op{Op: opCountBelow, Path: g.below()} }},
	{4, (*generator).addWatch},
	{3, func(g *generator) *op { return g.aboutWatches(opRemoveWatches) }},
	{2, func(g *generator) *op { return g.aboutWatches(opCheckWatches) }},
	{1, func(g *generator) *op { return &op{Op: opWhoAmI} }},
	{1, func(g *generator) *op { return &op{Op: opPing} }},
	{1, (*generator).setWatches},
	{1, func(g *generator) *op { return &op{Op: opGetData, Path: quotaStats} }},
}

func (g *generator) whole() *op {
	weights := make([]int, len(burstWeights))
	for i := range burstWeights {
		weights[i] = burstWeights[i].weight
	}
	o := burstWeights[g.weighted(weights)].make(g)
	if o.Op == opDelete {
		o.Version = g.version(o.Path)
	}
	return o
}

func (g *generator) read(code opcode) *op {
	return &op{Op: code, Path: g.below(), Watch: g.watches(oneShots) && g.chance(45)}
}

// watches says whether the connection has the habit to leave such watches.
func (g *generator) watches(kind habit) bool {
	own := g.habits[g.now]
	return own == kind || own == mixed
}

func (g *generator) create() *op {
	o := &op{Path: g.path(), Data: g.data(), ACL: g.acl()}
	switch g.weighted([]int{50, 25, 9, 10, 6}) {
	case 0:
		o.Op, o.Flags = opCreate, pick(g, plainFlags)
	case 1:
		o.Op, o.Flags = opCreate2, pick(g, plainFlags)
	case 2:
		o.Op, o.Flags = opCreateContainer, flagContainer
	case 3:
		o.Op, o.Flags, o.TTL = opCreateTTL, pick(g, []int32{flagTTL, flagTTLSequential}), pick(g, ttls)
	default: // what no client sends
		// A createTTL with another flag and a bad TTL stops ZooKeeper 3.8 for good,
		// and of what createContainer is given it makes curious containers.
		o.Op = pick(g, []opcode{opCreate, opCreate2})
		o.Flags = int32(g.rng.IntN(10)) - 1
	}
	if o.Flags == flagSequential || o.Flags == flagEphemeral|flagSequential || o.Flags == flagTTLSequential {
		o.Path = g.prefix()
	}
	return o
}

var plainFlags = []int32{0, 0, 0, 0, flagEphemeral, flagEphemeral, flagSequential, flagSequential, flagEphemeral | flagSequential}

// ttls are too long to end within a run, or wrong.
var ttls = []int64{600_000, 600_000, 600_000, 600_000, 3_600_000, 1<<40 - 1, 0, -1, 1 << 40, 1<<63 - 1}

func (g *generator) setData() *op {
	o := &op{Op: opSetData, Path: g.path(), Data: g.data()}
	o.Version = g.version(o.Path)
	return o
}

func (g *generator) setACL() *op {
	o := &op{Op: opSetACL, Path: g.path(), ACL: g.acl(), Version: -1}
	if n := g.m.nodes[o.Path]; n != nil && g.chance(40) {
		o.Version = n.aclVers
	} else if g.chance(30) {
		o.Version = pick(g, someVersions)
	}
	return o
}

var someVersions = []int32{0, 0, 1, 1, 2, 3, -2, 1<<31 - 1, -1 << 31}

// version is any, the right one or another.
func (g *generator) version(path string) int32 {
	switch n := g.m.nodes[path]; {
	case n != nil && g.chance(40):
		return n.version
	case g.chance(60):
		return -1
	}
	return pick(g, someVersions)
}

const maxMulti = 6

func (g *generator) multi() *op {
	o := &op{Op: opMulti}
	for range g.rng.IntN(maxMulti + 1) {
		o.Ops = append(o.Ops, g.part())
	}
	if g.chance(40) { // one that is likely to succeed as a whole
		for _, sub := range o.Ops {
			sub.Version = -1
		}
		o.Ops = o.Ops[:min(2, len(o.Ops))]
	}
	if g.chance(2) {
		o.Ops = append(o.Ops, g.read(pick(g, []opcode{opGetData, opExists, opGetChildren, opGetACL})))
	}
	return o
}

func (g *generator) part() *op {
	var o *op
	switch g.weighted([]int{40, 20, 20, 17, 3}) {
	case 0:
		o = g.create()
	case 1:
		o = &op{Op: opDelete, Path: g.path()}
		o.Version = g.version(o.Path)
	case 2:
		o = g.setData()
	case 3:
		o = &op{Op: opCheck, Path: g.path()}
		o.Version = g.version(o.Path)
	default:
		o = g.setACL()
	}
	return o
}

func (g *generator) multiRead() *op {
	o := &op{Op: opMultiRead}
	for range g.rng.IntN(maxMulti) {
		o.Ops = append(o.Ops, &op{Op: pick(g, []opcode{opGetData, opGetChildren}), Path: g.below(), Watch: g.chance(5)})
	}
	return o
}

func (g *generator) getEphemerals() *op {
	o := &op{Op: opGetEphemerals}
	switch g.rng.IntN(4) {
	case 0:
		o.Path = "/"
	case 1:
		o.Path = g.path()
	case 2:
		o.Path = "$"
	}
	return o
}

// Modes of addWatch.
const (
	modePersistent = 0
	modeRecursive  = 1
)

func (g *generator) addWatch() *op {
	o := &op{Op: opAddWatch, Path: g.below(), Mode: int32(g.rng.IntN(2))}
	switch g.habits[g.now] {
	case oneShots:
		return g.aboutWatches(opCheckWatches)
	case persistent:
		o.Mode = modePersistent
	case recursive:
		o.Mode = modeRecursive
	}
	if g.chance(2) {
		o.Mode = pick(g, []int32{-1, 2, 7})
	}
	return o
}

// watcherTypes.
const (
	watcherChildren = 1
	watcherData     = 2
	watcherAny      = 3
)

func (g *generator) aboutWatches(code opcode) *op {
	o := &op{Op: code, Path: g.below(), Mode: watcherAny}
	if o.Path == "a" { // breaks ZooKeeper 3.8 where there is any recursive watch
		o.Path = "$/a"
	}
	if g.habits[g.now] == oneShots || g.habits[g.now] == mixed {
		o.Mode = pick(g, []int32{watcherChildren, watcherData, watcherAny})
	}
	if g.chance(2) {
		o.Mode = pick(g, []int32{-1, 0, 6, 99})
	}
	return o
}

const maxSetWatches = 5

// setWatches sets watches of the habits of the connection, as of a few
// requests ago.
func (g *generator) setWatches() *op {
	lists := func(n int) (out [][]string) {
		for range n {
			list := []string{}
			for range g.rng.IntN(maxSetWatches) {
				list = append(list, g.proper())
			}
			out = append(out, list)
		}
		return out
	}
	o := &op{Op: opSetWatches, Since: g.rng.IntN(60), Lists: lists(3)}
	if g.habits[g.now] == oneShots && g.chance(70) {
		return o
	}
	o.Op, o.Lists = opSetWatches2, lists(5)
	if !g.watches(oneShots) {
		o.Lists[0], o.Lists[1], o.Lists[2] = nil, []string{}, []string{}
	}
	if !g.watches(persistent) {
		o.Lists[3] = []string{}
	}
	if !g.watches(recursive) {
		o.Lists[4] = []string{}
	}
	return o
}

func (g *generator) auth() *op {
	o := &op{Op: opAuth, Scheme: "digest", Data: []byte(pick(g, users))}
	if g.chance(15) {
		o.Scheme = pick(g, []string{"world", "nobody", "auth", "ip", ""})
	} else if g.chance(10) {
		o.Data = pick(g, [][]byte{{}, []byte("nopassword"), []byte(":"), []byte("super:wrong"), []byte("a:b:c")})
	}
	return o
}

// odd invents what clients do not send alone, if at all.
func (g *generator) odd() *op {
	switch g.rng.IntN(3) {
	case 0:
		return &op{Op: opReconfig}
	case 1:
		return &op{Op: opSync, Path: pick(g, malformed)}
	}
	return &op{Op: pick(g, []opcode{10, 23, 99, 999, -2, 1 << 30})}
}
