package state

import (
	"maps"
	"slices"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// crowded is the number of nodes above which deletes are preferred.
const crowded = 260

// step makes one operation; before are those of the same multi.
func (g *generator) step(before []protocol.WriteOp) protocol.WriteOp {
	p := g.rng.IntN(100)
	if len(g.o.nodes) > crowded {
		p += 30
	}
	narrow := g.chance(300)
	switch p := g.rng.IntN(1000); {
	case p < 20:
		return g.oldest(narrow)
	case p < 45:
		return g.quota()
	}
	switch {
	case p < 42:
		w := g.create(before)
		w.Create.Narrow = narrow
		return w
	case p < 60:
		return protocol.WriteOp{Op: protocol.OpSet, Path: g.target(before), Data: g.data(), Version: g.version(false), Narrow: narrow}
	case p < 66:
		return protocol.WriteOp{Op: protocol.OpSetACL, Path: g.target(before), ACL: g.acl(600), Version: g.version(true), Narrow: narrow}
	case p < 74:
		if g.chance(300) {
			return g.guard(before)
		}
		return protocol.WriteOp{Op: protocol.OpCheck, Path: g.target(before), Version: g.version(false)}
	}
	w := protocol.WriteOp{Op: protocol.OpDelete, Path: g.target(before), Version: g.version(false)}
	w.Recursive = g.chance(250)
	return w
}

// oldest changes the node with the great versions.
func (g *generator) oldest(narrow bool) protocol.WriteOp {
	if g.chance(500) {
		return protocol.WriteOp{Op: protocol.OpSetACL, Path: "/zookeeper/quota", ACL: g.acl(900), Version: znode.AnyVersion, Narrow: narrow}
	}
	data := g.data()
	if g.chance(700) {
		data = []byte("enforce=on")
	}
	return protocol.WriteOp{Op: protocol.OpSet, Path: "/zookeeper/quota", Data: data, Version: znode.AnyVersion, Narrow: narrow}
}

// quota gives some node a quota or another one.
func (g *generator) quota() protocol.WriteOp {
	path := quotas + pick(g, []string{"/a", "/b", "/c", "/a/b", "/zookeeper/quota/a"})
	if g.chance(300) {
		path += "/zookeeper_stats"
	} else {
		path += "/zookeeper_limits"
	}
	data := []byte(pick(g, slices.Sorted(maps.Keys(olimits))))
	if g.chance(50) {
		data = []byte("plenty")
	}
	if g.o.nodes[path] != nil && g.chance(800) {
		return protocol.WriteOp{Op: protocol.OpSet, Path: path, Data: data, Version: znode.AnyVersion}
	}
	c := znode.CreateOp{Path: path, Data: data, ACL: open, Parents: true}
	return protocol.WriteOp{Op: protocol.OpCreate, Create: c, Version: znode.AnyVersion}
}

// guard is mostly by the node that is there.
func (g *generator) guard(before []protocol.WriteOp) protocol.WriteOp {
	w := protocol.WriteOp{Op: protocol.OpGuard, Path: g.target(before), Version: znode.AnyVersion}
	if n := g.o.nodes[w.Path]; n != nil {
		w.Czxid = n.stat.Czxid
	}
	if g.chance(200) {
		w.Czxid++
	}
	return w
}

// raise is mostly by a little; by so much that the numbers no longer fit into
// 32 bits it is seldom.
func (g *generator) raise() protocol.WriteOp {
	w := protocol.WriteOp{Op: protocol.OpRaiseSequence, Path: g.path(), Version: znode.AnyVersion}
	if n := g.o.nodes[w.Path]; n != nil {
		w.AtLeast = int64(n.sequence) + int64(g.rng.IntN(20)) - 5
	}
	if g.chance(200) {
		w.AtLeast = 1<<31 - int64(g.rng.IntN(3))
	}
	w.AtLeast = max(w.AtLeast, 0)
	return w
}

func (g *generator) create(before []protocol.WriteOp) protocol.WriteOp {
	c := znode.CreateOp{Path: g.newPath(before), Data: g.data(), ACL: g.acl(960)}
	switch p := g.rng.IntN(100); {
	case p < 20:
		c.Kind = znode.Ephemeral
	case p < 30:
		c.Kind = znode.Container
	case p < 42:
		c.Kind, c.TTLMs = znode.TTL, int64(g.rng.IntN(20))
	}
	c.Sequential = g.chance(250)
	c.Parents = g.chance(200)
	c.IfAbsent = g.chance(150)
	if c.Parents && g.chance(500) {
		c.Path = strings.TrimSuffix(c.Path, "/") + "/" + pick(g, names) + "/" + pick(g, names)
	}
	return protocol.WriteOp{Op: protocol.OpCreate, Create: c, Version: znode.AnyVersion}
}

// path is one that was created once.
func (g *generator) path() string {
	switch {
	case len(g.known) == 0 || g.chance(8):
		return pick(g, systemPaths)
	case g.chance(8):
		return pick(g, badPaths)
	}
	path := pick(g, g.known)
	for range 2 { // most are gone
		if g.o.nodes[path] == nil {
			path = pick(g, g.known)
		}
	}
	return path
}

func (g *generator) newPath(before []protocol.WriteOp) string {
	switch {
	case g.chance(200):
		return "/" + pick(g, names)
	case g.chance(20):
		return pick(g, badPaths)
	}
	base := g.target(before)
	if strings.Count(base, "/") > 5 {
		base = above(base)
	}
	return strings.TrimSuffix(base, "/") + "/" + pick(g, names)
}

// target is a node of the tree or one that an earlier step may have made.
func (g *generator) target(before []protocol.WriteOp) string {
	if len(before) > 0 && g.chance(350) {
		w := pick(g, before)
		if w.Op == protocol.OpCreate {
			return w.Create.Path
		}
		return w.Path
	}
	return g.path()
}

// note remembers what was created.
func (g *generator) note(effects []oeffect) {
	for _, f := range effects {
		if f.what == znode.NodeCreated {
			g.known = append(g.known, f.path)
		}
	}
	if len(g.known) > 4*crowded {
		g.known = slices.DeleteFunc(g.known, func(path string) bool { return g.o.nodes[path] == nil })
		slices.Sort(g.known)
		g.known = slices.Compact(g.known)
	}
}

func (g *generator) data() []byte {
	switch g.rng.IntN(8) {
	case 0:
		return nil
	case 1:
		return []byte{}
	}
	data := make([]byte, g.rng.IntN(24))
	for i := range data {
		if data[i] = byte(g.rng.Uint32()); data[i] == '=' { // hardly ever the limits of a quota
			data[i] = 'e'
		}
	}
	return data
}

func (g *generator) acl(openPerMille int) znode.ACL {
	if g.chance(openPerMille) {
		return open
	}
	return pick(g, someACLs)
}

// version is most often one that some node has.
func (g *generator) version(ofACL bool) int64 {
	switch g.rng.IntN(10) {
	case 0, 1:
		return int64(g.rng.IntN(3))
	case 2:
		if n := g.o.nodes[g.path()]; n != nil && !ofACL {
			return n.stat.Version
		}
		return 0
	}
	return znode.AnyVersion
}

// read makes a read, and what the oracle answers.
func (g *generator) read(multi bool) (who *znode.Actor, r protocol.Read, want protocol.Message) {
	c := pick(g, g.clients)
	who = &znode.Actor{Session: c.id, IDs: c.who}
	if multi && g.chance(150) {
		r.Op = protocol.OpMultiRead
		want = protocol.Message{Op: r.Op, Zxid: g.o.zxid, More: &protocol.More{}}
		for range g.rng.IntN(5) {
			_, one, result := g.readAs(who, protocol.OpGet+protocol.Op(g.rng.IntN(5)))
			r.Reads = append(r.Reads, one)
			result.Zxid = 0
			want.More.Results = append(want.More.Results, result)
		}
		return who, r, want
	}
	ops := []protocol.Op{protocol.OpGet, protocol.OpExists, protocol.OpChildren, protocol.OpGetACL, protocol.OpCount, protocol.OpEphemerals, protocol.OpSessionInfo, protocol.OpSync}
	return g.readAs(who, pick(g, ops))
}

func (g *generator) readAs(who *znode.Actor, op protocol.Op) (*znode.Actor, protocol.Read, protocol.Message) {
	r := protocol.Read{Op: op, Path: g.path()}
	want := protocol.Message{Op: op}
	switch op {
	case protocol.OpGet, protocol.OpExists:
		g.o.get(who, &r, &want)
	case protocol.OpChildren:
		r.Limit = g.rng.IntN(4)
		if g.chance(500) {
			r.After = pick(g, names)
		}
		r.Whole = g.chance(300)
		g.o.list(who, &r, &want)
	case protocol.OpGetACL:
		g.o.getACL(who, &r, &want)
	case protocol.OpCount:
		if _, want.Code = g.o.find(who.IDs, r.Path, 1); want.Code == protocol.OK {
			want.More = &protocol.More{Count: int64(len(g.o.below(r.Path)))}
		}
	case protocol.OpEphemerals:
		r.Path = pick(g, []string{"", "/", "/a", "/b/c"})
		r.Limit = g.rng.IntN(3)
		r.Whole = g.chance(300)
		g.o.ephemerals(who, &r, &want)
	case protocol.OpSessionInfo:
		r.Session = pick(g, append(slices.Clone(g.gone), who.Session, 0))
		g.o.sessionInfo(who, &r, &want)
	}
	want.Zxid = g.o.zxid
	return who, r, want
}

func (o *oracle) get(who *znode.Actor, r *protocol.Read, want *protocol.Message) {
	if _, want.Code = o.find(who.IDs, r.Path, 1); want.Code != protocol.OK {
		return
	}
	data, stat := o.shown(r.Path)
	want.Stat = stat
	if r.Op == protocol.OpGet {
		want.Data = data
	}
}

func (o *oracle) list(who *znode.Actor, r *protocol.Read, want *protocol.Message) {
	if _, want.Code = o.find(who.IDs, r.Path, 1); want.Code != protocol.OK {
		return
	}
	_, want.Stat = o.shown(r.Path)
	want.More = pageOf(o.children(r.Path), r)
}

func pageOf(sorted []string, r *protocol.Read) *protocol.More {
	more := &protocol.More{Names: sorted}
	if r.Whole {
		return more
	}
	more.Names = slices.DeleteFunc(sorted, func(name string) bool { return name <= r.After })
	if r.Limit > 0 && len(more.Names) > r.Limit {
		more.Names, more.Truncated = more.Names[:r.Limit], true
	}
	return more
}

func (o *oracle) getACL(who *znode.Actor, r *protocol.Read, want *protocol.Message) {
	n, code := o.find(who.IDs, r.Path, 17)
	if want.Code = code; code != protocol.OK {
		return
	}
	acl := slices.Clone(n.acl)
	for i, e := range acl {
		if e.Scheme == "digest" && !allowed(n.acl, 16, who.IDs) {
			acl[i].ID = e.ID[:strings.Index(e.ID, ":")] + ":x"
		}
	}
	_, want.Stat = o.shown(r.Path)
	want.More = &protocol.More{ACL: acl}
}

func (o *oracle) ephemerals(who *znode.Actor, r *protocol.Read, want *protocol.Message) {
	var mine []string
	for path, n := range o.nodes {
		if n.stat.Kind == znode.Ephemeral && n.stat.Owner == who.Session && strings.HasPrefix(path, r.Path) {
			mine = append(mine, path)
		}
	}
	slices.Sort(mine)
	want.More = pageOf(mine, r)
}

func (o *oracle) sessionInfo(who *znode.Actor, r *protocol.Read, want *protocol.Message) {
	id := r.Session
	if id == 0 {
		id = who.Session
	}
	info := &protocol.SessionInfo{ID: id}
	want.More = &protocol.More{Session: info}
	if s := o.sessions[id]; s != nil {
		info.Alive, info.TimeoutMs, info.Generation = true, s.timeoutMs, s.generation
		for _, n := range o.nodes {
			if n.stat.Owner == id {
				info.Ephemerals++
			}
		}
	}
	for _, ended := range o.remembered() {
		if ended.ID == id {
			info.Cause, info.EndedZxid = ended.Cause, ended.Zxid
		}
	}
}
