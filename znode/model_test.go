package znode

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// model is the tree as a plain map: every answer comes from a look at all
// nodes, every transaction starts from a full copy. Only the rules for paths
// and ACLs, which have tables of their own, are shared with the tree.
type model struct {
	nodes   map[string]*modelNode // never changed in place
	effects []modelEffect
	lastACL map[int]ACL // by id, of each node an effect names
	nextID  int
	zxid    uint64
	nowMs   int64
}

type modelNode struct {
	id       int // tells a node from an earlier one at the same path
	data     []byte
	acl      ACL
	stat     Stat // but for DataLength and NumChildren
	sequence uint64
}

type modelEffect struct {
	what       EffectType
	path       string
	id, parent int // parent -1: none
}

func newModel() *model {
	m := &model{nodes: map[string]*modelNode{}}
	for path, acl := range map[string]ACL{"/": OpenACL, "/zookeeper": OpenACL, "/zookeeper/config": ReadACL, "/zookeeper/quota": OpenACL} {
		m.put(path, modelNode{id: m.newID(), acl: acl})
	}
	return m
}

func (m *model) newID() int {
	m.nextID++
	return m.nextID
}

func (m *model) put(path string, n modelNode) { m.nodes[path] = &n }

// at returns an empty node when there is none.
func (m *model) at(path string) modelNode {
	if n := m.nodes[path]; n != nil {
		return *n
	}
	return modelNode{}
}

func (m *model) clone() *model {
	c := *m
	c.nodes = maps.Clone(m.nodes)
	return &c
}

func (m *model) begin(zxid uint64, nowMs int64) {
	m.zxid, m.nowMs, m.effects, m.lastACL = zxid, nowMs, nil, map[int]ACL{}
}

func modelParent(path string) string {
	if i := strings.LastIndex(path, "/"); i > 0 {
		return path[:i]
	}
	return "/"
}

func modelSystem(path string) bool {
	return path == "/" || path == "/zookeeper" || path == "/zookeeper/config" || path == "/zookeeper/quota"
}

// below returns all paths under path, which need not be there.
func (m *model) below(path string) (paths []string) {
	prefix := strings.TrimSuffix(path, "/") + "/"
	for p := range m.nodes {
		if len(p) > len(prefix) && strings.HasPrefix(p, prefix) {
			paths = append(paths, p)
		}
	}
	return paths
}

func (m *model) children(path string) (names []string) {
	prefix := strings.TrimSuffix(path, "/") + "/"
	for _, p := range m.below(path) {
		if name := p[len(prefix):]; !strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (m *model) stat(path string) Stat {
	n := m.at(path)
	s := n.stat
	s.DataLength, s.NumChildren = len(n.data), len(m.children(path))
	return s
}

func (m *model) effect(what EffectType, path string) {
	n := m.nodes[path]
	e := modelEffect{what, path, n.id, -1}
	m.lastACL[n.id] = n.acl
	if path != "/" {
		parent := m.nodes[modelParent(path)]
		e.parent = parent.id
		m.lastACL[parent.id] = parent.acl
	}
	m.effects = append(m.effects, e)
}

func (m *model) settledEffects() []Effect {
	var effects []Effect
	for _, e := range m.effects {
		effects = append(effects, Effect{Zxid: m.zxid, Type: e.what, Path: e.path, ACL: m.lastACL[e.id], ParentACL: m.lastACL[e.parent]})
	}
	return effects
}

func (m *model) create(a *Actor, op *CreateOp) (Created, error) {
	path := op.Path
	if op.Sequential {
		path += "0" // the whole number may push it over the bound after the checks
	}
	if ValidatePath(path) != nil {
		return Created{}, ErrBadArguments
	}
	if op.Kind > TTL || op.Kind == Ephemeral && a.Session == 0 || (op.Kind == TTL) != (op.TTLMs != 0) ||
		op.TTLMs < 0 || op.TTLMs >= 1<<40 || op.Sequential && op.IfAbsent {
		return Created{}, ErrBadArguments
	}
	acl, err := NormalizeACL(op.ACL, a)
	if err != nil {
		return Created{}, ErrInvalidACL
	}
	if n, ok := m.nodes[op.Path]; ok && op.IfAbsent {
		if !n.acl.Allows(Read, a) {
			return Created{}, ErrNoAuth
		}
		return Created{op.Path, m.stat(op.Path), true}, nil
	}
	parent := modelParent(op.Path)
	base := parent
	var missing []string
	for _, ok := m.nodes[base]; !ok && op.Parents; _, ok = m.nodes[base] {
		missing = append(missing, base)
		base = modelParent(base)
	}
	b, ok := m.nodes[base]
	if !ok {
		return Created{}, ErrNoNode
	}
	if !b.acl.Allows(Create, a) {
		return Created{}, ErrNoAuth
	}
	path = op.Path
	if op.Sequential {
		path = fmt.Sprintf("%s%010d", path, m.at(parent).sequence)
		if op.Narrow && m.at(parent).sequence >= 1<<31 {
			return Created{}, ErrTooLarge
		}
	}
	if len(path) > MaxPathBytes {
		return Created{}, ErrBadArguments
	}
	if _, taken := m.nodes[path]; taken {
		return Created{}, ErrNodeExists
	}
	if b.stat.Kind == Ephemeral {
		return Created{}, ErrNoChildrenForEphemerals
	}
	if op.Kind == Ephemeral && op.MaxEphemerals > 0 && len(m.ephemerals(a.Session, "")) >= op.MaxEphemerals {
		return Created{}, ErrTooManyEphemerals
	}
	slices.Reverse(missing)
	if err := m.checkQuota(path, op.Data, append(missing, path)...); err != nil {
		return Created{}, err
	}
	for _, p := range missing {
		m.plant(p, nil, acl, Stat{})
	}
	s := Stat{Kind: op.Kind, TTLMs: op.TTLMs}
	if op.Kind == Ephemeral {
		s.Owner = a.Session
	}
	m.plant(path, op.Data, acl, s)
	return Created{path, m.stat(path), false}, nil
}

func (m *model) plant(path string, data []byte, acl ACL, s Stat) {
	s.Czxid, s.Mzxid, s.Pzxid, s.CtimeMs, s.MtimeMs = m.zxid, m.zxid, m.zxid, m.nowMs, m.nowMs
	m.put(path, modelNode{id: m.newID(), data: slices.Clone(data), acl: acl, stat: s})
	p := m.at(modelParent(path))
	p.sequence++
	p.stat.Cversion++
	p.stat.Pzxid = m.zxid
	m.put(modelParent(path), p)
	m.effect(NodeCreated, path)
}

func (m *model) fell(path string) {
	p := m.at(modelParent(path))
	p.stat.Cversion++
	p.stat.Pzxid = m.zxid
	m.put(modelParent(path), p)
	m.effect(NodeDeleted, path)
	delete(m.nodes, path)
}

func (m *model) lookUp(a *Actor, path string, p Perm) (modelNode, error) {
	n := m.at(path)
	_, ok := m.nodes[path]
	switch {
	case !ok && ValidatePath(path) != nil:
		return n, ErrBadArguments
	case !ok:
		return n, ErrNoNode
	case !n.acl.Allows(p, a):
		return n, ErrNoAuth
	}
	return n, nil
}

func (m *model) mayDelete(a *Actor, path string, version int64) error {
	n, ok := m.nodes[path]
	switch {
	case !ok && ValidatePath(path) != nil, modelSystem(path):
		return ErrBadArguments
	case m.nodes[modelParent(path)] == nil:
		return ErrNoNode
	case !m.nodes[modelParent(path)].acl.Allows(Delete, a):
		return ErrNoAuth
	case !ok:
		return ErrNoNode
	case version != -1 && version != n.stat.Version:
		return ErrBadVersion
	}
	return nil
}

func (m *model) delete(a *Actor, path string, version int64) error {
	if err := m.mayDelete(a, path, version); err != nil {
		return err
	}
	if len(m.children(path)) > 0 {
		return ErrNotEmpty
	}
	m.fell(path)
	return nil
}

func (m *model) deleteAll(a *Actor, path string, version int64, max int) (int, error) {
	if err := m.mayDelete(a, path, version); err != nil {
		return 0, err
	}
	doomed := append(m.below(path), path)
	if len(doomed) > max {
		return 0, ErrTooLarge
	}
	for _, p := range doomed {
		if len(m.children(p)) > 0 && !m.nodes[p].acl.Allows(Delete, a) {
			return 0, ErrNoAuth
		}
	}
	m.fellSubtree(path)
	return len(doomed), nil
}

func (m *model) fellSubtree(path string) {
	for _, name := range m.children(path) {
		m.fellSubtree(path + "/" + name)
	}
	m.fell(path)
}

func (m *model) set(a *Actor, path string, data []byte, version int64) (Stat, error) {
	n, err := m.lookUp(a, path, Write)
	if err != nil {
		return Stat{}, err
	}
	if err := m.checkQuota(path, data); err != nil {
		return Stat{}, err
	}
	if version != -1 && version != n.stat.Version {
		return Stat{}, ErrBadVersion
	}
	n.data = slices.Clone(data)
	n.stat.Version++
	n.stat.Mzxid, n.stat.MtimeMs = m.zxid, m.nowMs
	m.put(path, n)
	m.effect(DataChanged, path)
	return m.stat(path), nil
}

func (m *model) setACL(a *Actor, path string, acl ACL, version int64) (Stat, error) {
	acl, err := NormalizeACL(acl, a)
	if err != nil {
		return Stat{}, ErrInvalidACL
	}
	n, err := m.lookUp(a, path, Admin)
	if err != nil {
		return Stat{}, err
	}
	if version != -1 && version != n.stat.Aversion {
		return Stat{}, ErrBadVersion
	}
	n.acl = acl
	n.stat.Aversion++
	m.put(path, n)
	m.effect(ACLChanged, path)
	return m.stat(path), nil
}

func (m *model) guard(a *Actor, path string, czxid uint64) error {
	n, err := m.lookUp(a, path, Read)
	if errors.Is(err, ErrNoNode) || err == nil && n.stat.Czxid != czxid {
		return ErrFenced
	}
	return err
}

func (m *model) raiseSequence(a *Actor, path string, atLeast int64) error {
	n, ok := m.nodes[path]
	switch {
	case !a.isSuper():
		return ErrNoAuth
	case atLeast < 0 || atLeast > 1<<61 || !ok && ValidatePath(path) != nil:
		return ErrBadArguments
	case !ok:
		return ErrNoNode
	case n.stat.Kind == Ephemeral:
		return ErrNoChildrenForEphemerals
	case uint64(atLeast) <= n.sequence:
		return nil
	}
	raised := *n
	raised.stat.Cversion += 2 * (atLeast - int64(n.sequence))
	raised.sequence = uint64(atLeast)
	m.put(path, raised)
	m.effect(SequenceRaised, path)
	return nil
}

func (m *model) check(a *Actor, path string, version int64) error {
	n, err := m.lookUp(a, path, Read)
	if err == nil && version != -1 && version != n.stat.Version {
		err = ErrBadVersion
	}
	return err
}

func (m *model) reap(path string, mzxid, pzxid uint64) error {
	n, ok := m.nodes[path]
	switch {
	case !ok && ValidatePath(path) != nil:
		return ErrBadArguments
	case !ok:
		return ErrNoNode
	case len(m.children(path)) > 0:
		return ErrNotEmpty
	case !slices.ContainsFunc(m.mortals(), func(x Mortal) bool { return x.Path == path }),
		n.stat.Mzxid != mzxid, n.stat.Pzxid != pzxid:
		return ErrBadVersion
	}
	m.fell(path)
	return nil
}

func (m *model) ephemerals(session uint64, prefix string) (paths []string) {
	for p, n := range m.nodes {
		if n.stat.Owner == session && session != 0 && strings.HasPrefix(p, prefix) {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return paths
}

func (m *model) deleteEphemerals(session uint64) int {
	paths := m.ephemerals(session, "")
	for _, p := range paths {
		m.fell(p)
	}
	return len(paths)
}

func (m *model) mortals() (found []Mortal) {
	for p, n := range m.nodes {
		lostChild := n.stat.Kind == Container && n.sequence > 0
		if (lostChild || n.stat.Kind == TTL) && len(m.children(p)) == 0 {
			found = append(found, Mortal{p, n.stat.Kind, n.stat.TTLMs, n.stat.Mzxid, n.stat.Pzxid})
		}
	}
	slices.SortFunc(found, func(a, b Mortal) int { return strings.Compare(a.Path, b.Path) })
	return found
}

// records returns the nodes depth first and by name.
func (m *model) records() (all []Record) {
	var walk func(path string)
	walk = func(path string) {
		n := m.nodes[path]
		all = append(all, Record{path, n.data, n.acl, m.stat(path), n.sequence})
		for _, name := range m.children(path) {
			walk(strings.TrimSuffix(path, "/") + "/" + name)
		}
	}
	walk("/")
	return all
}

func (m *model) redacted(a *Actor, path string) ACL {
	acl := slices.Clone(m.nodes[path].acl)
	for i, e := range acl {
		if e.Scheme == "digest" && !acl.Allows(Admin, a) {
			acl[i].ID = strings.Split(e.ID, ":")[0] + ":x"
		}
	}
	return acl
}

func (m *model) usage(path string) (count, bytes int64) {
	for p, n := range m.nodes {
		if p == path || strings.HasPrefix(p, path+"/") {
			count++
			bytes += int64(len(n.data))
		}
	}
	return count, bytes
}

// checkQuota makes the checks of a node that gets data, and of those to be
// created for it, in turn.
func (m *model) checkQuota(path string, data []byte, created ...string) error {
	for _, name := range []string{"zookeeper_limits", "zookeeper_stats"} {
		if strings.HasPrefix(path+"/", "/zookeeper/quota/"+name+"/") {
			return ErrBadArguments
		}
	}
	if strings.HasPrefix(path, "/zookeeper/quota/") && strings.HasSuffix(path, "/zookeeper_limits") {
		if _, err := ParseLimits(data); err != nil {
			return ErrBadArguments
		}
	}
	if string(m.at("/zookeeper/quota").data) != "enforce=on" {
		return nil
	}
	for i, p := range created {
		if of, l := m.nearestQuota(p); of != "" && l.CountHard >= 0 {
			count, _ := m.usage(of)
			for _, earlier := range created[:i+1] {
				if earlier == of || strings.HasPrefix(earlier, of+"/") {
					count++
				}
			}
			if count > l.CountHard {
				return ErrQuotaExceeded
			}
		}
	}
	if of, l := m.nearestQuota(path); of != "" && l.BytesHard >= 0 {
		_, bytes := m.usage(of)
		grown := int64(len(data) - len(m.at(path).data))
		if grown != 0 && bytes+grown > l.BytesHard {
			return ErrQuotaExceeded
		}
	}
	return nil
}

func (m *model) nearestQuota(path string) (of string, l Limits) {
	for of := path; of != "/"; of = modelParent(of) {
		if n := m.nodes["/zookeeper/quota"+of+"/zookeeper_limits"]; n != nil {
			l, _ := ParseLimits(n.data)
			return of, l
		}
	}
	return "", Limits{}
}

func (m *model) quotas() []Quota {
	all := []Quota{}
	for p, n := range m.nodes {
		of, ok := strings.CutSuffix(p, "/zookeeper_limits")
		if of, below := strings.CutPrefix(of, "/zookeeper/quota/"); ok && below {
			q := Quota{Path: "/" + of}
			q.Limits, _ = ParseLimits(n.data)
			q.Count, q.Bytes = m.usage(q.Path)
			all = append(all, q)
		}
	}
	slices.SortFunc(all, Quota.ComparePaths)
	return all
}

// shown is what a reader sees.
func (m *model) shown(path string) (data []byte, s Stat) {
	data, s = m.at(path).data, m.stat(path)
	of, ok := strings.CutSuffix(path, "/zookeeper_stats")
	if of, below := strings.CutPrefix(of, "/zookeeper/quota/"); ok && below {
		count, bytes := m.usage("/" + of)
		data = fmt.Appendf(nil, "count=%d,bytes=%d", count, bytes)
		s.DataLength = len(data)
	}
	return data, s
}
