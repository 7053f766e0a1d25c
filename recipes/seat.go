package recipes

import (
	"context"
	"sync"
)

// seat is the right of one attempt of a client to make its node at a path. The
// nodes of two that have the same data could not be told apart, so the next one sits
// down when the former has lost its node, or gives it back, or is done with looking
// for one that it may have made.
type seat struct {
	session context.Context // is the client's alone
	path    string
}

var (
	seatsMu sync.Mutex // guards seats
	seats   = map[seat]chan struct{}{}
)

// sit waits for the seat of the shared path. What it began ends with discard, or
// with what is held.
func (a *attempt) sit(ctx context.Context) error {
	s := seat{a.c.Session().Context(), a.shared}
	for {
		free := s.take()
		if free == nil {
			a.rise = sync.OnceFunc(s.leave)
			return nil
		}
		select {
		case <-free:
		case <-s.session.Done():
			return context.Cause(s.session)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take returns what is closed when the seat is free, nil if it was.
func (s seat) take() (free <-chan struct{}) {
	seatsMu.Lock()
	defer seatsMu.Unlock()
	if by, taken := seats[s]; taken {
		return by
	}
	seats[s] = make(chan struct{})
	return nil
}

func (s seat) leave() {
	seatsMu.Lock()
	defer seatsMu.Unlock()
	close(seats[s])
	delete(seats, s)
}
