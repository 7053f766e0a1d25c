package replicate

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"time"

	"github.com/lycaon-io/lycaon/server/peer"
)

// keep holds a stream of one kind to whoever leads, unless that is this
// server, and dials again when it breaks: at once in a new reign, else after a
// pause that grows while streams live briefly.
func (s *streams) keep(k peer.Kind, run func(r *reign, c *peer.Conn) error) {
	for s.ctx.Err() == nil {
		r := s.reign()
		if r.leader == 0 || r.own {
			<-r.ctx.Done()
			continue
		}
		pause := minRedial
		for !r.over() {
			began := time.Now()
			err := s.visit(r, k, run)
			if time.Since(began) > steadyStream {
				pause = minRedial
			}
			s.noteBreak(r, k, err)
			rest(r.ctx, pause/2+rand.N(pause))
			pause = min(2*pause, maxRedial)
		}
	}
}

// visit opens one stream and runs it to its end.
func (s *streams) visit(r *reign, k peer.Kind, run func(r *reign, c *peer.Conn) error) error {
	to, known := s.n.target(r.leader)
	if !known {
		return nil // no configuration names it yet
	}
	ctx, cancel := context.WithTimeout(r.ctx, dialTime)
	defer cancel()
	c, err := s.n.cfg.Peers.Dial(ctx, k, to)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(r.ctx, func() { c.Close() })()
	r.up(k)
	return run(r, c)
}

// noteBreak looks at how a stream ended. When both kinds ended as they do if
// the leader's process dies, nobody waits for a timeout to say so.
func (s *streams) noteBreak(r *reign, k peer.Kind, err error) {
	if r.over() {
		return
	}
	s.n.cfg.Logger.Debug("stream to the leader ended", "kind", k.String(), "leader", r.leader, "term", r.term, "error", err)
	if cutByPeer(err) && r.lost(k) {
		s.n.leaderGone(r.leader)
	}
}

// cutByPeer tells whether the other end's system ended a stream or refused it,
// which a partition does not.
func cutByPeer(err error) bool {
	for _, cut := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNREFUSED} {
		if errors.Is(err, cut) {
			return true
		}
	}
	return false
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// accept takes the streams of one kind.
func (s *streams) accept(k peer.Kind, serve func(c *peer.Conn) error) {
	l := s.n.cfg.Peers.Listener(k)
	defer context.AfterFunc(s.ctx, func() { l.Close() })()
	for {
		c, err := l.Accept()
		if err != nil {
			return // closed, with the node or by a successor
		}
		s.n.workers.Go(func() { s.host(k, c.(*peer.Conn), serve) })
	}
}

func (s *streams) host(k peer.Kind, c *peer.Conn, serve func(c *peer.Conn) error) {
	defer c.Close()
	defer context.AfterFunc(s.ctx, func() { c.Close() })()
	s.counts.accepted.Add(1)
	err := serve(c)
	if errors.Is(err, errGarbled) {
		s.counts.garbled.Add(1)
		s.n.cfg.Logger.Error("a server sends what it should not; its stream is closed", "kind", k.String(), "server", c.Remote.ID, "error", err)
		return
	}
	s.n.cfg.Logger.Debug("stream of a follower ended", "kind", k.String(), "server", c.Remote.ID, "error", err)
}

// ownReign waits until this server leads in a term not below the one that a
// follower has in mind: followers may learn of a leader before its own loop
// does. nil: it does not.
func (s *streams) ownReign(term uint64) *reign {
	late := time.NewTimer(awaitReign)
	defer late.Stop()
	for {
		r := s.reign()
		if r.own && r.term >= term {
			return r
		}
		select {
		case <-r.ctx.Done():
			if s.ctx.Err() != nil {
				return nil
			}
		case <-late.C:
			return nil
		}
	}
}

// farewell tells a follower that this server is not the leader it looks for,
// unless the node itself ends: then a broken stream is the better message.
func (s *streams) farewell(c net.Conn) error {
	if s.ctx.Err() == nil {
		_ = c.SetWriteDeadline(time.Now().Add(farewellTime))
		_, _ = c.Write(appendFrame(nil, frameFarewell))
	}
	return errFarewell
}
