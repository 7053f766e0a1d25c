package protocol

import (
	"fmt"

	"github.com/lycaon-io/lycaon/znode"
)

// AppendIdentities appends ids as a Txn carries them.
func AppendIdentities(b []byte, ids []znode.Identity) []byte {
	b = appendArray(b, len(ids))
	for i := range ids {
		b = appendArray(b, 2)
		b = appendStr(b, ids[i].Scheme)
		b = appendStr(b, ids[i].ID)
	}
	return b
}

// DecodeIdentities appends the identities in b to into[:0]. Their strings
// alias b.
func DecodeIdentities(b []byte, into []znode.Identity) ([]znode.Identity, error) {
	d := newDecoder(b)
	into = d.identities(into[:0])
	return into, d.done()
}

func (d *decoder) identities(into []znode.Identity) []znode.Identity {
	for n := d.array(maxIdentities); n > 0 && d.err == nil; n-- {
		t := d.tuple()
		into = append(into, znode.Identity{Scheme: t.str(), ID: t.str()})
		t.end()
	}
	return into
}

func appendACL(b []byte, acl znode.ACL) []byte {
	b = appendArray(b, len(acl))
	for i := range acl {
		b = appendArray(b, 3)
		b = appendUint(b, uint64(acl[i].Perms))
		b = appendStr(b, acl[i].Scheme)
		b = appendStr(b, acl[i].ID)
	}
	return b
}

// acl appends an ACL to into. Whether its entries make sense is for
// znode.NormalizeACL to say; only their number is bounded here.
func (d *decoder) acl(into znode.ACL) znode.ACL {
	n := d.array(d.left())
	if n > znode.MaxACLEntries {
		d.failWith(fmt.Errorf("%w: %d entries, at most %d are allowed", znode.ErrInvalidACL, n, znode.MaxACLEntries))
	}
	for ; n > 0 && d.err == nil; n-- {
		t := d.tuple()
		into = append(into, znode.Entry{Perms: znode.Perm(t.uintUpTo(0xff)), Scheme: t.str(), ID: t.str()})
		t.end()
	}
	return into
}

func (t *tuple) optACL(into znode.ACL) znode.ACL {
	if !t.has() {
		return into
	}
	return t.d.acl(into)
}
