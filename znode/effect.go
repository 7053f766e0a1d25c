package znode

// EffectType says what a transaction did to a node.
type EffectType uint8

const (
	NodeCreated EffectType = iota + 1
	NodeDeleted
	DataChanged
	ACLChanged     // fires no watch, nor does
	SequenceRaised // the count of children ever created
)

// Effect is one change of one node, as watches see it. That the children of
// the parent changed follows from NodeCreated and NodeDeleted. ACL is the one
// in force right after Zxid, for a deleted node its last; ParentACL that of
// the parent (nil for the root).
type Effect struct {
	Zxid      uint64
	Type      EffectType
	Path      string
	ACL       ACL
	ParentACL ACL
}
