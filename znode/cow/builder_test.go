package cow

import (
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
)

func build(n, expected int) pair {
	p := pair{t: twin{}}
	b := NewBuilder[uint64, int](3, expected)
	for i := range n {
		b.Add(uint64(2*i), i)
		p.t[uint64(2*i)] = i
	}
	p.m = b.Map()
	return p
}

func TestABuiltMapIsFullAndLikeAnyOther(t *testing.T) {
	for _, n := range []int{0, 1, 2, maxPage, maxPage + 1, maxPage * maxPage, maxPage*maxPage + 1, 3 * maxPage * maxPage} {
		for _, expected := range []int{n, 0, -1, n / 2, 10 * n} {
			t.Run(fmt.Sprintf("%d of %d", n, expected), func(t *testing.T) {
				p := build(n, expected)
				p.requireEqual(t)
				frozen := pair{m: p.m, t: maps.Clone(p.t)}
				for key := range uint64(2 * n) { // above, below and between
					p.set(t, 4, 2*uint64(n)-key, int(key))
				}
				p.requireEqual(t)
				for key := range uint64(2*n + 1) {
					p.delete(t, 4, key)
				}
				p.requireEqual(t)
				require.Nil(t, p.m.root)
				frozen.requireEqual(t)
			})
		}
	}
}

func TestABuilderTakesRisingKeysAlone(t *testing.T) {
	for _, n := range []int{1, maxPage, maxPage + 1} {
		p := build(n, n)
		b := NewBuilder[uint64, int](3, n)
		for key, value := range p.m.All() {
			require.True(t, b.Add(key, value))
			require.False(t, b.Add(key, value))
			require.False(t, b.Add(0, value))
		}
		p.m = b.Map()
		p.requireEqual(t)
	}
}

func TestBuiltLeavesTakeTheRoomThatTheyNeed(t *testing.T) {
	b := NewBuilder[string, int](0, maxPage+5)
	for i := range maxPage + 5 {
		b.Add(fmt.Sprintf("%03d", i), i)
	}
	all := leaves(b.Map().root)
	require.Len(t, all, 2)
	require.Equal(t, maxPage, cap(all[0].keys))
	require.Equal(t, 5, cap(all[1].keys))
	require.Equal(t, 5, cap(all[1].vals))
}
