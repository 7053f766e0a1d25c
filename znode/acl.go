package znode

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
	SchemeIP     = "ip"
	SchemeSuper  = "super"
)

// Entry grants Perms to the identities that match Scheme and ID.
type Entry struct {
	Perms  Perm
	Scheme string
	ID     string
}

// ACL is a list of grants. Once it is in a tree it is shared and never changed.
type ACL []Entry

// Identity is what a connection has proved about itself.
type Identity struct {
	Scheme string
	ID     string
}

// Actor is who asks: a session (0 for none) and the identities of its
// connection.
type Actor struct {
	Session uint64
	IDs     []Identity
}
