package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"
)

// read tells a figure of the collector.
func read(name string) uint64 {
	samples := []metrics.Sample{{Name: name}}
	metrics.Read(samples)
	return samples[0].Value.Uint64()
}

func TestWhatIsLoadedIsNotCollectedAndCountsAsLive(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	defer runtime.KeepAlive(make([]byte, unusedHeapBytes))
	runtime.GC()
	const loaded = 256 << 20
	resume, before := collectLater(), read("/gc/cycles/total:gc-cycles")
	var kept [][]byte
	for range loaded >> 20 {
		kept = append(kept, make([]byte, 1<<20))
	}
	require.Equal(t, before, read("/gc/cycles/total:gc-cycles"))
	resume()
	require.Equal(t, before, read("/gc/cycles/total:gc-cycles"))
	require.InEpsilon(t, float64(read("/memory/classes/heap/objects:bytes"))*1.5, float64(read("/gc/heap/goal:bytes")), 0.1)
	runtime.KeepAlive(kept)
	for runtime.GC(); read("/gc/gogc:percent") != gcPercent; { // by a finalizer
		runtime.Gosched()
	}
}
