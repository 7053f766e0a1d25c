package state

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

func (o *oracle) step(ids []znode.Identity, s *osession, w *protocol.WriteOp, deleted *int, result *protocol.Message) protocol.Code {
	switch w.Op {
	case protocol.OpCreate:
		return o.create(ids, s, &w.Create, result)
	case protocol.OpDelete:
		return o.delete(ids, w, deleted, result)
	case protocol.OpSet:
		return o.set(ids, w, result)
	case protocol.OpSetACL:
		return o.setACL(ids, w, result)
	case protocol.OpRaiseSequence:
		return o.raiseSequence(ids, w)
	case protocol.OpGuard:
		return o.guard(ids, w)
	}
	return o.check(ids, w)
}

func (o *oracle) guard(ids []znode.Identity, w *protocol.WriteOp) protocol.Code {
	n, code := o.find(ids, w.Path, 1)
	if code == protocol.NoNode || code == protocol.OK && n.stat.Czxid != w.Czxid {
		return protocol.Fenced
	}
	return code
}

func (o *oracle) create(ids []znode.Identity, s *osession, c *znode.CreateOp, result *protocol.Message) protocol.Code {
	name := c.Path
	if c.Sequential {
		name += "0"
	}
	if badPath(name) || c.Kind == znode.TTL && c.TTLMs < 1 || c.Kind != znode.TTL && c.TTLMs != 0 || c.Sequential && c.IfAbsent {
		return protocol.BadArguments
	}
	acl := expandACL(c.ACL, ids)
	if acl == nil {
		return protocol.InvalidACL
	}
	if there := o.nodes[c.Path]; there != nil && c.IfAbsent {
		if !allowed(there.acl, 1, ids) {
			return protocol.NoAuth
		}
		result.Path, result.Stat, result.More = c.Path, there.stat, &protocol.More{Existed: true}
		return protocol.OK
	}
	var missing []string
	base := above(c.Path)
	for o.nodes[base] == nil && c.Parents {
		missing = append([]string{base}, missing...)
		base = above(base)
	}
	parent := o.nodes[base]
	if parent == nil {
		return protocol.NoNode
	}
	if !allowed(parent.acl, 4, ids) {
		return protocol.NoAuth
	}
	path := c.Path
	if c.Sequential && len(missing) > 0 {
		path += fmt.Sprintf("%010d", 0)
	} else if c.Sequential {
		path += fmt.Sprintf("%010d", parent.sequence)
		if c.Narrow && parent.sequence >= 1<<31 {
			return protocol.TooLarge
		}
	}
	if o.nodes[path] != nil {
		return protocol.NodeExists
	}
	if parent.stat.Kind == znode.Ephemeral {
		return protocol.NoChildrenForEphemerals
	}
	if c.Kind == znode.Ephemeral && s.maxEphemeral > 0 {
		mine := int64(0)
		for _, n := range o.nodes {
			if n.stat.Owner == s.id {
				mine++
			}
		}
		if mine >= s.maxEphemeral {
			return protocol.TooManyEphemerals
		}
	}
	if code := o.mayGrow(path, c.Data, append(slices.Clone(missing), path)); code != protocol.OK {
		return code
	}
	for _, up := range missing {
		o.add(up, &onode{acl: acl})
	}
	n := &onode{data: slices.Clone(c.Data), acl: acl, stat: znode.Stat{Kind: c.Kind, TTLMs: c.TTLMs}}
	if c.Kind == znode.Ephemeral {
		n.stat.Owner = s.id
	}
	o.add(path, n)
	result.Path, result.Stat = path, n.stat
	return protocol.OK
}

func (o *oracle) add(path string, n *onode) {
	o.ids++
	n.id = o.ids
	z := o.zxid + 1
	n.stat.Czxid, n.stat.Mzxid, n.stat.Pzxid = z, z, z
	n.stat.CtimeMs, n.stat.MtimeMs = o.clockMs, o.clockMs
	n.stat.DataLength = len(n.data)
	parent := o.edit(above(path))
	parent.sequence++
	parent.stat.Cversion++
	parent.stat.NumChildren++
	parent.stat.Pzxid = z
	o.nodes[path] = n
	o.effect(znode.NodeCreated, path)
}

func (o *oracle) remove(path string) {
	parent := o.edit(above(path))
	parent.stat.Cversion++
	parent.stat.NumChildren--
	parent.stat.Pzxid = o.zxid + 1
	o.effect(znode.NodeDeleted, path)
	delete(o.nodes, path)
}

// edit puts a copy in the place of a node: an undone transaction still holds
// the old one.
func (o *oracle) edit(path string) *onode {
	n := *o.nodes[path]
	o.nodes[path] = &n
	return &n
}

func (o *oracle) effect(what znode.EffectType, path string) {
	n := o.nodes[path]
	f := oeffect{what: what, path: path, id: n.id}
	o.lastACL[n.id] = n.acl
	if path != "/" {
		parent := o.nodes[above(path)]
		f.parent = parent.id
		o.lastACL[parent.id] = parent.acl
	}
	o.effects = append(o.effects, f)
}

func (o *oracle) mayDelete(ids []znode.Identity, w *protocol.WriteOp) protocol.Code {
	n := o.nodes[w.Path]
	switch {
	case badPath(w.Path) || w.Path == "/" || w.Path == "/zookeeper" || w.Path == "/zookeeper/config" || w.Path == "/zookeeper/quota":
		return protocol.BadArguments
	case o.nodes[above(w.Path)] == nil:
		return protocol.NoNode
	case !allowed(o.nodes[above(w.Path)].acl, 8, ids):
		return protocol.NoAuth
	case n == nil:
		return protocol.NoNode
	case w.Version != -1 && w.Version != n.stat.Version:
		return protocol.BadVersion
	}
	return protocol.OK
}

func (o *oracle) delete(ids []znode.Identity, w *protocol.WriteOp, deleted *int, result *protocol.Message) protocol.Code {
	if code := o.mayDelete(ids, w); code != protocol.OK {
		return code
	}
	if !w.Recursive {
		if o.nodes[w.Path].stat.NumChildren > 0 {
			return protocol.NotEmpty
		}
		o.remove(w.Path)
		return protocol.OK
	}
	doomed := append(o.below(w.Path), w.Path)
	if *deleted += len(doomed); *deleted > o.maxDeleted {
		return protocol.TooLarge
	}
	for _, path := range doomed {
		if n := o.nodes[path]; n.stat.NumChildren > 0 && !allowed(n.acl, 8, ids) {
			return protocol.NoAuth
		}
	}
	for _, path := range o.childrenFirst(w.Path) {
		o.remove(path)
	}
	result.More = &protocol.More{Count: int64(len(doomed))}
	return protocol.OK
}

// below lists the descendants of path.
func (o *oracle) below(path string) (all []string) {
	prefix := strings.TrimSuffix(path, "/") + "/"
	for other := range o.nodes {
		if other != "/" && strings.HasPrefix(other, prefix) {
			all = append(all, other)
		}
	}
	return all
}

func (o *oracle) children(path string) (names []string) {
	for other := range o.nodes {
		if other != "/" && above(other) == path {
			names = append(names, other[strings.LastIndex(other, "/")+1:])
		}
	}
	slices.Sort(names)
	return names
}

func (o *oracle) childrenFirst(path string) (order []string) {
	if o.nodes[path].stat.NumChildren > 0 {
		for _, name := range o.children(path) {
			order = append(order, o.childrenFirst(strings.TrimSuffix(path, "/")+"/"+name)...)
		}
	}
	return append(order, path)
}

func (o *oracle) find(ids []znode.Identity, path string, perms znode.Perm) (*onode, protocol.Code) {
	n := o.nodes[path]
	switch {
	case badPath(path):
		return nil, protocol.BadArguments
	case n == nil:
		return nil, protocol.NoNode
	case !allowed(n.acl, perms, ids):
		return nil, protocol.NoAuth
	}
	return n, protocol.OK
}

func (o *oracle) set(ids []znode.Identity, w *protocol.WriteOp, result *protocol.Message) protocol.Code {
	n, code := o.find(ids, w.Path, 2)
	if code == protocol.OK {
		code = o.mayGrow(w.Path, w.Data, nil)
	}
	switch {
	case code != protocol.OK:
		return code
	case w.Version != -1 && w.Version != n.stat.Version:
		return protocol.BadVersion
	}
	if w.Narrow && n.stat.Version >= 1<<31-1 {
		return protocol.TooLarge
	}
	n = o.edit(w.Path)
	n.data = slices.Clone(w.Data)
	n.stat.Version++
	n.stat.Mzxid, n.stat.MtimeMs, n.stat.DataLength = o.zxid+1, o.clockMs, len(w.Data)
	o.effect(znode.DataChanged, w.Path)
	result.Stat = n.stat
	return protocol.OK
}

func (o *oracle) setACL(ids []znode.Identity, w *protocol.WriteOp, result *protocol.Message) protocol.Code {
	acl := expandACL(w.ACL, ids)
	if acl == nil {
		return protocol.InvalidACL
	}
	n, code := o.find(ids, w.Path, 16)
	switch {
	case code != protocol.OK:
		return code
	case w.Version != -1 && w.Version != n.stat.Aversion:
		return protocol.BadVersion
	}
	if w.Narrow && n.stat.Aversion >= 1<<31-1 {
		return protocol.TooLarge
	}
	n = o.edit(w.Path)
	n.acl = acl
	n.stat.Aversion++
	o.effect(znode.ACLChanged, w.Path)
	result.Stat = n.stat
	return protocol.OK
}

func (o *oracle) raiseSequence(ids []znode.Identity, w *protocol.WriteOp) protocol.Code {
	n := o.nodes[w.Path]
	super := slices.ContainsFunc(ids, func(id znode.Identity) bool { return id.Scheme == "super" })
	switch {
	case !super:
		return protocol.NoAuth
	case badPath(w.Path):
		return protocol.BadArguments
	case n == nil:
		return protocol.NoNode
	case n.stat.Kind == znode.Ephemeral:
		return protocol.NoChildrenForEphemerals
	case w.AtLeast > int64(n.sequence):
		n = o.edit(w.Path)
		n.stat.Cversion += 2 * (w.AtLeast - int64(n.sequence))
		n.sequence = uint64(w.AtLeast)
		o.effect(znode.SequenceRaised, w.Path)
	}
	return protocol.OK
}

func (o *oracle) check(ids []znode.Identity, w *protocol.WriteOp) protocol.Code {
	n, code := o.find(ids, w.Path, 1)
	if code == protocol.OK && w.Version != -1 && w.Version != n.stat.Version {
		return protocol.BadVersion
	}
	return code
}

// allowed knows the identities and ACLs that the generator makes, no others.
func allowed(acl znode.ACL, perms znode.Perm, ids []znode.Identity) bool {
	for _, id := range ids {
		if id.Scheme == "super" {
			return true
		}
	}
	for _, e := range acl {
		if e.Perms&perms == 0 {
			continue
		}
		if e.Scheme == "world" {
			return true
		}
		for _, id := range ids {
			if id.Scheme == e.Scheme && (id.ID == e.ID || e.ID == "10.0.0.0/8" && strings.HasPrefix(id.ID, "10.")) {
				return true
			}
		}
	}
	return false
}

// expandACL returns nil for an ACL that must be refused.
func expandACL(acl znode.ACL, ids []znode.Identity) (full znode.ACL) {
	add := func(e znode.Entry) {
		if !slices.Contains(full, e) {
			full = append(full, e)
		}
	}
	for _, e := range acl {
		switch {
		case e.Scheme == "host" || e.Scheme == "sasl" && e.ID == "" || e.Scheme == "world" && e.ID != "anyone":
			return nil
		case e.Scheme != "auth":
			add(e)
			continue
		}
		users := 0
		for _, id := range ids {
			if id.Scheme == "digest" || id.Scheme == "sasl" || id.Scheme == "x509" {
				add(znode.Entry{Perms: e.Perms, Scheme: id.Scheme, ID: id.ID})
				users++
			}
		}
		if users == 0 {
			return nil
		}
	}
	return full
}
