package session

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkWrite is what the table does for one write, over many sessions in
// turn.
func BenchmarkWrite(b *testing.B) {
	for _, sessions := range []uint64{1, 1000, 100_000} {
		b.Run(fmt.Sprint(sessions, " sessions"), func(b *testing.B) {
			benchmarkWrite(b, sessions, 0)
		})
	}
	b.Run("1000 sessions, frozen every 10000 writes", func(b *testing.B) {
		benchmarkWrite(b, 1000, 10_000)
	})
}

func benchmarkWrite(b *testing.B, sessions uint64, freezeEvery int) {
	t := NewTable()
	for id := uint64(1); id <= sessions; id++ {
		t.Open(id, hashOf(id), 10_000, 0)
	}
	body := make([]byte, 120)
	var held *Frozen
	id, seq, n := uint64(0), uint64(1), 0
	b.ReportAllocs()
	for b.Loop() {
		if id++; id > sessions {
			id, seq = 1, seq+1
		}
		if n++; freezeEvery > 0 && n%freezeEvery == 0 {
			held = t.Freeze()
		}
		t.Admit(id, 1, seq)
		t.Acknowledge(id, seq-min(seq, 3))
		if _, known := t.Known(id, seq); known != New || t.Full(id, len(body)) {
			b.Fatal("not new, or full")
		}
		t.Keep(id, Outcome{Xid: seq, Zxid: seq, Body: body})
	}
	_ = held
}

func BenchmarkOpenAndClose(b *testing.B) {
	t := NewTable()
	b.ReportAllocs()
	id := uint64(0)
	for b.Loop() {
		id++
		t.Open(id, hashOf(id), 10_000, 0)
		t.Close(id, id+1, "closed by the client")
	}
}

func BenchmarkFreezeOf100kSessions(b *testing.B) {
	t := NewTable()
	for id := uint64(1); id <= 100_000; id++ {
		t.Open(id, hashOf(id), 10_000, 0)
	}
	for b.Loop() {
		t.Freeze()
	}
}

func BenchmarkTouches(b *testing.B) {
	for _, sessions := range []uint64{100, 10_000, 1_000_000} {
		b.Run(fmt.Sprint(sessions, " sessions"), func(b *testing.B) {
			var touches Touches
			b.RunParallel(func(pb *testing.PB) {
				id := uint64(1)
				for pb.Next() {
					touches.Touch(id)
					if id++; id > sessions {
						id = 1
					}
				}
			})
		})
	}
}

// BenchmarkTrackerSecond is one second of a leader with 10,000 sessions, each
// touched three times and looked after ten times.
func BenchmarkTrackerSecond(b *testing.B) {
	t, now := NewTracker(), time.Duration(0)
	const sessions = 10_000
	for id := uint64(1); id <= sessions; id++ {
		t.Add(id, 1, 10*time.Second, now)
	}
	b.ReportAllocs()
	for b.Loop() {
		for range 10 {
			now += 100 * time.Millisecond
			if len(t.Due(now, 128)) > 0 {
				b.Fatal("expired")
			}
		}
		for range 3 {
			for id := uint64(1); id <= sessions; id++ {
				t.Touch(id, now)
			}
		}
	}
}
