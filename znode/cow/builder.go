package cow

import "cmp"

// Builder makes a Map of entries that come in the order of their keys, in pages
// that are full.
type Builder[K cmp.Ordered, V any] struct {
	gen      uint64
	expected int
	size     int
	leaf     *page[K, V]
	inner    []*page[K, V] // the last page of each level above the leaves
}

// NewBuilder returns a Builder of a Map of that generation. About so many entries are
// expected: only the room made for them depends on it.
func NewBuilder[K cmp.Ordered, V any](generation uint64, expected int) Builder[K, V] {
	return Builder[K, V]{gen: generation, expected: expected}
}

// Add adds an entry, unless its key is not above the one before.
func (b *Builder[K, V]) Add(key K, value V) (added bool) {
	switch {
	case b.leaf == nil:
		b.leaf = b.newLeaf()
	case key <= b.leaf.keys[len(b.leaf.keys)-1]:
		return false
	case len(b.leaf.keys) == maxPage:
		next := b.newLeaf()
		b.push(0, b.leaf, key, next)
		b.leaf = next
	}
	b.leaf.keys, b.leaf.vals = append(b.leaf.keys, key), append(b.leaf.vals, value)
	b.size++
	return true
}

// Map returns the Map and leaves the Builder of no further use.
func (b *Builder[K, V]) Map() Map[K, V] {
	m := Map[K, V]{root: b.leaf, size: b.size}
	if len(b.inner) > 0 {
		m.root = b.inner[len(b.inner)-1]
	}
	return m
}

func (b *Builder[K, V]) newLeaf() *page[K, V] {
	room := min(max(b.expected-b.size, 1), maxPage)
	return &page[K, V]{gen: b.gen, keys: make([]K, 0, room), vals: make([]V, 0, room)}
}

// push puts right, whose keys begin with separator, behind left, the last kid of
// that level.
func (b *Builder[K, V]) push(level int, left *page[K, V], separator K, right *page[K, V]) {
	if level == len(b.inner) {
		b.inner = append(b.inner, &page[K, V]{gen: b.gen, kids: []*page[K, V]{left}})
	}
	p := b.inner[level]
	if len(p.kids) == maxPage {
		next := &page[K, V]{gen: b.gen, kids: []*page[K, V]{right}}
		b.push(level+1, p, separator, next)
		b.inner[level] = next
		return
	}
	p.keys = insert(p.keys, len(p.keys), separator)
	p.kids = insert(p.kids, len(p.kids), right)
}
