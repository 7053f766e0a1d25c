package front

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// scribes write what connections are to be told while their readers wait. All
// connections share them: a goroutine for each would cost a stack, and a wake for
// each message. There are as many as can run at one time, and one more for each
// that waits for a socket that takes nothing, if there is something to do: so a
// client that does not read holds nobody up. Nor does one that always has more to be
// told: its connection has a turn, and then waits behind the others.
type scribes struct {
	ended sync.WaitGroup
	most  atomic.Int64 // active ones that there are to be

	mu     sync.Mutex // a leaf
	work   sync.Cond  // there is some, or there will be none
	calls  []*Conn    // whom to write to, oldest first, each once at most
	first  int        // index of the oldest
	idle   int        // scribes that wait for work, and are not about to be woken
	active int        // scribes that do not wait for a socket
	closed bool
}

func (s *scribes) init() {
	s.work.L = &s.mu
	s.count()
}

// count has there be as many as can run at one time, which may change. It takes a
// lock of the scheduler's, so it is not asked under ours.
func (s *scribes) count() { s.most.Store(int64(runtime.GOMAXPROCS(0))) }

// call has a scribe write to c.
func (s *scribes) call(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return // so are all connections
	}
	if s.first > len(s.calls)/2 {
		rest := copy(s.calls, s.calls[s.first:])
		clear(s.calls[rest:])
		s.calls, s.first = s.calls[:rest], 0
	}
	s.calls = append(s.calls, c)
	s.engageLocked()
}

// engageLocked has one more at work, if there is work and nobody too many.
func (s *scribes) engageLocked() {
	switch {
	case s.first == len(s.calls):
	case s.idle > 0:
		s.idle--
		s.work.Signal()
	case s.active < int(s.most.Load()):
		s.active++
		s.ended.Go(s.run)
	}
}

// leave is told that a scribe waits for a socket.
func (s *scribes) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	s.engageLocked()
}

// back is told that it does so no more. It may be one too many then.
func (s *scribes) back() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active++
}

func (s *scribes) run() {
	for n := 1; ; n++ {
		c := s.next()
		if c == nil {
			return
		}
		c.scribe()
		if n%politeAfter == 0 {
			runtime.Gosched()
		}
		if n%countAfter == 0 {
			s.count()
		}
	}
}

// next waits for a connection to write to; none ends the scribe.
func (s *scribes) next() *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.active <= int(s.most.Load()) {
		if s.first < len(s.calls) {
			c := s.calls[s.first]
			s.calls[s.first] = nil
			s.first++
			return c
		}
		if s.closed {
			break
		}
		s.idle++
		s.work.Wait()
	}
	s.active--
	s.engageLocked() // who was woken for something and is one too many hands that on
	return nil
}

// close ends them, once there are no connections any more, and waits for that.
func (s *scribes) close() {
	s.mu.Lock()
	s.closed = true
	s.work.Broadcast()
	s.mu.Unlock()
	s.ended.Wait()
}
