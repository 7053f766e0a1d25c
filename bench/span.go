package main

import (
	"slices"
	"sync"
	"time"
)

// span is a stretch of time.
type span struct{ begin, end time.Time }

// spans notes when something is so.
type spans struct {
	mu   sync.Mutex
	seen []span
	open bool // the last one goes on

	quit, ended chan struct{}
	once        sync.Once
}

// watchSpans looks again and again whether something is so, until stop.
func watchSpans(so func() bool) *spans {
	s := &spans{quit: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		for {
			s.note(so(), time.Now())
			select {
			case <-s.quit:
				return
			case <-time.After(lookForFiles):
			}
		}
	}()
	return s
}

func (s *spans) note(is bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if is && !s.open {
		s.seen = append(s.seen, span{begin: now})
	}
	if is || s.open {
		s.seen[len(s.seen)-1].end = now
	}
	s.open = is
}

// over tells that it has been so and is no more.
func (s *spans) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen) > 0 && !s.open
}

// seenSince tells whether it has been so at any time since then.
func (s *spans) seenSince(begin time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open || len(s.seen) > 0 && s.seen[len(s.seen)-1].end.After(begin)
}

// longest is how long it has been so at a time.
func (s *spans) longest() (d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sp := range s.seen {
		d = max(d, sp.end.Sub(sp.begin))
	}
	return d
}

// stop ends the looking and returns what was seen.
func (s *spans) stop() []span {
	s.once.Do(func() { close(s.quit) })
	<-s.ended
	return slices.Clone(s.seen)
}
