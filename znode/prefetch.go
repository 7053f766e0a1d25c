package znode

// prefetchPaths are looked for together: several times the reads of memory that a
// processor has under way at once.
const prefetchPaths = 32

// Prefetch reads what changes of the nodes at these paths will read first: the
// index, the nodes and their parents. In a large tree each of that is a wait for
// memory, which a change has one after the other; here those for many paths are
// under way at once. Nothing is changed, and what is no path does no harm. It
// returns how many nodes it has come upon.
func (t *Tree) Prefetch(paths []string) (found int) {
	var nodes [2 * prefetchPaths]*node
	for len(paths) > 0 {
		some := paths[:min(len(paths), prefetchPaths)]
		paths = paths[len(some):]
		found += t.index.prefetch(some, &nodes)
	}
	return found
}

// prefetch returns how many nodes it left in nodes: those at the paths and their
// parents, and now and then another one of the same hash. Each step reads what all
// paths need before any of them goes on: a branch that waits for memory would keep
// the processor from what comes after it.
func (x *index) prefetch(paths []string, nodes *[2 * prefetchPaths]*node) (found int) {
	var hashes [2 * prefetchPaths]uint32
	var buckets [2 * prefetchPaths]*bucket
	n := 0
	for _, path := range paths {
		hashes[n], hashes[n+1] = indexHash(path), indexHash(Parent(path))
		n += 2
	}
	var read uint64
	for i, hash := range hashes[:n] {
		b := x.of(hash)
		buckets[i] = b
		read += uint64(b.n)
		for j := 0; j < bucketNodes; j += bucketNodes / 2 { // a place in each of its lines
			if b.nodes[j] != nil {
				read++
			}
		}
	}
	for i, b := range buckets[:n] {
		if at := b.find(hashes[i]); at != nil {
			nodes[found] = at
			found++
		}
	}
	for _, at := range nodes[:found] {
		read += uint64(len(at.path)) + uint64(at.gen) // at both ends of it
	}
	for _, at := range nodes[:found] {
		read += uint64(at.path[0])
	}
	keepReads(read)
	return found
}

// find returns the first node of the chain that has this hash.
func (b *bucket) find(hash uint32) *node {
	for ; b != nil; b = b.more {
		for i, h := range b.hashes[:b.n] {
			if h == hash {
				return b.nodes[i]
			}
		}
	}
	return nil
}

// keepReads has the compiler take what was read for needed.
//
//go:noinline
func keepReads(uint64) {}
