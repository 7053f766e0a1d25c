package znode

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// sharedACL is an ACL that any number of nodes carry. It never changes but for
// holders, which counts the live nodes that carry it.
type sharedACL struct {
	list     ACL
	networks []netip.Prefix // of list, so that a check need not parse them
	key      string
	hash     uint64
	holders  int
}

func (a *sharedACL) allows(p Perm, who *Actor) bool { return a.list.allows(p, who, a.networks) }

// aclSet has each ACL of the live tree once.
type aclSet struct {
	byKey map[string]*sharedACL
	key   []byte // reused
}

// share returns the shared form of acl, which stays in the set only when hold
// follows. It copies what it keeps.
func (s *aclSet) share(acl ACL) *sharedACL {
	s.key = appendACLKey(s.key[:0], acl)
	if shared := s.byKey[string(s.key)]; shared != nil {
		return shared
	}
	list := make(ACL, len(acl))
	for i, e := range acl {
		list[i] = Entry{Perms: e.Perms, Scheme: strings.Clone(e.Scheme), ID: strings.Clone(e.ID)}
	}
	return &sharedACL{list: list, networks: list.networks(), key: string(s.key), hash: xxhash.Sum64(s.key)}
}

// hold counts one more node with a.
func (s *aclSet) hold(a *sharedACL) {
	if a.holders == 0 {
		s.byKey[a.key] = a
	}
	a.holders++
}

// release counts one node less with a.
func (s *aclSet) release(a *sharedACL) {
	if a.holders--; a.holders == 0 {
		delete(s.byKey, a.key)
	}
}

// appendACLKey appends an encoding that differs between any two ACLs.
func appendACLKey(b []byte, acl ACL) []byte {
	for i := range acl {
		b = append(b, byte(acl[i].Perms))
		b = binary.AppendUvarint(b, uint64(len(acl[i].Scheme)))
		b = append(b, acl[i].Scheme...)
		b = binary.AppendUvarint(b, uint64(len(acl[i].ID)))
		b = append(b, acl[i].ID...)
	}
	return b
}
