package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/lycaon-io/lycaon/server/replicate"
)

// Close takes leave of the clients, lets what is under way end, and closes
// what Open opened, in reverse. What hangs is left when ctx ends. It may be
// called more than once.
func (s *Server) Close(ctx context.Context) error {
	var err error
	s.closed.Do(func() { err = s.close(ctx) })
	return err
}

// giveUpWait bounds how long a start that failed takes to end.
const giveUpWait = 5 * time.Second

// farewellWait is how long clients may take to be told that the server goes.
const farewellWait = 1500 * time.Millisecond

func (s *Server) bidFarewell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, farewellWait)
	defer cancel()
	if err := s.front.Close(ctx); err != nil {
		s.log.Warn("some clients were cut off without a word", "error", err)
	}
}

func (s *Server) close(ctx context.Context) error {
	close(s.stop)
	var errs []error
	if s.front != nil {
		s.bidFarewell(ctx)
	}
	if s.node != nil {
		// Whatever became of ctx, raft must have stopped before its store closes.
		errs = append(errs, s.node.Close(context.WithoutCancel(ctx)))
	}
	if s.http != nil {
		errs = append(errs, s.http.Close(ctx))
	}
	for _, l := range []net.Listener{s.clients, s.web} {
		if l != nil {
			l.Close() // closed by its front, if that ever served it
		}
	}
	s.wg.Wait()
	if err := errors.Join(errs...); errors.Is(err, replicate.ErrDeadline) {
		// raft waits for a disk that hangs. What it writes to must stay open, and
		// would not close either.
		return err
	}
	return errors.Join(append(errs, within(ctx, "close the data directory", s.closeData))...)
}

func (s *Server) closeData() error {
	var errs []error
	if s.snaps != nil {
		errs = append(errs, s.snaps.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.disk != nil {
		errs = append(errs, s.disk.Close())
	}
	if s.dir != nil {
		errs = append(errs, s.dir.close())
	}
	return errors.Join(errs...)
}

var errHangs = errors.New("the disk does not answer in time")

// within waits for f no longer than ctx: a disk that hangs is not waited for.
func within(ctx context.Context, what string, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %s", errHangs, what)
	}
}
