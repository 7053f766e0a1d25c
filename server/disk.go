package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/beat"
	"github.com/lycaon-io/lycaon/server/raftlog"
	"github.com/lycaon-io/lycaon/server/replicate"
)

const (
	// shortageTold is how often a server that is short of disk says so.
	shortageTold = time.Second
	// shortageHeld is how long that is believed: words can be lost.
	shortageHeld = 3 * time.Second
)

// shortage is who is short of disk space. A write takes space on every server
// and is safe once it is on a majority. So writes go on while a majority of the
// voters has room, and the leader is one that has.
type shortage struct {
	mu      sync.Mutex
	free    uint64 // bytes, of this server
	own     bool
	others  map[uint64]time.Time // when they last said so
	refused bool                 // what clients are told
}

func (s *shortage) note(own bool, free uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own, s.free = own, free
}

func (s *shortage) hear(id uint64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.others == nil {
		s.others = map[uint64]time.Time{}
	}
	s.others[id] = now
}

func (s *shortage) forget(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.others, id)
}

// weigh tells whether this server is short, and the voters that have room if they
// are a majority. It says by turn when that begins and ends: under the lock, as two
// may weigh at once and the later word must be the newer one.
func (s *shortage) weigh(self uint64, members []replicate.Member, now time.Time, turn func(refuse bool, free uint64)) (own bool, roomy []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	voters := 0
	for _, m := range members {
		if m.Suffrage != replicate.Voter {
			continue
		}
		voters++
		told, known := s.others[m.ID]
		if m.ID == self && s.own || m.ID != self && known && now.Sub(told) < shortageHeld {
			continue
		}
		roomy = append(roomy, m.ID)
	}
	refuse := len(roomy) <= voters/2
	if voters == 0 {
		refuse = s.own // before there is a cluster
	}
	if s.refused != refuse {
		s.refused = refuse
		turn(refuse, s.free)
	}
	if refuse {
		return s.own, nil
	}
	return s.own, roomy
}

func (s *shortage) refusing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// diskChanged stops the server before a full disk can hurt its log.
func (s *Server) diskChanged(_, to raftlog.DiskLevel, free uint64) {
	if to == raftlog.DiskHard {
		s.fail(fmt.Errorf("%w: %d bytes are free in %s", ErrDiskFull, free, s.dir.path))
		return
	}
	s.short.note(to == raftlog.DiskSoft, free)
	s.weighShortage()
	select {
	case s.shortTurned <- struct{}{}:
	default: // it is to look already
	}
}

// weighShortage refuses or takes writes, long before the log is in danger.
func (s *Server) weighShortage() (own bool, roomy []uint64) {
	return s.short.weigh(s.cfg.ID, s.knownMembers(), time.Now(), func(refuse bool, free uint64) {
		if !refuse {
			s.core.RefuseWrites(protocol.OK, "")
			return
		}
		s.core.RefuseWrites(protocol.DiskFull, fmt.Sprintf("no majority of the servers has disk space, on server %d %d bytes are free; writes go on when there is more", s.cfg.ID, free))
	})
}

// watchShortage looks again and again: what the others said runs out by itself
// too, as who said it may be gone. The others are told of a change at once: the
// next one that is short would meet two for as long as they are not.
func (s *Server) watchShortage() {
	tick := time.NewTimer(beat.Next(shortageTold))
	defer tick.Stop()
	said := false
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.shortTurned:
		case <-tick.C:
			tick.Reset(beat.Next(shortageTold))
		}
		own, roomy := s.weighShortage()
		switch {
		case own:
			s.tell(tellDisk)
			s.yield(roomy)
		case said:
			s.tell(tellRoom)
		}
		said = own
	}
}

// tell says to every other server how this one stands.
func (s *Server) tell(word string) {
	ctx, cancel := context.WithTimeout(s.ctx, askWithin)
	defer cancel()
	var wg sync.WaitGroup
	for _, m := range s.others() {
		wg.Go(func() {
			// One that does not hear it decides without us.
			_ = s.call(ctx, m, word, nil, nil)
		})
	}
	wg.Wait()
}

// yield gives leadership to a server that has room, if this one leads.
func (s *Server) yield(roomy []uint64) {
	for _, id := range roomy {
		if leader, _ := s.node.Leader(); leader != s.cfg.ID {
			return
		}
		ctx, cancel := context.WithTimeout(s.ctx, handOverWait)
		err := s.node.TransferLeader(ctx, id)
		cancel()
		if err == nil {
			s.log.Warn("short of disk space: leadership goes to a server that has more", "to", id)
			return
		}
		s.log.Warn("short of disk space, and another server did not take leadership", "to", id, "error", err)
	}
}
