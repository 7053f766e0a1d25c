package cow

import (
	"cmp"
	"iter"
)

// Map is an ordered map in B-tree pages. The zero Map is empty and ready.
//
// Every write names the generation it belongs to. Pages remember the
// generation that made them and are changed in place only within it; a page of
// an older generation is copied first. To freeze a Map, copy the value and use
// a higher generation for all later writes: the copy then stays exactly as it
// was and may be read without any lock. Generations of one map must never
// fall.
type Map[K cmp.Ordered, V any] struct {
	root *page[K, V]
	size int
}

// Len returns the number of entries.
func (m Map[K, V]) Len() int { return m.size }

// Get returns the value of key.
func (m Map[K, V]) Get(key K) (value V, ok bool) {
	p := m.root
	if p == nil {
		return value, false
	}
	for p.kids != nil {
		p = p.kids[p.kidFor(key)]
	}
	if i, found := p.find(key); found {
		return p.vals[i], true
	}
	return value, false
}

// Set gives key a value and returns the one it had.
func (m *Map[K, V]) Set(generation uint64, key K, value V) (old V, replaced bool) {
	if m.root == nil {
		m.root = &page[K, V]{gen: generation}
	}
	w := write[K, V]{gen: generation, key: key, value: value}
	root, right := w.set(m.root, true)
	if right != nil {
		root = &page[K, V]{gen: generation, keys: []K{w.separator}, kids: []*page[K, V]{root, right}}
	}
	m.root = root
	if !w.found {
		m.size++
	}
	return w.old, w.found
}

// Delete removes key and returns the value it had. A key that is not there
// copies no page.
func (m *Map[K, V]) Delete(generation uint64, key K) (old V, deleted bool) {
	if m.root == nil {
		return old, false
	}
	w := write[K, V]{gen: generation, key: key}
	root := w.delete(m.root)
	if !w.found {
		return old, false
	}
	for len(root.kids) == 1 {
		root = root.kids[0]
	}
	if root.kids == nil && len(root.keys) == 0 {
		root = nil
	}
	m.root = root
	m.size--
	return w.old, true
}

// All yields every entry in the order of the keys. The Map must not be written
// meanwhile; a frozen handle never is.
func (m Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if m.root != nil {
			m.root.each(yield)
		}
	}
}

// From yields the entries with keys not below key, in order, under the rule of
// All.
func (m Map[K, V]) From(key K) iter.Seq2[K, V] { return m.behind(key, true) }

// After is From without key itself.
func (m Map[K, V]) After(key K) iter.Seq2[K, V] { return m.behind(key, false) }

// AppendKeys appends, in order and a page at a time, at most limit keys above
// key, and tells whether there are more.
func (m Map[K, V]) AppendKeys(keys []K, key K, limit int) (_ []K, more bool) {
	if m.root == nil {
		return keys, false
	}
	end := len(keys) + limit
	keys = m.root.appendKeys(keys, &key, end)
	if len(keys) <= end {
		return keys, false
	}
	return keys[:end], true
}

func (m Map[K, V]) behind(key K, inclusive bool) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if m.root != nil {
			m.root.eachBehind(key, inclusive, yield)
		}
	}
}
