package histogram

import (
	"math"
	"sync/atomic"
)

// Seconds are upper bounds for latencies, 20 us to 10 s.
var Seconds = []float64{
	20e-6, 50e-6, 100e-6, 200e-6, 300e-6, 400e-6, 500e-6, 700e-6, 1e-3, 1.5e-3, 2e-3, 3e-3, 5e-3, 7e-3,
	10e-3, 15e-3, 20e-3, 30e-3, 50e-3, 70e-3, 100e-3, 150e-3, 200e-3, 300e-3, 500e-3, 1, 2, 5, 10,
}

// Counts are upper bounds for sizes of groups.
var Counts = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192}

// Histogram counts observations by bucket.
type Histogram struct {
	bounds []float64
	counts []atomic.Uint64 // one more than bounds: the rest
	sum    atomic.Uint64   // bits of a float64
}

// Snapshot is a Histogram at one moment, or nearly: an observation that is
// going on may be in one of its fields and not yet in another.
type Snapshot struct {
	Count   uint64
	Sum     float64
	Buckets map[float64]uint64 // cumulative, by upper bound
}

// New returns an empty Histogram with rising upper bounds.
func New(bounds []float64) *Histogram {
	return &Histogram{bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
}

// Observe counts v.
func (h *Histogram) Observe(v float64) {
	h.counts[h.bucket(v)].Add(1)
	for {
		old := h.sum.Load()
		if h.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

func (h *Histogram) bucket(v float64) int {
	low, high := 0, len(h.bounds)
	for low < high {
		mid := (low + high) / 2
		if h.bounds[mid] < v {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// Snapshot returns the counts of now.
func (h *Histogram) Snapshot() Snapshot {
	s := Snapshot{Sum: math.Float64frombits(h.sum.Load()), Buckets: make(map[float64]uint64, len(h.bounds))}
	for i := range h.counts {
		s.Count += h.counts[i].Load()
		if i < len(h.bounds) {
			s.Buckets[h.bounds[i]] = s.Count
		}
	}
	return s
}
