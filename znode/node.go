package znode

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/lycaon-io/lycaon/znode/cow"
)

// node is one znode in 128 bytes. A node whose generation is the tree's is
// changed in place; any other may be seen by a frozen handle and is copied
// first, with its ancestors. path and data never change in place.
type node struct {
	path         string
	data         []byte // nil: null
	acl          *sharedACL
	dir          *dir // nil until the first child came
	body         uint64
	czxid, mzxid uint64
	ctimeMs      int64
	mtimeMs      int64
	version      int64
	aversion     int64
	grant        uint64 // session of an Ephemeral, milliseconds of a TTL
	gen          uint32
	kind         Kind
}

// dir is what only a node with children, or that had some, needs. It belongs
// to the generation of its node.
type dir struct {
	children         cow.Map[string, *node]
	pzxid            uint64
	created, deleted uint64 // children ever, but for those there from the start
	below            *below
}

// below counts the descendants of a live node and the bytes of their data. All
// generations of a dir share it, only the live tree reads it.
type below struct {
	up    *below // of the parent, nil at the root
	nodes int
	bytes int64
}

// cloneData keeps null apart from empty, and nothing of the request alive.
func cloneData(data []byte) []byte {
	if data == nil {
		return nil
	}
	c := make([]byte, len(data))
	copy(c, data)
	return c
}

func (n *node) name() string { return Base(n.path) }

func (n *node) numChildren() int {
	if n.dir == nil {
		return 0
	}
	return n.dir.children.Len()
}

func (n *node) pzxid() uint64 {
	if n.dir == nil {
		return n.czxid
	}
	return n.dir.pzxid
}

// sequence returns the number of children ever created.
func (n *node) sequence() uint64 {
	if n.dir == nil {
		return 0
	}
	return n.dir.created
}

func (n *node) owner() uint64 {
	if n.kind == Ephemeral {
		return n.grant
	}
	return 0
}

func (n *node) ttlMs() int64 {
	if n.kind == TTL {
		return int64(n.grant)
	}
	return 0
}

// mortal tells whether n may be reaped: a childless TTL node, or a container
// that lost its last child.
func (n *node) mortal() bool {
	return n.numChildren() == 0 && (n.kind == TTL || n.kind == Container && n.sequence() > 0)
}

func (n *node) stat() Stat {
	s := Stat{
		Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: n.pzxid(),
		CtimeMs: n.ctimeMs, MtimeMs: n.mtimeMs,
		Version: n.version, Aversion: n.aversion,
		Owner: n.owner(), TTLMs: n.ttlMs(), Kind: n.kind,
		DataLength: len(n.data),
	}
	if n.dir != nil {
		s.Cversion = int64(n.dir.created + n.dir.deleted)
		s.NumChildren = n.dir.children.Len()
	}
	return s
}

func (n *node) record() Record {
	return Record{Path: n.path, Data: n.data[:len(n.data):len(n.data)], ACL: n.acl.list, Stat: n.stat(), Sequence: n.sequence()}
}

// bodyHash covers what may be large, so that a change of the rest need not
// read it again.
func bodyHash(path string, data []byte) uint64 {
	var b [17]byte
	binary.LittleEndian.PutUint64(b[0:], xxhash.Sum64String(path))
	binary.LittleEndian.PutUint64(b[8:], xxhash.Sum64(data))
	if data == nil {
		b[16] = 1
	}
	return xxhash.Sum64(b[:])
}

// hash is the node's part of the digest. Voters compare digests across
// versions of the program: its definition is part of the format.
func (n *node) hash() uint64 { return n.hashWith(n.body, n.acl.hash) }

func (n *node) hashWith(body, acl uint64) uint64 {
	var cversion uint64
	if n.dir != nil {
		cversion = n.dir.created + n.dir.deleted
	}
	var b [13 * 8]byte
	for i, word := range [...]uint64{
		body, acl, n.czxid, n.mzxid, n.pzxid(), uint64(n.ctimeMs), uint64(n.mtimeMs),
		uint64(n.version), cversion, uint64(n.aversion), n.grant, uint64(n.kind), n.sequence(),
	} {
		binary.LittleEndian.PutUint64(b[i*8:], word)
	}
	return xxhash.Sum64(b[:])
}
