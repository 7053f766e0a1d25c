package znode

import (
	"net/netip"
	"slices"
)

// Identity is what a connection has proved about itself.
type Identity struct {
	Scheme string
	ID     string
}

// Actor is who asks: a session (0 for none) and the identities of its
// connection. NewActor makes one for many questions; one without it does as well.
type Actor struct {
	Session uint64
	IDs     []Identity

	proof *proof
}

// proof is what has to be known of identities to look for them in an ACL, so that an
// entry costs one look whatever their number. It is never changed.
type proof struct {
	super     bool
	many      map[Identity]struct{} // nil if they are few
	users     []Identity            // those that may stand in an ACL, each once: an address or a superuser does not
	addresses []netip.Addr
	first     [1]netip.Addr // mostly all of them
}

// fewIdentities are looked through as quickly as one is found in a map.
const fewIdentities = 4

// NewActor returns an Actor for as many checks as will come. Nobody changes ids
// any more.
func NewActor(session uint64, ids []Identity) Actor {
	p := &proof{}
	p.addresses = p.first[:0]
	for _, id := range ids {
		switch id.Scheme {
		case SchemeSuper:
			p.super = true
		case SchemeIP:
			if addr, err := netip.ParseAddr(id.ID); err == nil {
				p.addresses = append(p.addresses, addr.Unmap().WithZone(""))
			}
		case SchemeDigest, SchemeSASL, SchemeX509:
			e := Entry{Scheme: id.Scheme, ID: id.ID}
			if e.validate() == nil && !slices.Contains(p.users, id) {
				p.users = append(p.users, id)
			}
		}
	}
	if len(ids) > fewIdentities {
		p.many = make(map[Identity]struct{}, len(ids))
		for _, id := range ids {
			p.many[id] = struct{}{}
		}
	}
	return Actor{Session: session, IDs: ids, proof: p}
}

// ready returns a with its proof.
func (a *Actor) ready() *Actor {
	if a.proof != nil {
		return a
	}
	made := NewActor(a.Session, a.IDs)
	return &made
}

func (a *Actor) isSuper() bool { return a.ready().proof.super }

// has tells whether a, which is ready, has an identity.
func (a *Actor) has(scheme, id string) bool {
	if a.proof.many != nil {
		_, ok := a.proof.many[Identity{scheme, id}]
		return ok
	}
	for i := range a.IDs {
		if a.IDs[i].ID == id && a.IDs[i].Scheme == scheme {
			return true
		}
	}
	return false
}

// isWithin tells whether a, which is ready, is at an address of network.
func (a *Actor) isWithin(network netip.Prefix) bool {
	for _, addr := range a.proof.addresses {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}
