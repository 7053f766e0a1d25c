package cow

import "cmp"

// write is one Set or Delete on its way down and up again.
type write[K cmp.Ordered, V any] struct {
	gen   uint64
	key   K
	value V

	old       V
	found     bool
	separator K // between the pages of the latest split
}

// set returns the page that stands for p afterwards, and the one to its right
// when it split. last says that p is the rightmost of its level.
func (w *write[K, V]) set(p *page[K, V], last bool) (_, right *page[K, V]) {
	p = p.writable(w.gen)
	if p.kids == nil {
		return p, w.setLeaf(p, last)
	}
	i := p.kidFor(w.key)
	kid, kidRight := w.set(p.kids[i], last && i == len(p.keys))
	p.kids[i] = kid
	if kidRight == nil {
		return p, nil
	}
	separator := w.separator
	if len(p.kids) == maxPage {
		right, w.separator = p.splitAt(splitPoint(i+1, last))
	}
	target := p
	if right != nil && i >= len(p.kids) {
		target, i = right, i-len(p.kids)
	}
	target.keys = insert(target.keys, i, separator)
	target.kids = insert(target.kids, i+1, kidRight)
	return p, right
}

func (w *write[K, V]) setLeaf(p *page[K, V], last bool) (right *page[K, V]) {
	i, found := p.find(w.key)
	if found {
		w.old, w.found = p.vals[i], true
		p.vals[i] = w.value
		return nil
	}
	if len(p.keys) < maxPage {
		p.keys, p.vals = insert(p.keys, i, w.key), insert(p.vals, i, w.value)
		return nil
	}
	if last && i == maxPage {
		w.separator = w.key
		return w.nextLeaf()
	}
	right, w.separator = p.splitAt(maxPage / 2)
	target := p
	if i > len(p.keys) {
		target, i = right, i-len(p.keys)
	}
	target.keys, target.vals = insert(target.keys, i, w.key), insert(target.vals, i, w.value)
	return right
}

// nextLeaf goes on behind a full one. It has all its room at once: keys arrive
// in rising order, and growing by steps would leave three pages and a half of
// garbage for each.
func (w *write[K, V]) nextLeaf() *page[K, V] {
	p := &page[K, V]{gen: w.gen, keys: make([]K, 1, maxPage), vals: make([]V, 1, maxPage)}
	p.keys[0], p.vals[0] = w.key, w.value
	return p
}

// splitPoint keeps the left page nearly full when keys arrive in rising order,
// as sequence names and images do.
func splitPoint(i int, last bool) int {
	if last && i == maxPage {
		return maxPage - 1
	}
	return maxPage / 2
}

// delete returns the page that stands for p afterwards: p itself, untouched,
// when the key is not there.
func (w *write[K, V]) delete(p *page[K, V]) *page[K, V] {
	if p.kids == nil {
		return w.deleteLeaf(p)
	}
	i := p.kidFor(w.key)
	kid := w.delete(p.kids[i])
	if !w.found {
		return p
	}
	p = p.writable(w.gen)
	p.kids[i] = kid
	switch {
	case kid.load() == 0:
		p.drop(i)
	case kid.load() < smallPage:
		w.merge(p, i)
	}
	return p
}

func (w *write[K, V]) deleteLeaf(p *page[K, V]) *page[K, V] {
	i, found := p.find(w.key)
	if !found {
		return p
	}
	w.found, w.old = true, p.vals[i]
	p = p.writable(w.gen)
	p.keys, p.vals = remove(p.keys, i), remove(p.vals, i)
	return p
}

// drop takes kid i, which is empty, out of p.
func (p *page[K, V]) drop(i int) {
	p.kids = remove(p.kids, i)
	if len(p.keys) > 0 {
		p.keys = remove(p.keys, max(i-1, 0))
	}
}

// merge joins kid i of p with a neighbour when both fit into one page.
func (w *write[K, V]) merge(p *page[K, V], i int) {
	load := p.kids[i].load()
	switch {
	case i > 0 && p.kids[i-1].load()+load <= mergedPage:
		w.join(p, i-1)
	case i+1 < len(p.kids) && p.kids[i+1].load()+load <= mergedPage:
		w.join(p, i)
	}
}

// join appends kid i+1 of p to kid i.
func (w *write[K, V]) join(p *page[K, V], i int) {
	left, right := p.kids[i].writable(w.gen), p.kids[i+1]
	if left.kids != nil {
		left.keys = append(left.keys, p.keys[i])
	}
	left.keys = append(left.keys, right.keys...)
	left.vals = append(left.vals, right.vals...)
	left.kids = append(left.kids, right.kids...)
	p.kids[i] = left
	p.keys, p.kids = remove(p.keys, i), remove(p.kids, i+1)
}
