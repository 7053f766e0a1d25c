package differential

import (
	"crypto/sha1"
	"encoding/base64"
	"net/netip"
	"path"
	"slices"
	"strings"
)

// mirror is what the replies of ZooKeeper have told about the tree: it aims
// the requests that are generated, and it says to whom a deviation applies. It
// judges nothing itself.
type mirror struct {
	nodes map[string]*mirrored
	paths []string // of nodes, sorted
	slots []*mirroredClient

	mortal      map[string]bool // paths of ephemerals, past ones too
	everMade    map[string]bool // paths of all nodes, past ones too
	everWatched map[string]bool // paths on which any connection has left a watch
}

type mirrored struct {
	acl              []aclEntry
	owner            int // slot, -1 of none
	life             int // which session of the slot
	flags            int32
	version, aclVers int32
}

type mirroredClient struct {
	connected bool
	opened    bool // there is a session to attach to
	life      int
	ids       []aclEntry // proved on this connection; perms mean nothing
	watches   map[string]watchKind
	memory    *memory         // of the session's watches
	refused   map[string]bool // paths that exists has left a watch of in ZooKeeper alone
}

// Perms of an ACL.
const (
	permRead   = 1
	permWrite  = 2
	permCreate = 4
	permDelete = 8
	permAdmin  = 16
	permAll    = 31
)

var openACL = []aclEntry{{permAll, "world", "anyone"}}

func newMirror(slots int) *mirror {
	m := &mirror{nodes: map[string]*mirrored{"$": {acl: openACL, owner: -1}}, paths: []string{"$"}, mortal: map[string]bool{}, everMade: map[string]bool{}, everWatched: map[string]bool{}}
	for range slots {
		m.slots = append(m.slots, &mirroredClient{
			watches: map[string]watchKind{}, refused: map[string]bool{}, memory: newMemory(),
		})
	}
	return m
}

// heard notes what a step has given.
func (m *mirror) heard(st *step, it *item) {
	c := m.slots[st.Slot]
	c.memory.hears(it)
	switch it.kind {
	case itemClosed, itemSilent, itemBroken:
		if st.Kind != stepAttach {
			c.connected = false
		}
	case itemWelcome:
		m.welcome(c, st, it)
	case itemReply:
		m.reply(st.Slot, it)
	}
}

func (m *mirror) welcome(c *mirroredClient, st *step, it *item) {
	c.connected = it.field("timeout") != "0"
	if st.Kind == stepOpen || !c.connected {
		c.life++
		c.memory = newMemory()
	}
	c.opened = c.connected
	c.ids, c.watches, c.refused = nil, map[string]watchKind{}, map[string]bool{}
}

func (m *mirror) reply(slot int, it *item) {
	m.watched(slot, it)
	switch {
	case it.op.Op == opAuth && it.err == 0:
		m.slots[slot].ids = append(m.slots[slot].ids, proved(it.op)...)
	case it.op.Op == opCloseSession && it.err == 0:
		m.bury(slot)
		m.slots[slot].opened = false
	case it.op.Op == opMulti && it.err == 0:
		for _, r := range it.results {
			if r.err != 0 {
				return
			}
		}
		for _, r := range it.results {
			m.change(slot, r)
		}
	case it.err == 0:
		m.change(slot, it)
	}
}

// change applies one successful write.
func (m *mirror) change(slot int, it *item) {
	o := it.op
	if o.Op.creates() {
		m.created(slot, it)
		return
	}
	n := m.nodes[o.Path]
	if n == nil {
		return
	}
	switch o.Op {
	case opDelete, opDeleteContainer:
		m.remove(o.Path)
	case opSetData:
		n.version++
	case opSetACL:
		n.acl = m.fixed(slot, o.ACL)
		n.aclVers++
	}
}

func (m *mirror) created(slot int, it *item) {
	if m.nodes[it.made] != nil {
		return
	}
	n := &mirrored{acl: m.fixed(slot, it.op.ACL), owner: -1, flags: it.op.Flags}
	if ephemeral(it.op) {
		n.owner, n.life = slot, m.slots[slot].life
	}
	m.nodes[it.made], m.everMade[it.made] = n, true
	at, _ := slices.BinarySearch(m.paths, it.made)
	m.paths = slices.Insert(m.paths, at, it.made)
}

func (m *mirror) remove(path string) {
	delete(m.nodes, path)
	if at, found := slices.BinarySearch(m.paths, path); found {
		m.paths = slices.Delete(m.paths, at, at+1)
	}
}

// bury removes the ephemerals of a slot's session.
func (m *mirror) bury(slot int) {
	for _, path := range slices.Clone(m.paths) {
		if n := m.nodes[path]; n.owner == slot && n.life == m.slots[slot].life {
			m.remove(path)
		}
	}
}

// foresee notes which ephemerals the replies of a step have made.
func (m *mirror) foresee(items []*item) {
	for _, it := range items {
		if it.op == nil {
			continue
		}
		if it.made != "" && ephemeral(it.op) {
			m.mortal[it.made] = true
		}
		m.foresee(it.results)
	}
}

func ephemeral(o *op) bool {
	return o.Flags == flagEphemeral || o.Flags == flagEphemeral|flagSequential
}

// buries says that an event may come from the end of a session.
func (m *mirror) buries(it *item) bool {
	if it.kind != itemEvent {
		return false
	}
	if it.event == eventChildrenChanged {
		for dead := range m.mortal {
			if path.Dir(dead) == it.path {
				return true
			}
		}
	}
	return it.event == eventDeleted && m.mortal[it.path]
}

// fixed is acl as a server stores it: auth stands for every proved identity.
func (m *mirror) fixed(slot int, acl []aclEntry) (out []aclEntry) {
	for _, e := range acl {
		if e.Scheme != "auth" {
			out = append(out, e)
			continue
		}
		for _, id := range m.slots[slot].ids {
			out = append(out, aclEntry{e.Perms, id.Scheme, id.ID})
		}
	}
	return out
}

// proved is the identity that an accepted auth packet proves.
func proved(o *op) []aclEntry {
	if o.Scheme != "digest" {
		return nil
	}
	if string(o.Data) == superSecret {
		return []aclEntry{{Scheme: "digest", ID: digestID(superSecret)}, {Scheme: "super"}}
	}
	return []aclEntry{{Scheme: "digest", ID: digestID(string(o.Data))}}
}

// superSecret proves the superuser on every system under test.
const superSecret = "super:test"

func digestID(secret string) string {
	user, _, _ := strings.Cut(secret, ":")
	sum := sha1.Sum([]byte(secret))
	return user + ":" + base64.StdEncoding.EncodeToString(sum[:])
}

// may says whether a slot has one of perms on a node that is there.
func (m *mirror) may(slot int, path string, perms int32) bool {
	n := m.nodes[path]
	if n == nil {
		return false
	}
	ids := m.slots[slot].ids
	if slices.Contains(ids, aclEntry{Scheme: "super"}) {
		return true
	}
	return slices.ContainsFunc(n.acl, func(e aclEntry) bool {
		if e.Perms&perms == 0 {
			return false
		}
		switch e.Scheme {
		case "world":
			return true
		case "ip":
			return coversLoopback(e.ID)
		}
		return slices.Contains(ids, aclEntry{Scheme: e.Scheme, ID: e.ID})
	})
}

var loopback = netip.MustParseAddr("127.0.0.1")

func coversLoopback(id string) bool {
	if prefix, err := netip.ParsePrefix(id); err == nil {
		return prefix.Contains(loopback)
	}
	addr, err := netip.ParseAddr(id)
	return err == nil && addr == loopback
}
