package znode

import (
	"math/bits"

	"github.com/lycaon-io/lycaon/znode/pathhash"
)

const (
	// bucketNodes makes the hashes of a bucket one cache line, and all of it
	// three.
	bucketNodes = 15
	// bucketLoad is how many nodes a bucket has on average. Of 100 buckets 5 to
	// 20 have more than bucketNodes then, and a second one behind them.
	bucketLoad = 11
	// chunkBuckets are allocated together.
	chunkBuckets = 63
)

// index finds a node by its path. It is a hash table that keeps no paths beside
// those of the nodes, and grows by linear hashing: one bucket with each
// bucketLoad nodes that come, into which half of another one moves. So no node
// pays for the growth of all, and the table is as full at any size.
//
// A node is told from the others of its bucket by 32 bits of the hash, which say
// where it moves as well: only the node that is looked for is touched.
type index struct {
	chunks  []*chunk
	buckets uint32
	size    int
}

// chunk takes 12 KiB, a size that the allocator has, with the 8 bytes that the
// allocator puts before it; and so its buckets begin with a cache line.
type chunk struct {
	_       [56]byte
	buckets [chunkBuckets]bucket
}

// bucket has the first n of its places in use, all of them if there is more.
type bucket struct {
	n      uint32
	hashes [bucketNodes]uint32
	nodes  [bucketNodes]*node
	more   *bucket
}

// newIndex returns an index with room for so many nodes.
func newIndex(nodes int) index {
	x := index{}
	for range max(1, nodes/bucketLoad) {
		x.extend()
	}
	return x
}

// extend adds an empty bucket.
func (x *index) extend() {
	if x.buckets%chunkBuckets == 0 {
		x.chunks = append(x.chunks, new(chunk))
	}
	x.buckets++
}

func (x *index) bucket(i uint32) *bucket { return &x.chunks[i/chunkBuckets].buckets[i%chunkBuckets] }

// of returns the bucket of a hash: the one with its lowest bits, as many as
// number all buckets, or without the first of these if that one is yet to come.
func (x *index) of(hash uint32) *bucket {
	width := bits.Len32(x.buckets - 1)
	i := hash & (1<<width - 1)
	if i >= x.buckets {
		i &^= 1 << (width - 1)
	}
	return x.bucket(i)
}

// place returns where the node with this path is.
func (x *index) place(hash uint32, path string) (b *bucket, i int) {
	for b = x.of(hash); b != nil; b = b.more {
		for i, h := range b.hashes[:b.n] {
			if h == hash && b.nodes[i].path == path {
				return b, i
			}
		}
	}
	return nil, 0
}

func indexHash(path string) uint32 { return uint32(pathhash.Of(path)) }

func (x *index) get(path string) *node {
	if b, i := x.place(indexHash(path), path); b != nil {
		return b.nodes[i]
	}
	return nil
}

// put has n in place of the node with its path, if there is one.
func (x *index) put(n *node) {
	hash := indexHash(n.path)
	if b, i := x.place(hash, n.path); b != nil {
		b.nodes[i] = n
		return
	}
	x.of(hash).add(hash, n)
	x.size++
	if x.size > int(x.buckets)*bucketLoad {
		x.split()
	}
}

func (b *bucket) add(hash uint32, n *node) {
	for b.n == bucketNodes {
		if b.more == nil {
			b.more = &bucket{}
		}
		b = b.more
	}
	b.hashes[b.n], b.nodes[b.n] = hash, n
	b.n++
}

// split adds a bucket, and divides with it the one from which it differs in the
// first bit.
func (x *index) split() {
	i := x.buckets
	x.extend()
	from := x.bucket(i &^ (1 << (bits.Len32(i) - 1)))
	old := *from
	*from = bucket{}
	for b := &old; b != nil; b = b.more {
		for i, hash := range b.hashes[:b.n] {
			x.of(hash).add(hash, b.nodes[i])
		}
	}
}

// remove takes the node with this path out. The last one of the bucket fills the
// gap.
func (x *index) remove(path string) {
	hash := indexHash(path)
	b, i := x.place(hash, path)
	if b == nil {
		return
	}
	last, before := x.of(hash), (*bucket)(nil)
	for last.more != nil {
		last, before = last.more, last
	}
	last.n--
	b.hashes[i], b.nodes[i] = last.hashes[last.n], last.nodes[last.n]
	last.nodes[last.n] = nil
	if last.n == 0 && before != nil {
		before.more = nil
	}
	x.size--
}
