package watch

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/znode"
)

func unsafeString(b []byte) string { return unsafe.String(&b[0], len(b)) }

func TestRingKnowsExactlyWhatItStillHolds(t *testing.T) {
	r := NewRing(4, 1<<20)
	lines, covered := collect(r, 0)
	require.Empty(t, lines)
	require.True(t, covered, "nothing happened yet")

	r.Append([]znode.Effect{created(3, "/a"), created(3, "/b"), changed(3, "/c")})
	r.Append([]znode.Effect{changed(5, "/d")})
	lines, covered = collect(r, 0)
	require.Equal(t, []string{"3 /a", "3 /b", "3 /c", "5 /d"}, lines)
	require.True(t, covered)
	lines, covered = collect(r, 3)
	require.Equal(t, []string{"5 /d"}, lines)
	require.True(t, covered)

	r.Append([]znode.Effect{changed(8, "/e")})
	require.Equal(t, 2, r.Len(), "zxid 3 went as a whole")
	require.Equal(t, uint64(3), r.Floor())
	_, covered = collect(r, 2)
	require.False(t, covered)
	lines, covered = collect(r, 3)
	require.Equal(t, []string{"5 /d", "8 /e"}, lines)
	require.True(t, covered)
	lines, covered = collect(r, 100)
	require.Empty(t, lines)
	require.True(t, covered)

	r.Reset(9)
	require.Zero(t, r.Len()+r.Bytes())
	_, covered = collect(r, 8)
	require.False(t, covered)
	_, covered = collect(r, 9)
	require.True(t, covered)
}

func TestATransactionBiggerThanTheRingIsDroppedWhole(t *testing.T) {
	r := NewRing(3, 1<<20)
	r.Append([]znode.Effect{created(1, "/a")})
	r.Append([]znode.Effect{created(2, "/a"), created(2, "/b"), created(2, "/c"), created(2, "/d")})
	require.Zero(t, r.Len()+r.Bytes())
	require.Equal(t, uint64(2), r.Floor())
	r.Append([]znode.Effect{created(2, "/e")})
	require.Zero(t, r.Len(), "the rest of a transaction whose start is gone")
	r.Append([]znode.Effect{created(3, "/a"), created(3, "/b")})
	r.Append([]znode.Effect{created(3, "/c")})
	require.Equal(t, 3, r.Len(), "one transaction in two calls")
	r.Append([]znode.Effect{created(3, "/d")})
	require.Zero(t, r.Len()+r.Bytes(), "the fourth of one transaction drops all of it")
	require.Equal(t, uint64(3), r.Floor())
	require.Panics(t, func() { r.Append([]znode.Effect{created(2, "/x")}) })
}

func TestRingIsBoundedByBytesACLsIncluded(t *testing.T) {
	e := created(1, "/a")
	each := effectBytes(&e)
	require.Equal(t, int(unsafe.Sizeof(slot{}))+2+2*(int(unsafe.Sizeof(znode.Entry{}))+len("world")+len("anyone")), each)
	r := NewRing(100, 3*each)
	for zxid := uint64(1); zxid <= 10; zxid++ {
		r.Append([]znode.Effect{created(zxid, "/a")})
		require.LessOrEqual(t, r.Bytes(), 3*each)
	}
	require.Equal(t, 3, r.Len())
	require.Equal(t, uint64(7), r.Floor())
	r.Append([]znode.Effect{created(11, "/"+strings.Repeat("x", 3*each))})
	require.Zero(t, r.Len()+r.Bytes())
	require.Equal(t, uint64(11), r.Floor())
}

func TestRingEqualsAListOfEverything(t *testing.T) {
	for seed := range uint64(20) {
		pick := picker(seed)
		limit, maxBytes := 1+pick(200), 1000*(1+pick(100))
		r, zxid, floor := NewRing(limit, maxBytes), uint64(0), uint64(0)
		var all []znode.Effect
		for range 150 {
			zxid += uint64(1 + pick(3))
			start := len(all)
			for range 1 + pick(6) {
				all = append(all, created(zxid, fmt.Sprintf("/n%d%s", len(all), strings.Repeat("x", pick(500)))))
			}
			r.Append(all[start:])
			for len(all) > limit || bytesOf(all) > maxBytes {
				floor = all[0].Zxid
				for len(all) > 0 && all[0].Zxid == floor {
					all = all[1:]
				}
			}
			require.Equal(t, floor, r.Floor(), "seed %d", seed)
			require.Equal(t, bytesOf(all), r.Bytes(), "seed %d", seed)
			since := uint64(pick(int(zxid) + 2))
			var want []string
			for _, e := range all {
				if e.Zxid > since {
					want = append(want, fmt.Sprintf("%d %s", e.Zxid, e.Path))
				}
			}
			got, covered := collect(r, since)
			require.Equal(t, want, got, "seed %d", seed)
			require.Equal(t, since >= floor, covered, "seed %d", seed)
		}
	}
}

func bytesOf(effects []znode.Effect) (n int) {
	for i := range effects {
		n += effectBytes(&effects[i])
	}
	return n
}
