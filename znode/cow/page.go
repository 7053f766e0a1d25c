package cow

import (
	"cmp"
	"slices"
)

const (
	// maxPage is the most keys of a leaf, or kids of an inner page. Small
	// enough that the copy after a freeze stays under a microsecond, large
	// enough that a map of a million entries is four pages deep.
	maxPage = 64
	// smallPage is the size below which a delete looks for a neighbour to
	// merge with, mergedPage the most that a merge may make: the gap between
	// mergedPage and maxPage keeps a page from splitting right after.
	smallPage  = maxPage / 4
	mergedPage = maxPage * 3 / 4
	// growPage is the step in which pages grow: doubling would leave a third
	// of a randomly filled page unused.
	growPage = 8
)

// page is a leaf (kids nil; vals[i] belongs to keys[i]) or an inner page (vals
// nil; keys[i] separates kids[i], all below it, from kids[i+1]). Once its
// generation is over a page never changes.
type page[K cmp.Ordered, V any] struct {
	gen  uint64
	keys []K
	vals []V
	kids []*page[K, V]
}

// find returns the place of key in a leaf, or where it would go.
func (p *page[K, V]) find(key K) (int, bool) {
	low, high := 0, len(p.keys)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if p.keys[mid] < key {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, low < len(p.keys) && p.keys[low] == key
}

// kidFor returns the place of the only kid that may hold key.
func (p *page[K, V]) kidFor(key K) int {
	low, high := 0, len(p.keys)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if key < p.keys[mid] {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

// writable returns p, or a copy of it when an older generation owns it.
func (p *page[K, V]) writable(gen uint64) *page[K, V] {
	if p.gen == gen {
		return p
	}
	return &page[K, V]{gen: gen, keys: slices.Clone(p.keys), vals: slices.Clone(p.vals), kids: slices.Clone(p.kids)}
}

// splitAt cuts p, which must be writable, into its first n entries (or kids)
// and a new page with the rest, and returns that and the key between them. A leaf
// on the left gives its room back: where keys come in rising order, more or less,
// it stays as it is.
func (p *page[K, V]) splitAt(n int) (right *page[K, V], separator K) {
	right = &page[K, V]{gen: p.gen}
	if p.kids == nil {
		right.keys, right.vals = slices.Clone(p.keys[n:]), slices.Clone(p.vals[n:])
		p.keys, p.vals = slices.Clone(p.keys[:n]), slices.Clone(p.vals[:n])
		return right, right.keys[0]
	}
	separator = p.keys[n-1]
	right.keys, right.kids = slices.Clone(p.keys[n:]), slices.Clone(p.kids[n:])
	p.keys, p.kids = truncate(p.keys, n-1), truncate(p.kids, n)
	return right, separator
}

// load is what the bounds of a page count.
func (p *page[K, V]) load() int {
	if p.kids == nil {
		return len(p.keys)
	}
	return len(p.kids)
}

func (p *page[K, V]) each(yield func(K, V) bool) bool {
	for i, key := range p.keys[:len(p.vals)] {
		if !yield(key, p.vals[i]) {
			return false
		}
	}
	for _, kid := range p.kids {
		if !kid.each(yield) {
			return false
		}
	}
	return true
}

func (p *page[K, V]) eachBehind(key K, inclusive bool, yield func(K, V) bool) bool {
	i := p.kidFor(key) // in a leaf: the first place above key
	if p.kids == nil {
		if inclusive {
			i, _ = p.find(key)
		}
		for ; i < len(p.keys); i++ {
			if !yield(p.keys[i], p.vals[i]) {
				return false
			}
		}
		return true
	}
	if !p.kids[i].eachBehind(key, inclusive, yield) {
		return false
	}
	for _, kid := range p.kids[i+1:] {
		if !kid.each(yield) {
			return false
		}
	}
	return true
}

// appendKeys appends the keys above floor, nil for all, and stops behind end:
// one more shows that there are more.
func (p *page[K, V]) appendKeys(keys []K, floor *K, end int) []K {
	i := 0
	if floor != nil {
		i = p.kidFor(*floor)
	}
	if p.kids == nil {
		rest := p.keys[i:]
		return append(keys, rest[:min(len(rest), end+1-len(keys))]...)
	}
	for ; i < len(p.kids) && len(keys) <= end; i++ {
		keys = p.kids[i].appendKeys(keys, floor, end)
		floor = nil
	}
	return keys
}

// insert puts x at place i, growing by growPage.
func insert[T any](s []T, i int, x T) []T {
	if len(s) == cap(s) {
		grown := make([]T, len(s), grownCap(len(s)))
		copy(grown, s)
		s = grown
	}
	s = s[:len(s)+1]
	copy(s[i+1:], s[i:])
	s[i] = x
	return s
}

func grownCap(n int) int {
	if n < growPage {
		return max(1, 2*n)
	}
	return n + growPage
}

// remove takes place i out and clears the freed one, so that nothing in it
// stays alive.
func remove[T any](s []T, i int) []T {
	copy(s[i:], s[i+1:])
	return truncate(s, len(s)-1)
}

func truncate[T any](s []T, n int) []T {
	clear(s[n:])
	return s[:n]
}
