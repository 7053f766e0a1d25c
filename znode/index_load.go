package znode

import "sync"

const (
	// shards divide the index of millions of nodes into parts that the processor's
	// caches hold while they are filled.
	shards = 256
	// fillers fill shards beside each other.
	fillers = 8
	// chunkEntries bounds the room that is made ahead of the entries of a shard.
	chunkEntries = 1024
)

// entry is a node on its way into an index.
type entry struct {
	hash uint32
	node *node
}

// indexer gathers nodes, no two with the same path, for an index.
type indexer struct {
	shards [shards]shard
	nodes  int
}

// shard has the entries whose hashes end alike.
type shard struct {
	full [][]entry
	last []entry
}

func (x *indexer) add(entries []entry) {
	for _, e := range entries {
		s := &x.shards[e.hash%shards]
		if len(s.last) == cap(s.last) {
			s.grow()
		}
		s.last = append(s.last, e)
	}
	x.nodes += len(entries)
}

func (s *shard) grow() {
	if len(s.last) > 0 {
		s.full = append(s.full, s.last)
	}
	s.last = make([]entry, 0, min(max(2*cap(s.last), 4), chunkEntries))
}

// index builds an index of all that was added.
func (x *indexer) index() index {
	to := newIndex(x.nodes)
	to.size = x.nodes
	if to.buckets < shards { // two of them may share a bucket
		x.fill(&to, 0, 1)
		return to
	}
	var all sync.WaitGroup
	for first := range fillers {
		all.Go(func() { x.fill(&to, first, fillers) })
	}
	all.Wait()
	return to
}

// fill takes each shard from the first in such steps.
func (x *indexer) fill(to *index, first, step int) {
	for i := first; i < shards; i += step {
		s := &x.shards[i]
		for _, entries := range append(s.full, s.last) {
			for _, e := range entries {
				to.of(e.hash).add(e.hash, e.node)
			}
		}
		*s = shard{}
	}
}
