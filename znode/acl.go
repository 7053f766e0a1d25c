package znode

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

const (
	MaxACLEntries = 64   // of one ACL, after auth has become identities
	MaxACLIDBytes = 1024 // of one id
)

// Perm is a set of permissions, with ZooKeeper's bits.
type Perm uint8

const (
	Read Perm = 1 << iota
	Write
	Create
	Delete
	Admin

	AllPerms = Read | Write | Create | Delete | Admin
)

// Schemes an ACL entry or an identity may carry. SchemeAuth stands only in a
// request: it becomes every identity of its sender. SchemeSuper is an
// identity alone, never an entry, and passes every check.
const (
	SchemeWorld  = "world"
	SchemeAuth   = "auth"
	SchemeDigest = "digest"
	SchemeSASL   = "sasl"
	SchemeX509   = "x509" // the id is the subject of a certificate
	SchemeIP     = "ip"
	SchemeSuper  = "super"
)

const anyone = "anyone" // the only id of SchemeWorld

// Entry grants Perms to the identities that match Scheme and ID.
type Entry struct {
	Perms  Perm
	Scheme string
	ID     string
}

// ACL is a list of grants. Once it is in a tree it is shared and never changed.
type ACL []Entry

// The usual ACLs. They are shared: do not change them.
var (
	OpenACL    = ACL{{AllPerms, SchemeWorld, anyone}}
	ReadACL    = ACL{{Read, SchemeWorld, anyone}}
	CreatorACL = ACL{{AllPerms, SchemeAuth, ""}}
)

// Allows tells whether one of who's identities is granted one of the permissions
// in p.
func (a ACL) Allows(p Perm, who *Actor) bool { return a.allows(p, who, nil) }

// allows is Allows for an ACL whose networks are parsed already; nil: they are not.
func (a ACL) allows(p Perm, who *Actor, networks []netip.Prefix) bool {
	for i := range a {
		e := &a[i]
		if e.Perms&p == 0 {
			continue
		}
		if e.Scheme == SchemeWorld {
			return true
		}
		who = who.ready()
		switch {
		case who.has(e.Scheme, e.ID):
			return true
		case e.Scheme != SchemeIP || len(who.proof.addresses) == 0:
		case networks != nil:
			if who.isWithin(networks[i]) {
				return true
			}
		default:
			if network, ok := parseIPID(e.ID); ok && who.isWithin(network) {
				return true
			}
		}
	}
	return who.isSuper()
}

// networks returns what the entries of SchemeIP stand for, nil if there is none.
func (a ACL) networks() []netip.Prefix {
	var all []netip.Prefix
	for i := range a {
		if a[i].Scheme != SchemeIP {
			continue
		}
		if all == nil {
			all = make([]netip.Prefix, len(a))
		}
		all[i], _ = parseIPID(a[i].ID)
	}
	return all
}

// parseIPID reads an id of the form address or address/bits.
func parseIPID(id string) (netip.Prefix, bool) {
	if !strings.Contains(id, "/") {
		addr, err := netip.ParseAddr(id)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, false
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	prefix, err := netip.ParsePrefix(id)
	return prefix, err == nil && !prefix.Addr().Is4In6() // addresses are compared unmapped
}

// NormalizeACL returns acl as a tree stores it: every auth entry replaced by
// who's identities that prove a user, duplicates dropped. It returns acl itself
// when nothing is to change. The error wraps ErrInvalidACL.
func NormalizeACL(acl ACL, who *Actor) (ACL, error) {
	if len(acl) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrInvalidACL)
	}
	if len(acl) > MaxACLEntries {
		return nil, tooManyEntries(len(acl))
	}
	plain := true
	for i := range acl {
		if err := acl[i].validate(); err != nil {
			return nil, err
		}
		plain = plain && acl[i].Scheme != SchemeAuth && !slices.Contains(acl[:i], acl[i])
	}
	if plain {
		return acl, nil
	}
	return expand(acl, who.ready().proof.users)
}

func tooManyEntries(n int) error {
	return fmt.Errorf("%w: %d entries, at most %d are allowed", ErrInvalidACL, n, MaxACLEntries)
}

func expand(acl ACL, users []Identity) (ACL, error) {
	full := make(ACL, 0, len(acl)+len(users))
	var expanded [AllPerms + 1]bool // auth entries with these permissions
	for _, e := range acl {
		switch {
		case e.Scheme != SchemeAuth:
			full = appendNew(full, e)
		case len(users) == 0:
			return nil, fmt.Errorf("%w: scheme auth, but the connection has proved no user", ErrInvalidACL)
		case !expanded[e.Perms]:
			expanded[e.Perms] = true
			full = appendUsers(full, e.Perms, users)
		}
		if len(full) > MaxACLEntries {
			return nil, tooManyEntries(len(full))
		}
	}
	return full, nil
}

// appendUsers appends an entry for each of users, no two of whom are the same.
func appendUsers(acl ACL, p Perm, users []Identity) ACL {
	before := acl
	for _, user := range users {
		if e := (Entry{p, user.Scheme, user.ID}); !slices.Contains(before, e) {
			acl = append(acl, e)
		}
	}
	return acl
}

func appendNew(acl ACL, e Entry) ACL {
	if slices.Contains(acl, e) {
		return acl
	}
	return append(acl, e)
}

func (e *Entry) validate() error {
	if e.Perms&^AllPerms != 0 {
		return fmt.Errorf("%w: unknown permission bits %#x", ErrInvalidACL, uint8(e.Perms&^AllPerms))
	}
	if len(e.ID) > MaxACLIDBytes {
		return fmt.Errorf("%w: an id of %d bytes, at most %d are allowed", ErrInvalidACL, len(e.ID), MaxACLIDBytes)
	}
	if !e.idFits() {
		// Cut, since a scheme that is not known may be as long as a frame.
		return fmt.Errorf("%w: id %.64q does not suit scheme %.64q: %s", ErrInvalidACL, e.ID, e.Scheme, idRule(e.Scheme))
	}
	return nil
}

// idRule says what the ids of a scheme have to be.
func idRule(scheme string) string {
	switch scheme {
	case SchemeWorld:
		return "want " + anyone
	case SchemeDigest:
		return "want USER:HASH"
	case SchemeSASL, SchemeX509:
		return "want a name"
	case SchemeIP:
		return "want ADDRESS or ADDRESS/BITS"
	}
	return "the schemes are world, auth, digest, ip, sasl and x509"
}

// idFits knows every scheme an entry may have; an unknown one fits no id.
func (e *Entry) idFits() bool {
	switch e.Scheme {
	case SchemeWorld:
		return e.ID == anyone
	case SchemeAuth:
		return true // ZooKeeper ignores the id
	case SchemeDigest:
		_, hash, ok := strings.Cut(e.ID, ":")
		return ok && hash != "" && !strings.Contains(hash, ":")
	case SchemeSASL, SchemeX509:
		return e.ID != ""
	case SchemeIP:
		_, ok := parseIPID(e.ID)
		return ok
	}
	return false
}

// redacted returns a with the hash of every digest id replaced by x.
func (a ACL) redacted() ACL {
	shown := slices.Clone(a)
	for i := range shown {
		if user, _, ok := strings.Cut(shown[i].ID, ":"); ok && shown[i].Scheme == SchemeDigest {
			shown[i].ID = user + ":x"
		}
	}
	return shown
}
