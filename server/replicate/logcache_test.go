package replicate

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// watched is a store that counts what is read of it and looks, while it works, whether the cache above is locked.
type watched struct {
	monotonic
	reads  atomic.Int64
	fails  bool
	during func()
}

func (w *watched) GetLog(index uint64, l *raft.Log) error {
	w.during()
	w.reads.Add(1)
	return w.monotonic.GetLog(index, l)
}

func (w *watched) StoreLogs(logs []*raft.Log) error {
	w.during()
	if w.fails {
		return errDisk
	}
	return w.monotonic.StoreLogs(logs)
}

func (w *watched) DeleteRange(first, last uint64) error {
	w.during()
	return w.monotonic.DeleteRange(first, last)
}

func newWatched() (*logCache, *watched) {
	w := &watched{monotonic: newDisk().logs, during: func() {}}
	return &logCache{gate: newGate(w)}, w
}

// entries are those from first to last, all alike.
func entries(first, last, term uint64, data []byte) (all []*raft.Log) {
	for i := first; i <= last; i++ {
		all = append(all, &raft.Log{Index: i, Term: term, Data: data})
	}
	return all
}

// inMemory tells whether the cache gives an entry without a look at the store.
func (w *watched) inMemory(t *testing.T, c *logCache, index uint64) bool {
	t.Helper()
	before := w.reads.Load()
	var got raft.Log
	require.NoError(t, c.GetLog(index, &got))
	require.Equal(t, index, got.Index)
	return w.reads.Load() == before
}

func TestTheNewestEntriesAreReadFromMemory(t *testing.T) {
	t.Parallel()
	const batch = maxBatchBytes
	for _, c := range []struct {
		name         string
		size         int
		first, last  uint64
		oldestInside uint64
	}{
		{"a single one", batch, 1, 1, 1},
		{"full batches, as many as the bytes allow", batch, 1, 40, 40 - logCacheBytes/batch + 1},
		{"small ones, as many as there are places", 10, 1, 200, 200 - logCacheEntries + 1},
		{"a log that begins late", 10, 1001, 1010, 1001},
		{"empty ones", 0, 1, 3, 1},
		{"the newest, however large it is", logCacheBytes + 1, 1, 3, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cache, store := newWatched()
			data := make([]byte, c.size)
			for i := c.first; i <= c.last; i++ {
				require.NoError(t, cache.StoreLogs(entries(i, i, 1, data)))
				require.True(t, store.inMemory(t, cache, i))
			}
			for i := c.first; i <= c.last; i++ {
				require.Equal(t, i >= c.oldestInside, store.inMemory(t, cache, i), "entry %d", i)
			}
		})
	}
}

func TestNothingIsKeptWhileNobodyAsks(t *testing.T) {
	t.Parallel()
	cache, store := newWatched()
	data := make([]byte, 1<<10)
	kept := func() (n int) {
		for i := range cache.ring {
			if cache.ring[i].Index != 0 {
				n++
			}
		}
		return n
	}
	require.NoError(t, cache.StoreLogs(entries(1, logCacheEntries, 1, data)))
	require.Equal(t, logCacheEntries, kept())
	require.NoError(t, cache.StoreLogs(entries(logCacheEntries+1, logCacheEntries+2, 1, data)))
	require.Zero(t, kept())
	require.Zero(t, cache.bytes)

	// A follower is new: what it lacks is read for it, and what comes from now on is in memory.
	require.False(t, store.inMemory(t, cache, logCacheEntries+2))
	require.NoError(t, cache.StoreLogs(entries(logCacheEntries+3, logCacheEntries+4, 1, data)))
	require.True(t, store.inMemory(t, cache, logCacheEntries+3))
	require.True(t, store.inMemory(t, cache, logCacheEntries+4))
}

func TestWhatTheStoreDidNotTakeIsNotInTheCache(t *testing.T) {
	t.Parallel()
	cache, store := newWatched()
	require.NoError(t, cache.StoreLog(&raft.Log{Index: 1, Term: 1}))
	store.fails = true
	require.ErrorIs(t, cache.StoreLog(&raft.Log{Index: 2, Term: 1}), errDisk)
	var got raft.Log
	require.ErrorIs(t, cache.GetLog(2, &got), raft.ErrLogNotFound)
	require.ErrorIs(t, cache.GetLog(0, &got), raft.ErrLogNotFound, "no entry has index 0, and free places look like one")
}

// A read that waits for the disk must not hold up those that need none.
func TestTheCacheIsNotLockedWhileTheStoreIsAtWork(t *testing.T) {
	t.Parallel()
	cache, store := newWatched()
	looks := 0
	store.during = func() {
		looks++
		require.True(t, cache.mu.TryLock())
		cache.mu.Unlock()
	}
	var got raft.Log
	require.NoError(t, cache.StoreLogs(entries(1, 3, 1, nil)))
	require.ErrorIs(t, cache.GetLog(4, &got), raft.ErrLogNotFound)
	require.NoError(t, cache.DeleteRange(2, 3))
	require.Equal(t, 3, looks)
}

// The store alone is the model: whoever asks must not see that there is a cache.
func TestTheCacheSaysWhatTheStoreSays(t *testing.T) {
	t.Parallel()
	data := make([]byte, logCacheBytes+1)
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		cache, store := newWatched()
		first, last := uint64(1), uint64(0) // the log is empty if last is below first
		for step := range 400 {
			switch rng.IntN(8) {
			case 0: // a conflict
				if first <= last {
					from := first + rng.Uint64N(last-first+1)
					require.NoError(t, cache.DeleteRange(from, last))
					last = from - 1
				}
			case 1: // a cut behind a snapshot
				if first < last {
					to := first + rng.Uint64N(last-first)
					require.NoError(t, cache.DeleteRange(first, to))
					first = to + 1
				}
			case 2: // a snapshot of another server's
				if rng.IntN(8) == 0 && first <= last {
					require.NoError(t, cache.DeleteRange(first, last))
					last += rng.Uint64N(300)
					first = last + 1
				}
			default:
				var batch []*raft.Log
				for range 1 + rng.IntN(8) {
					last++
					batch = append(batch, &raft.Log{Index: last, Term: uint64(step), Data: data[:size(rng)]})
				}
				require.NoError(t, cache.StoreLogs(batch))
			}
			requireBounded(t, cache)
			for range rng.IntN(4) {
				requireSame(t, cache, store, last+2-min(last+2, rng.Uint64N(2*logCacheEntries)))
			}
		}
		for i := range last + 2 {
			requireSame(t, cache, store, i)
		}
	}
}

// size is often that of a full batch and seldom more than all of the cache.
func size(rng *rand.Rand) int {
	switch rng.IntN(30) {
	case 0:
		return logCacheBytes + rng.IntN(2)
	case 1, 2, 3, 4:
		return maxBatchBytes
	}
	return rng.IntN(1000)
}

func requireSame(t *testing.T, cache *logCache, store *watched, index uint64) {
	t.Helper()
	var got, want raft.Log
	err := store.monotonic.GetLog(index, &want)
	require.ErrorIs(t, cache.GetLog(index, &got), err)
	require.Equal(t, [...]uint64{want.Index, want.Term, uint64(len(want.Data))}, [...]uint64{got.Index, got.Term, uint64(len(got.Data))})
}

func requireBounded(t *testing.T, c *logCache) {
	t.Helper()
	bytes, kept := 0, 0
	for i := range c.ring {
		if entry := &c.ring[i]; entry.Index != 0 {
			require.EqualValues(t, i, entry.Index%logCacheEntries)
			kept++
			bytes += len(entry.Data)
		}
	}
	require.Equal(t, bytes, c.bytes)
	require.True(t, bytes <= logCacheBytes || kept == 1, "%d entries of %d bytes", kept, bytes)
}

// raft reads for each follower on a goroutine of its own, and cuts the log on another.
func TestReadersRunBesideWhatIsStoredAndCut(t *testing.T) {
	t.Parallel()
	const all = 3000
	cache, _ := newWatched()
	var stored, cut atomic.Uint64
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for stored.Load() < all {
				last := stored.Load()
				for i := last - min(last, 2*logCacheEntries); i <= last; i++ {
					var got raft.Log
					err := cache.GetLog(i, &got)
					if err != nil && i > cut.Load() {
						t.Errorf("entry %d: %v", i, err)
					}
					if err == nil && (got.Index != i || got.Term != i/100) {
						t.Errorf("entry %d of term %d in place of %d", got.Index, got.Term, i)
					}
				}
			}
		})
	}
	data := make([]byte, maxBatchBytes)
	for i := uint64(1); i <= all; i++ {
		if err := cache.StoreLogs(entries(i, i, i/100, data[:i%2*maxBatchBytes])); err != nil {
			t.Error(err)
		}
		stored.Store(i)
		if i%10 == 0 && i > logCacheEntries {
			cut.Store(i - logCacheEntries/2)
			if err := cache.DeleteRange(1, i-logCacheEntries/2); err != nil {
				t.Error(err)
			}
		}
	}
	readers.Wait()
}
