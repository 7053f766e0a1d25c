package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// slowHeapBytes are looked through by a collection in some 50 ms of a core. One of less is over before it is
	// in anyone's way, and is left to Go.
	slowHeapBytes = 64 << 20
	// slowHeapPercent is what may gather beside what lives in a heap that is slow to collect, and beginPercent how
	// much of that until a collection is begun: 0.47 times what lives, as late as Go would with gcPercent. What is left
	// until the goal is for what comes during the collection. From goPercent on Go may have begun one by itself
	// (minTriggerRatioNum of its mgcpacer.go): another would follow that at once.
	slowHeapPercent = 70
	beginPercent    = 67
	goPercent       = 70

	minLook, maxLook = 20 * time.Millisecond, time.Second
)

// collections begins those of a large heap in good time. Go begins one as late as at 95 % of what may be allocated
// until its goal, if idle processors have helped the last ones to be quick. Then the little that is left has whoever
// allocates help until the collection has got ahead: the goroutine that applies the log stood still for 20 to 130 ms
// each time, with a million nodes, and with it all writes.
type collections struct {
	now     func() headroom
	percent func(int)
	begin   func() // a collection, and waits for its end

	last headroom
	at   time.Time
}

// headroom is what the collector goes by, in bytes.
type headroom struct {
	scanned   uint64 // by a collection
	live      uint64 // after the last one
	goal      uint64 // for the end of the next one
	objects   uint64 // now
	allocated uint64 // since the start
	percent   uint64 // of garbage beside what lives
}

func newCollections() *collections {
	return &collections{now: readHeadroom, percent: func(p int) { debug.SetGCPercent(p) }, begin: runtime.GC}
}

func readHeadroom() headroom {
	s := []metrics.Sample{
		{Name: "/gc/scan/heap:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/goal:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/gogc:percent"},
	}
	metrics.Read(s)
	return headroom{s[0].Value.Uint64(), s[1].Value.Uint64(), s[2].Value.Uint64(), s[3].Value.Uint64(), s[4].Value.Uint64(), s[5].Value.Uint64()}
}

// attend does it until ctx ends.
func (c *collections) attend(ctx context.Context) {
	for next := time.NewTimer(untilLook(time.Now(), maxLook)); ; {
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case now := <-next.C:
			wait := c.look(now)
			if wait == maxLook { // nothing is due: then at a moment at which a server wakes up anyway
				wait = untilLook(now, maxLook)
			}
			next.Reset(wait)
		}
	}
}

// look begins a collection if it is time, and tells how long it will not be. Another percentage than our two is that
// of a start (collectLater), which is not interfered with; nor is a goal that a GOMEMLIMIT has lowered.
func (c *collections) look(now time.Time) time.Duration {
	h := c.now()
	last, since := c.last, now.Sub(c.at)
	c.last, c.at = h, now
	switch slow := h.scanned >= slowHeapBytes; {
	case h.percent == gcPercent && slow:
		c.percent(slowHeapPercent)
		return maxLook
	case h.percent == slowHeapPercent && !slow:
		c.percent(gcPercent)
		return maxLook
	case h.percent != slowHeapPercent || h.goal < h.live+h.live/2:
		return maxLook
	}
	percent := (h.goal - h.live) / 100
	begin := h.live + beginPercent*percent
	switch {
	case h.objects >= h.live+goPercent*percent:
		return maxLook
	case h.objects >= begin:
		c.begin()
		return minLook
	}
	grown := h.allocated - last.allocated
	if last.allocated == 0 || grown == 0 {
		return maxLook
	}
	half := float64(begin-h.objects) / 2 / float64(grown) // of the time until then, in times since
	return time.Duration(min(max(half*float64(since), float64(minLook)), float64(maxLook)))
}
