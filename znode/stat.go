package znode

// Kind says how a znode ends: by a delete alone, with its session, when its
// last child is gone, or when it has been left alone for its TTL.
type Kind uint8

const (
	Persistent Kind = iota
	Ephemeral
	Container
	TTL
)

// AnyVersion in place of an expected version accepts every version.
const AnyVersion int64 = -1

// Stat describes a znode. Times are milliseconds since the Unix epoch, as
// stamped by the leader. Versions count changes and start at 0: Version those
// of the data, Aversion of the ACL, Cversion children created plus deleted.
type Stat struct {
	Czxid, Mzxid, Pzxid         uint64 // transaction that created it, last set its data, last changed its children
	CtimeMs, MtimeMs            int64
	Version, Cversion, Aversion int64
	Owner                       uint64 // session of an Ephemeral, else 0
	TTLMs                       int64  // of a TTL node, else 0
	Kind                        Kind
	DataLength                  int
	NumChildren                 int
}
