package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// model is the tree as a reader of the documentation would write it: maps, no sharing, no cleverness. It knows what the workloads use.
type model struct {
	nodes map[string]*modelNode
	live  map[uint64]bool     // sessions
	owned map[uint64][]string // by sessions; what was deleted since, or never came to be, may still stand here
}

type modelNode struct {
	answer  // Data, versions and zxids as a reply has them
	created int64
	names   map[string]bool
}

// change is what watches see of a transaction.
type change struct {
	Kind string // created deleted changed, as events are called; raised, of which there are none
	Path string
}

func newModel() *model {
	return &model{nodes: map[string]*modelNode{"/": {names: map[string]bool{}}}, live: map[uint64]bool{}, owned: map[uint64][]string{}}
}

// undoing takes back what a transaction has done, the last first.
type undoing []func()

func (u *undoing) later(f func()) { *u = append(*u, f) }

func (u undoing) undo() {
	for _, f := range slices.Backward(u) {
		f()
	}
}

// keep remembers all of a node but its names, which are taken back one by one.
func (u *undoing) keep(n *modelNode) {
	was := *n
	u.later(func() { *n = was })
}

// apply does all steps or none. Of those that failed, code and culprit tell.
func (m *model) apply(session, zxid uint64, steps []step) (answers []answer, changes []change, code protocol.Code, culprit int) {
	var u undoing
	for i := range steps {
		ans, made, code := m.step(&u, session, zxid, &steps[i])
		if code != protocol.OK {
			u.undo()
			return nil, nil, code, i
		}
		answers, changes = append(answers, ans), append(changes, made...)
	}
	return answers, changes, protocol.OK, 0
}

// try is apply without a trace.
func (m *model) try(session uint64, steps []step) (code protocol.Code, culprit int) {
	var u undoing
	defer func() { u.undo() }()
	for i := range steps {
		if _, _, code := m.step(&u, session, 0, &steps[i]); code != protocol.OK {
			return code, i
		}
	}
	return protocol.OK, 0
}

func (m *model) step(u *undoing, session, zxid uint64, s *step) (answer, []change, protocol.Code) {
	if s.Kind == "create" {
		return m.create(u, session, zxid, s)
	}
	n := m.nodes[s.Path]
	switch {
	case s.Kind == "guard" && (n == nil || n.Czxid != s.Czxid):
		return answer{}, nil, protocol.Fenced
	case s.Kind == "guard":
		return answer{}, nil, protocol.OK
	case n == nil:
		return answer{}, nil, protocol.NoNode
	case s.Kind == "raiseSequence":
		return answer{}, n.raise(u, s), protocol.OK
	case s.Version >= 0 && s.Version != n.Version:
		return answer{}, nil, protocol.BadVersion
	case s.Kind == "set":
		u.keep(n)
		n.Data, n.Version, n.Mzxid = s.Data, n.Version+1, zxid
		return n.stat(), []change{{"changed", s.Path}}, protocol.OK
	case s.Kind == "check":
		return answer{}, nil, protocol.OK
	case len(n.names) > 0:
		return answer{}, nil, protocol.NotEmpty
	}
	return answer{}, []change{m.remove(u, zxid, s.Path)}, protocol.OK
}

func (m *model) create(u *undoing, session, zxid uint64, s *step) (answer, []change, protocol.Code) {
	above := m.nodes[znode.Parent(s.Path)]
	if above == nil {
		return answer{}, nil, protocol.NoNode
	}
	path := s.Path
	if s.Sequential {
		path += fmt.Sprintf("%010d", above.created)
	}
	if m.nodes[path] != nil {
		return answer{}, nil, protocol.NodeExists
	}
	if above.Owner != 0 {
		return answer{}, nil, protocol.NoChildrenForEphemerals
	}
	n := &modelNode{names: map[string]bool{}, answer: answer{Data: s.Data, Czxid: zxid, Mzxid: zxid, Pzxid: zxid}}
	if s.Ephemeral {
		n.Owner = session
		m.owned[session] = append(m.owned[session], path)
	}
	u.keep(above)
	u.later(func() {
		delete(m.nodes, path)
		delete(above.names, nameOf(path))
	})
	m.nodes[path] = n
	above.names[nameOf(path)] = true
	above.created++
	above.Cversion, above.Children, above.Pzxid = above.Cversion+1, len(above.names), zxid
	ans := n.stat()
	ans.Path = path
	return ans, []change{{"created", path}}, protocol.OK
}

// raise counts children that never were, as made and deleted.
func (n *modelNode) raise(u *undoing, s *step) []change {
	missing := s.AtLeast - n.created
	if missing <= 0 {
		return nil
	}
	u.keep(n)
	n.created, n.Cversion = n.created+missing, n.Cversion+2*missing
	return []change{{"raised", s.Path}}
}

func (m *model) remove(u *undoing, zxid uint64, path string) change {
	n, above := m.nodes[path], m.nodes[znode.Parent(path)]
	u.keep(above)
	u.later(func() {
		m.nodes[path] = n
		above.names[nameOf(path)] = true
	})
	delete(m.nodes, path)
	delete(above.names, nameOf(path))
	above.Cversion, above.Children, above.Pzxid = above.Cversion+1, len(above.names), zxid
	return change{"deleted", path}
}

// end closes a session and takes its ephemeral nodes away, in the order of their paths.
func (m *model) end(session, zxid uint64) (changes []change) {
	delete(m.live, session)
	paths := m.owned[session]
	delete(m.owned, session)
	slices.Sort(paths)
	for _, path := range slices.Compact(paths) {
		if n := m.nodes[path]; n != nil && n.Owner == session {
			changes = append(changes, m.remove(new(undoing), zxid, path))
		}
	}
	return changes
}

// read answers one read as a server would.
func (m *model) read(s *step) answer {
	n := m.nodes[s.Path]
	if n == nil {
		return answer{Error: protocol.NoNode.String()}
	}
	ans := n.stat()
	ans.Path = s.Path
	switch s.Kind {
	case "get":
		ans.Data = n.Data
	case "children":
		ans.Names = slices.Sorted(maps.Keys(n.names))
	}
	return ans
}

// stat is what replies tell beside the data.
func (n *modelNode) stat() answer {
	ans := n.answer
	ans.Data = ""
	return ans
}

func nameOf(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// equal compares answers as far as a reply of that kind has them.
func (a *answer) equal(b *answer) bool {
	return a.Error == b.Error && a.Path == b.Path && a.Data == b.Data && slices.Equal(a.Names, b.Names) &&
		a.Version == b.Version && a.Cversion == b.Cversion && a.Czxid == b.Czxid && a.Mzxid == b.Mzxid && a.Pzxid == b.Pzxid &&
		a.Owner == b.Owner && a.Children == b.Children
}
