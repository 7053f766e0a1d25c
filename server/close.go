package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/lycaon-io/lycaon/server/replicate"
)

// Close takes leave of the clients, lets what is under way end, and closes
// what Open opened, in reverse. What hangs is left when ctx ends. It may be
// called more than once.
func (s *Server) Close(ctx context.Context) error {
	var err error
	s.closed.Do(func() {
		if err = s.close(ctx); err == nil {
			s.log.Info("stopped")
		}
	})
	return err
}

// giveUpWait bounds how long a start that failed takes to end.
const giveUpWait = 5 * time.Second

// handOverWait bounds how long the next leader may take to begin. One that is
// up takes some milliseconds.
const handOverWait = time.Second

// handOver makes another server lead, if this one does and another can.
func (s *Server) handOver(ctx context.Context) {
	if s.admits.Load() == nil {
		return
	}
	leader, _ := s.node.Leader()
	others := slices.ContainsFunc(s.node.Members(), func(m replicate.Member) bool {
		return m.ID != s.cfg.ID && m.Suffrage == replicate.Voter
	})
	if leader != s.cfg.ID || !others {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, handOverWait)
	defer cancel()
	began := time.Now()
	if err := s.node.TransferLeader(ctx, 0); err != nil {
		s.log.Warn("leadership could not be handed over; the others elect", "error", err)
		return
	}
	s.log.Info("leadership handed over", "took", time.Since(began).Round(time.Millisecond))
}

// farewellWait is how long clients may take to be told that the server goes.
const farewellWait = 1500 * time.Millisecond

func (s *Server) bidFarewell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, farewellWait)
	defer cancel()
	if err := s.front.Close(ctx); err != nil {
		s.log.Warn("some clients were cut off without a word", "error", err)
	}
}

// httpWait is how long an answer under way, or a connection that has not asked
// yet, may hold up the end: what it loses it can ask the next server.
const httpWait = 250 * time.Millisecond

func (s *Server) closeHTTP(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, httpWait)
	defer cancel()
	if err := s.http.Close(ctx); err != nil {
		s.log.Debug("connections of HTTP were cut off", "error", err)
	}
}

// close tells the clients to move and hands leadership over while they do, so
// that the next leader is there when they come back with what they wait for.
func (s *Server) close(ctx context.Context) error {
	s.cancel()
	var errs []error
	if s.front != nil {
		s.front.Drain()
	}
	s.handOver(ctx)
	if s.front != nil {
		s.bidFarewell(ctx)
	}
	if s.node != nil {
		// Whatever became of ctx, raft must have stopped before its store closes.
		errs = append(errs, s.node.Close(context.WithoutCancel(ctx)))
	}
	if s.http != nil {
		s.closeHTTP(ctx)
	}
	if s.peers != nil {
		errs = append(errs, s.peers.Close())
	}
	for _, l := range []net.Listener{s.clients, s.peerPort, s.web} {
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
