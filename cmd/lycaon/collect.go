package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// collectLater has nothing collected until the function that it returns is
// called, unless a GOMEMLIMIT is near. From then on it is as if what was allocated
// meanwhile had been found alive by a collection: the next one comes when gcPercent of
// it may be garbage. For a start, in which the heap grows to its size and next to
// nothing is garbage: a dozen collections would look through all that is there
// again and again, which was half of its CPU.
func collectLater() (resume func()) {
	debug.SetGCPercent(-1)
	return func() {
		debug.SetGCPercent(percentOfAll())
		mark := new([64]byte) // not so small that it shares its place with others
		runtime.SetFinalizer(mark, func(*[64]byte) { debug.SetGCPercent(gcPercent) })
	}
}

// percentOfAll is for a collector that knows only what lived at its last
// collection. That is unusedHeapBytes at least: of much less it would not be exact.
func percentOfAll() int {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"},
	}
	metrics.Read(samples)
	bytes := func(i int) float64 { return float64(samples[i].Value.Uint64()) }
	all, lived, beside := bytes(0), bytes(1), bytes(2)+bytes(3) // which counts for the goal
	if lived == 0 {
		return gcPercent
	}
	percent := 100 * (all*(1+gcPercent/100.) - lived) / (lived + beside)
	return int(min(max(percent, gcPercent), math.MaxInt32))
}
