package session

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTakeReturnsEachTouchedSessionOnceByRisingID(t *testing.T) {
	var touches Touches
	require.Empty(t, touches.Take())
	for _, id := range []uint64{5, 3, 5, 1 << 40, 0, 3} {
		touches.Touch(id)
	}
	require.Equal(t, []uint64{3, 5, 1 << 40}, touches.Take())
	require.Empty(t, touches.Take())
	touches.Touch(3)
	require.Equal(t, []uint64{3}, touches.Take(), "again after a Take")
}

func TestSessionsThatShareASlotAreAllThere(t *testing.T) {
	var touches Touches
	const sessions = 10 * touchShards * touchSlots
	for range 2 {
		for id := uint64(1); id <= sessions; id++ {
			touches.Touch(id)
		}
	}
	ids := touches.Take()
	require.Len(t, ids, sessions)
	require.Equal(t, uint64(sessions), ids[sessions-1])
}

func TestSessionsThatTakeTurnsInASlotTakeNoMoreRoom(t *testing.T) {
	var touches Touches
	const one = 1
	other := uint64(one + 1)
	for hash(other)>>50 != hash(one)>>50 { // the same shard, and there the same slot
		other++
	}
	for range 10_000 {
		touches.Touch(one)
		touches.Touch(other)
	}
	require.LessOrEqual(t, cap(touches.shards[hash(one)>>58].ids), 4*leastRoom)
	require.Equal(t, []uint64{one, other}, touches.Take())
}

// TestNoTouchIsLostBetweenTakes has every toucher wait until a Take that began
// after its touch has told of it.
func TestNoTouchIsLostBetweenTakes(t *testing.T) {
	const touchers, rounds = 16, 60
	var touches Touches
	var told [touchers + 1]atomic.Int64
	var group sync.WaitGroup
	var running atomic.Int64
	running.Store(touchers)
	for id := uint64(1); id <= touchers; id++ {
		group.Go(func() {
			defer running.Add(-1)
			for range rounds {
				before := told[id].Load()
				touches.Touch(id)
				touches.Touch(id + 1000)
				for told[id].Load() == before {
					touches.Touch(id + 2000) // traffic of others in the same shards
				}
			}
		})
	}
	for running.Load() > 0 {
		for _, id := range touches.Take() {
			if id <= touchers {
				told[id].Add(1)
			}
		}
	}
	group.Wait()
}
