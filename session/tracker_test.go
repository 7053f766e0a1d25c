package session

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

func TestASessionIsDueWhenNotHeardOfForItsTimeout(t *testing.T) {
	tr := NewTracker()
	tr.Add(1, 1, 100*ms, 0)
	tr.Add(2, 4, 50*ms, 0)
	require.Empty(t, tr.Due(49*ms, 9))
	require.Equal(t, []Due{{2, 4}}, tr.Due(50*ms, 9))
	tr.Touch(1, 99*ms)
	tr.Touch(1, 70*ms) // came late
	tr.Touch(9, 99*ms)
	tr.Remove(2)
	tr.Remove(2)
	require.Empty(t, tr.Due(198*ms, 9))
	require.Equal(t, []Due{{1, 1}}, tr.Due(199*ms, 9))
	require.Equal(t, 1, tr.Len())
}

func TestACloseThatGotLostIsDueAgain(t *testing.T) {
	tr := NewTracker()
	tr.Add(1, 1, 100*ms, 0)
	require.Equal(t, []Due{{1, 1}}, tr.Due(100*ms, 9))
	require.Empty(t, tr.Due(199*ms, 9), "not on every look")
	require.Equal(t, []Due{{1, 1}}, tr.Due(200*ms, 9))
	tr.Add(1, 2, 100*ms, 250*ms)
	require.Empty(t, tr.Due(349*ms, 9), "attached again meanwhile")
	require.Equal(t, []Due{{1, 2}}, tr.Due(350*ms, 9))
}

func TestAnAttachMayShortenTheTimeout(t *testing.T) {
	tr := NewTracker()
	for id := uint64(1); id <= 20; id++ {
		tr.Add(id, 1, time.Hour, 0)
	}
	tr.Add(17, 2, 10*ms, 0)
	require.Equal(t, []Due{{17, 2}}, tr.Due(10*ms, 9))
}

func TestANewLeaderGivesTheFullTimeoutAndTheOutage(t *testing.T) {
	tr := NewTracker()
	tr.Add(9, 9, ms, 0)
	tr.Stalled(time.Hour)
	sessions := slices.Values([]Lease{{1, 1, 100 * ms}, {2, 1, 200 * ms}})
	tr.Reset(1000*ms, sessions, 30*ms)
	require.Equal(t, 2, tr.Len())
	require.Empty(t, tr.Due(1129*ms, 9))
	require.Equal(t, []Due{{1, 1}}, tr.Due(1130*ms, 9))
	tr.Remove(1)
	tr.Touch(2, 1010*ms)
	require.Empty(t, tr.Due(1229*ms, 9), "a touch takes no grace away")
	require.Equal(t, []Due{{2, 1}}, tr.Due(1230*ms, 9))
}

func TestTheLeadersOwnPauseCountsAgainstNobody(t *testing.T) {
	tr := NewTracker()
	tr.Add(1, 1, 100*ms, 0)
	tr.Add(2, 1, 100*ms, 0)
	tr.Stalled(-time.Hour)
	tr.Stalled(500 * ms)
	tr.Touch(2, 520*ms)
	require.Empty(t, tr.Due(599*ms, 9))
	require.Equal(t, []Due{{1, 1}}, tr.Due(600*ms, 9))
	require.Empty(t, tr.Due(619*ms, 9))
	require.Equal(t, []Due{{2, 1}}, tr.Due(620*ms, 9))
}

func TestMassExpiryIsSpreadOldestFirst(t *testing.T) {
	tr := NewTracker()
	for id := uint64(1); id <= 10; id++ {
		tr.Add(id, 1, time.Duration(100-id/2)*ms, 0)
	}
	tr.Touch(10, 2*ms)
	require.Empty(t, tr.Due(time.Second, 0))
	var order []uint64
	for range 4 {
		for _, d := range tr.Due(150*ms, 3) {
			order = append(order, d.ID)
		}
	}
	require.Equal(t, []uint64{8, 9, 6, 7, 10, 4, 5, 2, 3, 1}, order, "10 by its touch, equal ones by id")
}

func TestATimeoutOfNothingIsNotDueForEver(t *testing.T) {
	tr := NewTracker()
	tr.Add(1, 1, 0, 0)
	require.Len(t, tr.Due(ms, 100), 1)
}

// dumbTracker sorts all sessions at each look.
type dumbTracker map[uint64]*lease

func (d dumbTracker) due(now time.Duration, limit int) (due []Due) {
	leases := slices.SortedFunc(maps.Values(d), func(a, b *lease) int {
		return cmp.Or(cmp.Compare(a.deadline(), b.deadline()), cmp.Compare(a.ID, b.ID))
	})
	for _, l := range leases {
		if l.deadline() <= now && len(due) < limit {
			due = append(due, Due{l.ID, l.Generation})
			l.heard = now
		}
	}
	return due
}

// trackersAlike runs one step on both.
func trackersAlike(tb testing.TB, tr *Tracker, dumb dumbTracker, now *time.Duration, pick func(int) int) (due int) {
	*now += time.Duration(pick(10)) * ms
	id := uint64(1 + pick(30))
	switch pick(12) {
	case 0, 1, 2:
		generation, timeout := uint64(pick(5)), time.Duration(1+pick(100))*ms
		tr.Add(id, generation, timeout, *now)
		l := dumb[id]
		if l == nil {
			l = &lease{heard: *now}
			dumb[id] = l
		}
		l.Lease, l.heard = Lease{id, generation, timeout}, max(l.heard, *now)
	case 3:
		tr.Remove(id)
		delete(dumb, id)
	case 4:
		gap := time.Duration(pick(20)) * ms
		*now += gap
		tr.Stalled(gap)
		for _, l := range dumb {
			l.heard += gap
		}
	case 5:
		if pick(20) > 0 {
			break
		}
		grace := time.Duration(pick(50)) * ms
		ids := slices.Sorted(maps.Keys(dumb))
		tr.Reset(*now, func(yield func(Lease) bool) {
			for _, id := range ids {
				if !yield(dumb[id].Lease) {
					return
				}
			}
		}, grace)
		for _, l := range dumb {
			l.heard = *now + grace
		}
	case 6, 7:
		limit := 1 + pick(4)
		got := tr.Due(*now, limit)
		require.Equal(tb, dumb.due(*now, limit), got)
		due = len(got)
	default:
		late := time.Duration(pick(3)) * ms
		tr.Touch(id, *now-late)
		if l := dumb[id]; l != nil {
			l.heard = max(l.heard, *now-late)
		}
	}
	require.Equal(tb, len(dumb), tr.Len())
	for i, l := range tr.heap {
		if l.at != i || i > 0 && tr.less(i, (i-1)/2) || l.key > l.deadline() {
			tb.Fatalf("heap out of order at %d: %+v", i, l)
		}
	}
	return due
}

func TestTrackerEqualsASortedList(t *testing.T) {
	due := 0
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			tr, dumb, now, pick := NewTracker(), dumbTracker{}, time.Duration(0), picker(seed)
			for range 1000 {
				due += trackersAlike(t, tr, dumb, &now, pick)
			}
		})
	}
	require.Greater(t, due, 1000)
}

func FuzzTrackerAgainstSortedList(f *testing.F) {
	f.Add([]byte("\x01\x02\x00\x03\x40\x05\x02\x06\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4000 {
			return
		}
		tr, dumb, now := NewTracker(), dumbTracker{}, time.Duration(0)
		pick, more := picks(data)
		for more() {
			trackersAlike(t, tr, dumb, &now, pick)
		}
	})
}
