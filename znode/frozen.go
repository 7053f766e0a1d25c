package znode

import (
	"iter"

	"github.com/cespare/xxhash/v2"
)

// Frozen is the tree as it was at one instant. It may be read from any
// goroutine, without a lock, while the tree is written.
type Frozen struct {
	root  *node
	nodes int
}

// Record is all there is to know of one node: what an image holds. Sequence
// counts the children ever created, but for those there from the start.
type Record struct {
	Path     string
	Data     []byte
	ACL      ACL
	Stat     Stat
	Sequence uint64
}

// Len returns the number of nodes.
func (f *Frozen) Len() int { return f.nodes }

// All yields every node, each before its children and these by name. Nobody
// may write to what a record holds.
func (f *Frozen) All() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		f.root.walk(func(n *node) bool { return yield(n.record()) })
	}
}

// Digest is what a node with this record adds to the digest of its tree.
func (r *Record) Digest() uint64 {
	n := node{
		czxid: r.Stat.Czxid, mzxid: r.Stat.Mzxid, ctimeMs: r.Stat.CtimeMs, mtimeMs: r.Stat.MtimeMs,
		version: r.Stat.Version, aversion: r.Stat.Aversion, kind: r.Stat.Kind,
		grant: max(r.Stat.Owner, uint64(r.Stat.TTLMs)), // a node has one of them at most
		dir:   &dir{pzxid: r.Stat.Pzxid, created: r.Sequence, deleted: uint64(r.Stat.Cversion) - r.Sequence},
	}
	var room [128]byte
	return n.hashWith(bodyHash(r.Path, r.Data), xxhash.Sum64(appendACLKey(room[:0], r.ACL)))
}

// maxACLsKnown bounds the memory of a Digest. Few trees have as many ACLs;
// those that have more pay for some of them again.
const maxACLsKnown = 4096

// Digest returns what Tree.Digest was at that instant, computed from the paths,
// the data and the ACLs as they are in memory now: it differs when a byte of
// them has flipped. pace, unless nil, is told after each node how many bytes
// were read; when it returns false the walk ends and the result means nothing.
func (f *Frozen) Digest(pace func(bytes int) bool) (sum uint64) {
	hashes := map[*sharedACL]uint64{}
	var key []byte
	f.root.walk(func(n *node) bool {
		acl, seen := hashes[n.acl]
		if !seen {
			if len(hashes) >= maxACLsKnown {
				clear(hashes)
			}
			key = appendACLKey(key[:0], n.acl.list)
			acl = xxhash.Sum64(key)
			hashes[n.acl] = acl
		}
		sum += n.hashWith(bodyHash(n.path, n.data), acl)
		return pace == nil || pace(nodeBytes+len(n.path)+len(n.data))
	})
	return sum
}

// nodeBytes is what a node takes beside its path and its data.
const nodeBytes = 128

// walk calls visit for n and all below it until it returns false. It goes down
// at most MaxPathDepth levels.
func (n *node) walk(visit func(*node) bool) bool {
	if !visit(n) {
		return false
	}
	if n.dir == nil {
		return true
	}
	for _, child := range n.dir.children.All() {
		if !child.walk(visit) {
			return false
		}
	}
	return true
}
