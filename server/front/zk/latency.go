package zk

import (
	"sync/atomic"
	"time"
)

// sample measures one request of a connection at a time, so that a burst of
// them costs no more than one.
type sample struct {
	latency
	tag   atomic.Uint64 // of the request that is measured, 0: none
	began atomic.Int64
	last  atomic.Int64 // in microseconds
}

var clockStart = time.Now()

func nowMicros() int64 { return time.Since(clockStart).Microseconds() }

// take begins to measure a request, unless another is being measured.
func (s *sample) take(tag uint64) {
	if s.tag.Load() == 0 {
		s.began.Store(nowMicros())
		s.tag.Store(tag)
	}
}

// over tells how long the request took that is answered, if it was measured.
func (s *sample) over(tag uint64) (micros int64, ok bool) {
	if tag == 0 || s.tag.Load() != tag {
		return 0, false
	}
	micros = nowMicros() - s.began.Load()
	s.tag.Store(0)
	s.last.Store(micros)
	s.add(micros)
	return micros, true
}

// latency gathers samples, in microseconds.
type latency struct{ least, worst, total, count atomic.Int64 }

func (l *latency) add(micros int64) {
	if l.count.Add(1) == 1 || micros < l.least.Load() {
		l.least.Store(micros)
	}
	for worst := l.worst.Load(); micros > worst && !l.worst.CompareAndSwap(worst, micros); worst = l.worst.Load() {
	}
	l.total.Add(micros)
}

func (l *latency) reset() {
	l.worst.Store(0)
	l.total.Store(0)
	l.count.Store(0)
	l.least.Store(0)
}

// read returns least, average and worst in ms, as ZooKeeper tells them.
func (l *latency) read() (least int64, average float64, worst int64) {
	if n := l.count.Load(); n > 0 {
		average = float64(l.total.Load()) / float64(n) / 1000
	}
	return l.least.Load() / 1000, average, l.worst.Load() / 1000
}
