package raftlog

import (
	"runtime"
	"runtime/metrics"
)

// heap is what the garbage collector goes by, in bytes.
type heap struct {
	scanned uint64 // by a collection
	live    uint64 // after the last one
	goal    uint64 // for the end of the next one
	objects uint64 // now
}

func readHeap() heap {
	samples := []metrics.Sample{
		{Name: "/gc/scan/heap:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/goal:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
	}
	metrics.Read(samples)
	return heap{samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64(), samples[3].Value.Uint64()}
}

// hurries tells whether size bytes more at once would have the collector hurry. It begins a collection when 7 to 9
// tenths of what may be allocated until the goal are, and paces itself to be done at the goal: tens of MiB in one piece
// take the heap there at once, and then whoever allocates, so every write, has to help until it is done.
func (h heap) hurries(size int64) bool {
	if h.scanned < slowScanBytes || h.goal <= h.live {
		return false
	}
	return h.objects+uint64(size) > h.live+(h.goal-h.live)/10*8
}

// collectBefore has the collector do at its leisure what it would have to do in a hurry once size bytes are allocated at
// once. It takes as long as a collection, but nobody else waits.
func collectBefore(size int64) {
	if readHeap().hurries(size) {
		runtime.GC()
	}
}
