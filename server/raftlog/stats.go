package raftlog

import (
	"sync/atomic"
	"time"
)

// LatencyBounds are the upper bounds of the histogram in Stats; a last bucket takes what is slower.
var LatencyBounds = [...]time.Duration{
	100 * time.Microsecond, 200 * time.Microsecond, 400 * time.Microsecond, 800 * time.Microsecond,
	1600 * time.Microsecond, 3200 * time.Microsecond, 6400 * time.Microsecond, 12800 * time.Microsecond,
	25600 * time.Microsecond, 51200 * time.Microsecond, 102400 * time.Microsecond, 204800 * time.Microsecond,
	409600 * time.Microsecond, 819200 * time.Microsecond, 1638400 * time.Microsecond,
}

// Stats is a snapshot of a store's figures.
type Stats struct {
	FirstIndex, LastIndex uint64
	CompactedTo           uint64
	LogBytes              uint64 // encoded bytes from first to last
	Entries               uint64 // appended since open
	Syncs                 uint64 // durable transactions since open, the purge's too
	Generations           int
	Unsettled             int    // sealed generations that are in memory
	SettleWaits           uint64 // writes that waited for a generation to settle, since open
	GuardWrites           uint64
	GuardSyncs            uint64
	// Latency counts transactions by duration, see LatencyBounds.
	Latency    [len(LatencyBounds) + 1]uint64
	LatencySum time.Duration
	// WriteInFlightSince is zero while no write waits for the disk.
	WriteInFlightSince time.Time
	Failed             error
}

// clockBase carries a monotonic reading, so that a jump of the wall clock makes no write look stuck.
var clockBase = time.Now()

type storeStats struct {
	entries, syncs          atomic.Uint64
	settleWaits             atomic.Uint64
	guardWrites, guardSyncs atomic.Uint64
	guardDirty              atomic.Bool
	inFlight                atomic.Int64 // nanoseconds since clockBase, 0 for none
	latency                 histogram
}

type histogram struct {
	buckets [len(LatencyBounds) + 1]atomic.Uint64
	sum     atomic.Int64
}

func (h *histogram) add(d time.Duration) {
	i := 0
	for i < len(LatencyBounds) && d > LatencyBounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(int64(d))
}

// Stats never waits for a write.
func (s *Store) Stats() Stats {
	v := s.view.Load()
	out := Stats{
		FirstIndex:  v.first,
		LastIndex:   v.last,
		CompactedTo: v.compacted,
		LogBytes:    v.endPos - v.startPos,
		Entries:     s.stats.entries.Load(),
		Syncs:       s.stats.syncs.Load(),
		Generations: len(s.generations()),
		Unsettled:   len(s.unsettled()),
		SettleWaits: s.stats.settleWaits.Load(),
		GuardWrites: s.stats.guardWrites.Load(),
		GuardSyncs:  s.stats.guardSyncs.Load(),
		LatencySum:  time.Duration(s.stats.latency.sum.Load()),
		Failed:      s.Err(),
	}
	for i := range out.Latency {
		out.Latency[i] = s.stats.latency.buckets[i].Load()
	}
	out.WriteInFlightSince = s.WriteInFlightSince()
	return out
}

// WriteInFlightSince is for the gate that holds back heartbeats when the disk hangs; zero if no write is under way.
func (s *Store) WriteInFlightSince() time.Time {
	if at := s.stats.inFlight.Load(); at != 0 {
		return clockBase.Add(time.Duration(at))
	}
	return time.Time{}
}
