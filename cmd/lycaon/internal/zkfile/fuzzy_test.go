package zkfile

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/znode"
)

// world is a ZooKeeper as simple as can be: it makes random changes, writes
// them to logs, and takes snapshots while it goes on.
type world struct {
	rnd      *rand.Rand
	nodes    map[string]*saved // by path, "" the root; acl is a number of acls
	acls     []znode.ACL
	sessions []int64
	opened   int64
	zxid     int64
	logs     []*logFile
}

func newWorld(seed uint64) *world {
	w := &world{rnd: rand.New(rand.NewPCG(seed, 7)), nodes: map[string]*saved{"": {acl: -1}}}
	w.roll()
	w.openSession()
	return w
}

// roll begins a new log.
func (w *world) roll() { w.logs = append(w.logs, beginLog()) }

func (w *world) log(c change) {
	w.zxid++
	if w.rnd.IntN(200) == 0 {
		w.zxid = (w.zxid>>32+1)<<32 + 1 // a new leader
	}
	if w.rnd.IntN(30) == 0 {
		w.roll()
	}
	w.logs[len(w.logs)-1].digested(w.zxid, c)
}

func (w *world) openSession() {
	w.opened++
	id := w.opened << 40
	w.sessions = append(w.sessions, id)
	w.log(change{op: opCreateSession, session: id})
}

func (w *world) children(path string) (names []string) {
	for p := range w.nodes {
		if p != "" && p[:strings.LastIndexByte(p, '/')] == path {
			names = append(names, p)
		}
	}
	slices.Sort(names)
	return names
}

func (w *world) pick() string {
	return slices.Sorted(maps.Keys(w.nodes))[w.rnd.IntN(len(w.nodes))]
}

// acl makes a new one each time, of which there is a number from then on.
func (w *world) acl() (znode.ACL, int64) {
	acl := znode.ACL{{Perms: znode.Read, Scheme: "digest", ID: fmt.Sprintf("u%d:h", len(w.acls))}}
	w.acls = append(w.acls, acl)
	return acl, int64(len(w.acls) - 1)
}

// step makes one change.
func (w *world) step() {
	switch dice := w.rnd.IntN(20); {
	case dice < 9:
		w.apply([]change{w.create()}, 0)
	case dice < 12:
		w.apply([]change{w.remove()}, 0)
	case dice < 14:
		w.apply([]change{{op: opSetData, path: w.pick(), data: fmt.Appendf(nil, "%d", w.zxid)}}, 0)
	case dice < 15:
		w.apply([]change{{op: opSetACL, path: w.pick()}}, 0)
	case dice < 17:
		session := w.sessions[w.rnd.IntN(len(w.sessions))]
		w.apply([]change{w.create(), w.remove(), w.create()}, session)
	case dice < 18:
		w.log(change{op: opError})
	case dice < 19 && len(w.sessions) > 1:
		w.closeSession()
	default:
		w.openSession()
	}
}

var names = []string{"a", "b", "c"}

// create picks a parent that may have children, and few names, so that nodes go
// and come again.
func (w *world) create() change {
	c := change{op: []int32{opCreate, opCreate2, opCreateContainer, opCreateTTL}[w.rnd.IntN(4)], ttlMs: 1 + w.rnd.Int64N(1000)}
	parent := w.pick()
	c.own = w.rnd.IntN(3) == 0 && c.op <= opCreate2
	c.path = parent + "/" + names[w.rnd.IntN(len(names))]
	c.data = fmt.Appendf(nil, "of %d", w.zxid)
	return c
}

func (w *world) remove() change {
	return change{op: []int32{opDelete, opDeleteContainer}[w.rnd.IntN(2)], path: w.pick()}
}

// apply does changes as one transaction, or none of them if one is not possible.
func (w *world) apply(changes []change, session int64) {
	if session == 0 {
		session = w.sessions[w.rnd.IntN(len(w.sessions))]
	}
	before := map[string]*saved{}
	for path, n := range w.nodes {
		copied := *n
		before[path] = &copied
	}
	for i := range changes {
		if !w.change(&changes[i], session) {
			w.nodes = before
			return
		}
	}
	if len(changes) == 1 {
		changes[0].session = session
		w.log(changes[0])
		return
	}
	w.log(change{op: opMulti, session: session, parts: changes})
}

func (w *world) change(c *change, session int64) bool {
	switch c.op {
	case opDelete, opDeleteContainer:
		if c.path == "" || w.nodes[c.path] == nil || len(w.children(c.path)) > 0 {
			return false
		}
		delete(w.nodes, c.path)
	case opSetData:
		w.nodes[c.path].data = c.data
	case opSetACL:
		c.acl, w.nodes[c.path].acl = w.acl()
	default:
		parent := w.nodes[c.path[:strings.LastIndexByte(c.path, '/')]]
		if parent == nil || parent.owner > 0 || w.nodes[c.path] != nil || strings.Count(c.path, "/") > 3 {
			return false
		}
		n := &saved{path: c.path, data: c.data}
		c.acl, n.acl = w.acl()
		switch {
		case c.own:
			n.owner = session
		case c.op == opCreateContainer:
			n.owner = containerOwner
		case c.op == opCreateTTL:
			n.owner = ttlOwner(c.ttlMs)
		}
		parent.cversion++
		c.cversion = parent.cversion
		w.nodes[c.path] = n
	}
	return true
}

func (w *world) closeSession() {
	i := w.rnd.IntN(len(w.sessions))
	c := change{op: opCloseSession, session: w.sessions[i]}
	w.sessions = slices.Delete(w.sessions, i, i+1)
	for path, n := range w.nodes {
		if n.owner == c.session {
			c.paths = append(c.paths, path)
			delete(w.nodes, path)
		}
	}
	w.log(c)
}

// snapshot is taken node by node while changes go on.
func (w *world) snapshot() (file record, zxid int64) {
	zxid = w.zxid
	acls := map[int64]znode.ACL{}
	for i, acl := range w.acls {
		acls[int64(i)] = acl
	}
	s := beginSnapshot(w.sessions, acls)
	var visit func(path string)
	visit = func(path string) {
		for range w.rnd.IntN(4) {
			w.step()
		}
		n := w.nodes[path]
		if n == nil {
			return
		}
		n.path, n.zxid = path, w.zxid
		s.node(*n)
		below := w.children(path)
		w.rnd.Shuffle(len(below), func(i, j int) { below[i], below[j] = below[j], below[i] })
		for _, child := range below {
			visit(child)
		}
	}
	visit("")
	return s.end().digest(w.zxid), zxid
}

func (w *world) shown() string {
	var lines []string
	for path, n := range w.nodes {
		acl := znode.OpenACL
		if n.acl != -1 {
			acl = w.acls[n.acl]
		}
		kind := ""
		switch {
		case n.owner > 0:
			kind = " ephemeral"
		case n.owner == containerOwner:
			kind = " container"
		case n.owner < 0:
			kind = fmt.Sprintf(" ttl %d", n.owner&ttlValue)
		}
		data := "null"
		if n.data != nil {
			data = fmt.Sprintf("%q", n.data)
		}
		if path == "" {
			path = "/"
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %d%s", path, data, znode.FormatACL(acl), n.cversion, kind))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// However a snapshot and the changes were interleaved, the tree is that of the
// end, and without the last change it is known to be incomplete.
func TestAFuzzySnapshotAndItsLogsGiveTheTreeOfTheEnd(t *testing.T) {
	t.Parallel()
	fuzzy := 0
	for seed := range uint64(600) {
		w := newWorld(seed)
		for range w.rnd.IntN(60) {
			w.step()
		}
		file, zxid := w.snapshot()
		if w.zxid > zxid {
			fuzzy++
			bare, err := ReadSnapshot(bytes.NewReader(file), zxid)
			require.NoError(t, err)
			require.Error(t, bare.Complete(), "seed %d", seed)
		}
		for range w.rnd.IntN(20) {
			w.step()
		}
		tree, err := ReadSnapshot(bytes.NewReader(file), zxid)
		require.NoError(t, err, "seed %d", seed)
		for _, l := range w.logs {
			_, err := tree.Replay(bytes.NewReader(l.reserve()))
			require.NoError(t, err, "seed %d", seed)
		}
		require.NoError(t, tree.Complete(), "seed %d", seed)
		got := strings.Split(strings.TrimSpace(shown(t, tree)), "\n")
		slices.Sort(got)
		require.Equal(t, w.shown(), strings.Join(got, "\n"), "seed %d", seed)
	}
	require.Greater(t, fuzzy, 400)
}
