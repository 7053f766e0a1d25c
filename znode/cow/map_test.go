package cow

import (
	"fmt"
	"iter"
	"maps"
	"math/rand"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// twin is the obviously correct map that Map is held against.
type twin map[uint64]int

func (t twin) keysAbove(floor uint64, inclusive bool) []uint64 {
	var keys []uint64
	for _, k := range slices.Sorted(maps.Keys(t)) {
		if k > floor || inclusive {
			keys = append(keys, k)
		}
	}
	return keys
}

// pair is a map and its twin, live or frozen together.
type pair struct {
	m Map[uint64, int]
	t twin
}

func (p *pair) requireEqual(tb testing.TB) {
	tb.Helper()
	require.Equal(tb, len(p.t), p.m.Len())
	requireShape(tb, p.m.root)
	var keys []uint64
	for k, v := range p.m.All() {
		if want := p.t[k]; v != want {
			tb.Fatalf("value of %d is %d, want %d", k, v, want)
		}
		keys = append(keys, k)
	}
	require.Equal(tb, p.t.keysAbove(0, true), keys)
}

// requireShape checks every bound of every page.
func requireShape[V any](tb testing.TB, root *page[uint64, V]) {
	tb.Helper()
	if root == nil {
		return
	}
	depths := map[int]bool{}
	var walk func(p *page[uint64, V], depth int, low, high *uint64)
	walk = func(p *page[uint64, V], depth int, low, high *uint64) {
		require.NotZero(tb, p.load(), "an empty page")
		require.LessOrEqual(tb, p.load(), maxPage)
		require.True(tb, slices.IsSorted(p.keys))
		for _, k := range p.keys {
			if low != nil && k < *low || high != nil && k >= *high {
				tb.Fatalf("key %d out of the bounds of its page", k)
			}
		}
		if p.kids == nil {
			depths[depth] = true
			require.Len(tb, p.vals, len(p.keys))
			return
		}
		require.Len(tb, p.kids, len(p.keys)+1)
		for i, kid := range p.kids {
			l, h := low, high
			if i > 0 {
				l = &p.keys[i-1]
			}
			if i < len(p.keys) {
				h = &p.keys[i]
			}
			walk(kid, depth+1, l, h)
		}
	}
	walk(root, 0, nil, nil)
	require.Len(tb, depths, 1, "leaves at different depths")
}

func TestMapEqualsItsTwinWhateverTheMixOfWritesAndFreezes(t *testing.T) {
	for _, c := range []struct {
		name           string
		keys           uint64 // size of the key space
		ops            int
		deletesPercent int // in the first half, the complement in the second
		freezeEvery    int
	}{
		{"few keys", 20, 3000, 40, 7},
		{"one page", 100, 3000, 40, 50},
		{"growing", 1 << 40, 8000, 10, 500},
		{"coming and going", 4000, 30000, 10, 300},
		{"frozen at every write", 2000, 2000, 30, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			seed := rand.Int63()
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewSource(seed))
			live, generation := pair{t: twin{}}, uint64(0)
			var frozen []pair
			for i := range c.ops {
				key := r.Uint64() % c.keys
				percent := c.deletesPercent
				if i > c.ops/2 {
					percent = 100 - percent
				}
				if r.Intn(100) < percent {
					live.delete(t, generation, key)
				} else {
					live.set(t, generation, key, i)
				}
				if i%c.freezeEvery == 0 && len(frozen) < 200 {
					frozen = append(frozen, pair{live.m, maps.Clone(live.t)})
					generation++
				}
			}
			live.requireEqual(t)
			for _, f := range frozen {
				f.requireEqual(t)
			}
		})
	}
}

func (p *pair) set(tb testing.TB, generation, key uint64, value int) {
	old, replaced := p.m.Set(generation, key, value)
	if want, had := p.t[key]; had != replaced || want != old {
		tb.Fatalf("set %d replaced %d %v, want %d %v", key, old, replaced, want, had)
	}
	p.t[key] = value
	if got, ok := p.m.Get(key); !ok || got != value {
		tb.Fatalf("get %d after a set: %d %v, want %d", key, got, ok, value)
	}
}

func (p *pair) delete(tb testing.TB, generation, key uint64) {
	old, deleted := p.m.Delete(generation, key)
	if want, had := p.t[key]; had != deleted || want != old {
		tb.Fatalf("delete %d removed %d %v, want %d %v", key, old, deleted, want, had)
	}
	delete(p.t, key)
	if _, ok := p.m.Get(key); ok {
		tb.Fatalf("get %d finds it after a delete", key)
	}
}

func TestMapStaysInShapeWhenFilledAndEmptiedInOrder(t *testing.T) {
	const n = 20000
	for name, order := range map[string]func(i uint64) uint64{
		"rising":  func(i uint64) uint64 { return i },
		"falling": func(i uint64) uint64 { return n - 1 - i },
		"strewn":  func(i uint64) uint64 { return i * 7919 % n },
	} {
		t.Run(name, func(t *testing.T) {
			p := pair{t: twin{}}
			for i := range uint64(n) {
				p.m.Set(0, order(i), int(i))
				p.t[order(i)] = int(i)
			}
			p.requireEqual(t)
			for i := range uint64(n) {
				_, ok := p.m.Delete(0, order(i))
				require.True(t, ok)
				delete(p.t, order(i))
				if i%997 == 0 {
					p.requireEqual(t)
				}
			}
			require.Zero(t, p.m.Len())
			require.Nil(t, p.m.root)
		})
	}
}

func TestRisingKeysLeaveFullPages(t *testing.T) {
	var m Map[string, int]
	const n = 64 * 1000
	for i := range n {
		m.Set(0, fmt.Sprintf("node-%010d", i), i)
	}
	require.Len(t, leaves(m.root), n/maxPage)
}

func leaves[V any](p *page[string, V]) []*page[string, V] {
	if p.kids == nil {
		return []*page[string, V]{p}
	}
	var all []*page[string, V]
	for _, kid := range p.kids {
		all = append(all, leaves(kid)...)
	}
	return all
}

func TestFromAndAfterStartAtTheirCursorAndStopWhenTold(t *testing.T) {
	p := pair{t: twin{}}
	for k := uint64(10); k < 10000; k += 10 {
		p.m.Set(0, k, int(k))
		p.t[k] = int(k)
	}
	for _, cursor := range []uint64{0, 9, 10, 11, 5000, 5005, 9989, 9990, 20000} {
		require.Equal(t, p.t.keysAbove(cursor, false), keysOf(p.m.After(cursor), -1), "after %d", cursor)
		require.LessOrEqual(t, len(keysOf(p.m.After(cursor), 3)), 3)
		above := p.t.keysAbove(cursor, false)
		for _, limit := range []int{0, 1, 3, 63, 64, 65, 499, 500, 998, 999, 1000, 5000} {
			keys, more := p.m.AppendKeys([]uint64{7}, cursor, limit)
			n := min(limit, len(above))
			require.Equal(t, append([]uint64{7}, above[:n]...), keys, "after %d, limit %d", cursor, limit)
			require.Equal(t, n < len(above), more, "after %d, limit %d", cursor, limit)
		}
		from := p.t.keysAbove(cursor, false)
		if _, ok := p.t[cursor]; ok {
			from = append([]uint64{cursor}, from...)
		}
		require.Equal(t, from, keysOf(p.m.From(cursor), -1), "from %d", cursor)
	}
	require.Len(t, keysOf(p.m.All(), 70), 70)
	var none Map[uint64, int]
	require.Empty(t, keysOf(none.All(), -1))
	require.Empty(t, keysOf(none.After(1), -1))
}

func keysOf(seq iter.Seq2[uint64, int], limit int) (keys []uint64) {
	for k := range seq {
		keys = append(keys, k)
		if len(keys) == limit {
			break
		}
	}
	return keys
}

func TestDeleteOfAMissingKeyCopiesNothing(t *testing.T) {
	var m Map[uint64, int]
	for k := range uint64(1000) {
		m.Set(0, 2*k, 1)
	}
	before := m
	_, ok := m.Delete(1, 501)
	require.False(t, ok)
	require.Same(t, before.root, m.root)
	require.Zero(t, testing.AllocsPerRun(100, func() { m.Delete(2, 501) }))
}

func TestWriteWithinAGenerationCopiesNothing(t *testing.T) {
	var m Map[uint64, int]
	for k := range uint64(1000) {
		m.Set(0, k, 1)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { m.Set(0, 500, 2) }))
}

func TestFrozenHandleIsReadBesideAWriter(t *testing.T) {
	var m Map[uint64, int]
	for k := range uint64(5000) {
		m.Set(0, k, 0)
	}
	done := make(chan bool)
	for generation := uint64(1); generation <= 20; generation++ {
		handle := m
		go func() {
			same := true
			first := -1
			for _, v := range handle.All() {
				if first < 0 {
					first = v
				}
				same = same && v == first
			}
			done <- same && handle.Len() == 5000
		}()
		for k := range uint64(5000) {
			m.Set(generation, k, int(generation))
		}
	}
	for range 20 {
		require.True(t, <-done)
	}
}

func FuzzMapAgainstTwin(f *testing.F) {
	f.Add([]byte{0, 1, 2, 0xff, 4, 5, 0x81, 7})
	f.Add(slices.Repeat([]byte{3, 200, 17, 0xff, 0x83}, 200))
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 4096 {
			script = script[:4096]
		}
		live, generation := pair{t: twin{}}, uint64(0)
		var frozen []pair
		for i := 0; i+1 < len(script); i += 2 {
			op, key := script[i], uint64(script[i+1])|uint64(script[i]&0x3f)<<8
			switch {
			case op == 0xff:
				if len(frozen) < 16 {
					frozen = append(frozen, pair{live.m, maps.Clone(live.t)})
				}
				generation++
			case op >= 0x80:
				live.delete(t, generation, key&^0x80)
			case op >= 0x40: // a run, so that pages split
				for k := key; k < key+100; k++ {
					live.set(t, generation, k, i)
				}
			default:
				live.set(t, generation, key, i)
			}
		}
		live.requireEqual(t)
		for _, p := range frozen {
			p.requireEqual(t)
		}
	})
}

func TestPagesThatSplitKeepNoRoomBehindKeysInAlmostRisingOrder(t *testing.T) {
	var m Map[int, int]
	const n = 10_000
	for i := range n {
		m.Set(0, i^7, i) // each eight the other way round
	}
	room := 0
	var count func(p *page[int, int])
	count = func(p *page[int, int]) {
		room += cap(p.vals)
		for _, kid := range p.kids {
			count(kid)
		}
	}
	count(m.root)
	require.Less(t, room, n+n/8)
}

func TestALeafBehindAFullOneGetsItsRoomAtOnce(t *testing.T) {
	const pages = 16
	allocs := testing.AllocsPerRun(1, func() {
		var m Map[int, int]
		for i := range pages * maxPage {
			m.Set(0, i, i)
		}
	})
	require.Less(t, allocs, 6.*pages, "a page, its keys, its values, and what leads there")
}
