package znode

import "sync"

const (
	// shards are filled one after the other, and divide the index of millions of
	// nodes into parts that the processor's caches hold.
	shards = 256
	// fillers are how many go about it, each for shards of its own.
	fillers = 8
	// chunkPlaces bounds the room that is made ahead of the places of a shard.
	chunkPlaces = 1024
)

// place is where a node belongs in an index.
type place struct {
	hash uint32
	node *node
}

// indexer gathers nodes, no two with the same path, for an index.
type indexer struct {
	shards [shards]shard
	nodes  int
}

// shard has the places whose hashes end alike.
type shard struct {
	full [][]place
	last []place
}

func (x *indexer) add(places []place) {
	for _, p := range places {
		s := &x.shards[p.hash%shards]
		if len(s.last) == cap(s.last) {
			s.grow()
		}
		s.last = append(s.last, p)
	}
	x.nodes += len(places)
}

func (s *shard) grow() {
	if len(s.last) > 0 {
		s.full = append(s.full, s.last)
	}
	s.last = make([]place, 0, min(max(2*cap(s.last), 4), chunkPlaces))
}

// index builds an index of all that was added.
func (x *indexer) index() index {
	to := newIndex(x.nodes)
	to.size = x.nodes
	if to.buckets < 2*shards { // in so few two shards might share a bucket
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
		for _, places := range append(s.full, s.last) {
			for _, p := range places {
				to.of(p.hash).add(p.hash, p.node)
			}
		}
		*s = shard{}
	}
}
