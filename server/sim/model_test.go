package sim

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

// model is what the log means, told in the dumbest way: every node's past is
// kept, and every write's outcome. It applies an entry when it is committed,
// so it is ahead of every server.
type model struct {
	zxid     uint64
	nodes    map[string]*modelNode
	past     map[string][]revision // of each path that ever was
	below    map[string][]string   // parent -> all children that ever were
	effects  []znode.Effect        // all, in order; without their ACLs
	sessions map[uint64]*modelSession
	byHash   map[[32]byte]uint64
	zxidAt   []uint64 // after each entry

	changed map[string]bool // by the transaction at hand
	fresh   []znode.Effect
	raised  bool // something changed that fires nothing
}

type modelNode struct {
	data     string
	version  int64
	sequence int64 // children ever created
	owner    uint64
	children map[string]bool
}

// revision is a node from zxid on; gone if node is nil.
type revision struct {
	zxid uint64
	node *modelNode
}

type modelSession struct {
	hash                         [32]byte
	generation, attempt, nextSeq uint64
	high, ack                    uint64
	kept                         map[uint64]modelReply
	answers                      map[uint64]modelReply // never forgotten, for the checkers
	ephemerals                   map[string]bool
	ended                        bool
	cause                        string
}

type modelReply struct {
	zxid    uint64
	code    protocol.Code
	path    string
	version int64
}

func newModel() *model {
	m := &model{
		nodes: map[string]*modelNode{}, past: map[string][]revision{}, below: map[string][]string{},
		sessions: map[uint64]*modelSession{}, byHash: map[[32]byte]uint64{},
	}
	m.nodes["/"] = &modelNode{children: map[string]bool{}}
	return m
}

func (m *model) applyEntry(entry []byte) {
	batch, err := state.DecodeBatch(entry)
	if err != nil {
		panic(err)
	}
	var t state.Txn
	for {
		more, err := batch.Next(&t)
		if err != nil {
			panic(err)
		}
		if !more {
			break
		}
		m.apply(&t)
	}
	m.zxidAt = append(m.zxidAt, m.zxid)
}

func (m *model) apply(t *state.Txn) {
	switch t.Kind {
	case state.TxnOpen:
		if _, known := m.byHash[t.PasswordHash]; known {
			return
		}
		m.zxid++
		m.byHash[t.PasswordHash] = m.zxid
		m.sessions[m.zxid] = &modelSession{
			hash: t.PasswordHash, generation: 1, nextSeq: 1,
			kept: map[uint64]modelReply{}, answers: map[uint64]modelReply{}, ephemerals: map[string]bool{},
		}
	case state.TxnAttach:
		m.attach(t)
	case state.TxnExpire:
		if s := m.sessions[t.Session]; s != nil && !s.ended && s.generation == t.Generation {
			m.end(t.Session, t.Cause)
		}
	case state.TxnWrite:
		m.write(t)
	}
}

func (m *model) attach(t *state.Txn) {
	s := m.sessions[t.Session]
	if s == nil || s.ended || s.hash != t.PasswordHash || t.Attempt <= s.attempt {
		return
	}
	m.zxid++
	s.attempt, s.nextSeq = t.Attempt, 1
	s.generation++
	s.acknowledge(t.Ack)
}

func (s *modelSession) acknowledge(ack uint64) {
	s.ack = max(s.ack, ack)
	for xid := range s.kept {
		if xid < s.ack {
			delete(s.kept, xid)
		}
	}
}

func (m *model) end(id uint64, cause string) {
	s := m.sessions[id]
	m.begin()
	paths := make([]string, 0, len(s.ephemerals))
	for path := range s.ephemerals {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		m.remove(path)
	}
	m.zxid++
	m.commitAt(m.zxid)
	s.ended, s.cause = true, cause
	delete(m.byHash, s.hash)
}

func (m *model) write(t *state.Txn) {
	s := m.sessions[t.Session]
	if s == nil || s.ended {
		return
	}
	if t.Generation != s.generation || t.Seq != s.nextSeq {
		return
	}
	s.nextSeq++
	s.acknowledge(t.Ack)
	if t.Xid != 0 && t.Xid <= s.high {
		return
	}
	if t.Op == protocol.OpCloseSession {
		m.end(t.Session, "closed by the client")
		s.answers[t.Xid] = modelReply{zxid: m.zxid}
		return
	}
	reply := m.run(t)
	reply.zxid = m.zxid
	if t.Xid != 0 {
		s.high = t.Xid
		s.answers[t.Xid] = reply
		if t.Xid >= s.ack {
			s.kept[t.Xid] = reply
		}
	}
}

func (m *model) run(t *state.Txn) modelReply {
	var ops []protocol.WriteOp
	var err error
	if t.Op == protocol.OpMulti {
		ops, _, err = protocol.DecodeMulti(t.Body, nil)
	} else {
		ops = make([]protocol.WriteOp, 1)
		err = protocol.DecodeWrite(t.Op, t.Body, &ops[0])
	}
	if err != nil {
		panic(err)
	}
	m.begin()
	saved := m.save(ops)
	var reply modelReply
	for i := range ops {
		if reply = m.perform(t.Session, &ops[i]); reply.code != protocol.OK {
			m.restore(saved)
			m.changed, m.fresh = nil, nil
			return reply
		}
	}
	if len(m.fresh) > 0 || m.raised {
		m.zxid++
		m.commitAt(m.zxid)
	}
	return reply
}

func (m *model) begin() { m.changed, m.fresh, m.raised = map[string]bool{}, nil, false }

// commitAt gives what changed its revision and its zxid.
func (m *model) commitAt(zxid uint64) {
	paths := make([]string, 0, len(m.changed))
	for path := range m.changed {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		var copied *modelNode
		if n := m.nodes[path]; n != nil {
			c := *n
			copied = &c
		}
		m.past[path] = append(m.past[path], revision{zxid, copied})
	}
	for i := range m.fresh {
		m.fresh[i].Zxid = zxid
	}
	m.effects = append(m.effects, m.fresh...)
}

func (m *model) perform(session uint64, w *protocol.WriteOp) modelReply {
	switch w.Op {
	case protocol.OpCreate:
		return m.create(session, &w.Create)
	case protocol.OpDelete:
		n := m.nodes[w.Path]
		switch {
		case n == nil:
			return modelReply{code: protocol.NoNode}
		case w.Version != znode.AnyVersion && w.Version != n.version:
			return modelReply{code: protocol.BadVersion}
		case len(n.children) > 0:
			return modelReply{code: protocol.NotEmpty}
		}
		m.remove(w.Path)
		return modelReply{}
	case protocol.OpSet, protocol.OpCheck:
		n := m.nodes[w.Path]
		switch {
		case n == nil:
			return modelReply{code: protocol.NoNode}
		case w.Version != znode.AnyVersion && w.Version != n.version:
			return modelReply{code: protocol.BadVersion}
		case w.Op == protocol.OpCheck:
			return modelReply{}
		}
		n.data = string(w.Data)
		n.version++
		m.note(w.Path, znode.DataChanged)
		return modelReply{version: n.version}
	case protocol.OpRaiseSequence:
		return m.raise(w)
	}
	panic(fmt.Sprintf("the model knows no %v", w.Op))
}

// raise changes a node and fires nothing.
func (m *model) raise(w *protocol.WriteOp) modelReply {
	n := m.nodes[w.Path]
	switch {
	case n == nil:
		return modelReply{code: protocol.NoNode}
	case n.owner != 0:
		return modelReply{code: protocol.NoChildrenForEphemerals}
	case w.AtLeast > n.sequence:
		n.sequence, m.raised = w.AtLeast, true
	}
	return modelReply{}
}

func (m *model) create(session uint64, op *znode.CreateOp) modelReply {
	parent := znode.Parent(op.Path)
	p := m.nodes[parent]
	if p == nil {
		return modelReply{code: protocol.NoNode}
	}
	path := strings.Clone(op.Path)
	if op.Sequential {
		path = fmt.Sprintf("%s%010d", path, p.sequence)
	}
	switch {
	case m.nodes[path] != nil:
		return modelReply{code: protocol.NodeExists}
	case p.owner != 0:
		return modelReply{code: protocol.NoChildrenForEphemerals}
	}
	n := &modelNode{data: string(op.Data), children: map[string]bool{}}
	if op.Kind == znode.Ephemeral {
		n.owner = session
		m.sessions[session].ephemerals[path] = true
	}
	m.nodes[path] = n
	p.children[znode.Base(path)] = true
	p.sequence++
	if _, known := m.past[path]; !known && !m.changed[path] && !slices.Contains(m.below[parent], path) {
		m.below[parent] = append(m.below[parent], path)
	}
	m.changed[parent] = true
	m.note(path, znode.NodeCreated)
	return modelReply{path: path}
}

func (m *model) remove(path string) {
	n := m.nodes[path]
	if n.owner != 0 {
		delete(m.sessions[n.owner].ephemerals, path)
	}
	delete(m.nodes, path)
	parent := znode.Parent(path)
	p := m.nodes[parent]
	delete(p.children, znode.Base(path))
	m.changed[parent] = true
	m.note(path, znode.NodeDeleted)
}

func (m *model) note(path string, what znode.EffectType) {
	path = strings.Clone(path)
	m.changed[path] = true
	m.fresh = append(m.fresh, znode.Effect{Type: what, Path: path})
}

// saved is what a multi may have to take back.
type saved struct {
	nodes      map[string]*modelNode
	ephemerals map[uint64]map[string]bool
}

// save copies everything when there are several operations; one alone changes
// nothing when it fails.
func (m *model) save(ops []protocol.WriteOp) *saved {
	if len(ops) < 2 {
		return nil
	}
	s := &saved{nodes: make(map[string]*modelNode, len(m.nodes)), ephemerals: map[uint64]map[string]bool{}}
	for path, n := range m.nodes {
		c := *n
		c.children = make(map[string]bool, len(n.children))
		for name := range n.children {
			c.children[name] = true
		}
		s.nodes[path] = &c
	}
	for id, session := range m.sessions {
		if len(session.ephemerals) > 0 {
			s.ephemerals[id] = make(map[string]bool, len(session.ephemerals))
			for path := range session.ephemerals {
				s.ephemerals[id][path] = true
			}
		}
	}
	return s
}

func (m *model) restore(s *saved) {
	if s == nil {
		return
	}
	m.nodes = s.nodes
	for id, session := range m.sessions {
		if session.ephemerals = s.ephemerals[id]; session.ephemerals == nil {
			session.ephemerals = map[string]bool{}
		}
	}
}

// at is the node as it was at zxid.
func (m *model) at(path string, zxid uint64) *modelNode {
	past := m.past[path]
	i := sort.Search(len(past), func(i int) bool { return past[i].zxid > zxid })
	if i == 0 {
		if path == "/" {
			return m.nodes["/"]
		}
		return nil
	}
	return past[i-1].node
}

func (m *model) childrenAt(path string, zxid uint64) []string {
	names := []string{}
	for _, child := range m.below[path] {
		if m.at(child, zxid) != nil {
			names = append(names, znode.Base(child))
		}
	}
	slices.Sort(names)
	return names
}

// firstAfter is the index of the first effect above zxid.
func (m *model) firstAfter(zxid uint64) int {
	return sort.Search(len(m.effects), func(i int) bool { return m.effects[i].Zxid > zxid })
}
