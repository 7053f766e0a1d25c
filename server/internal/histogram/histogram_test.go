package histogram

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestObservationsFallIntoTheirBuckets(t *testing.T) {
	h := New([]float64{1, 10, 100})
	for _, v := range []float64{0, 1, 1.5, 10, 99, 1000} {
		h.Observe(v)
	}
	require.Equal(t, Snapshot{
		Count: 6, Sum: 1111.5, Buckets: map[float64]uint64{1: 2, 10: 4, 100: 5},
	}, h.Snapshot())
}

func TestNoObservationIsLostUnderContention(t *testing.T) {
	h := New(Counts)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				h.Observe(3)
			}
		})
	}
	wg.Wait()
	s := h.Snapshot()
	require.Equal(t, uint64(4000), s.Count)
	require.Equal(t, 12000.0, s.Sum)
}
