package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/peer"
	"github.com/lycaon-io/lycaon/server/replicate"
	"github.com/lycaon-io/lycaon/znode"
)

// What a member is to those who ask.
const (
	roleLeader      = "leader"
	roleFollower    = "follower"
	roleObserver    = "observer"
	roleCandidate   = "candidate"
	roleStarting    = "starting"
	roleStopped     = "stopped"
	roleUnreachable = "unreachable"
)

const (
	// askWithin is how long a member may take to tell how it is.
	askWithin = time.Second
	// changeWithin is how long a leader is looked for that makes a change: less
	// than a client waits by default, so that it hears why.
	changeWithin = 8 * time.Second
)

// Members are the servers of the cluster as this one knows them, without
// asking them.
func (s *Server) Members() []protocol.Member {
	var all []protocol.Member
	for _, m := range s.node.Members() {
		all = append(all, member(m))
	}
	return all
}

func member(m replicate.Member) protocol.Member {
	role := roleFollower
	switch {
	case m.Leader:
		role = roleLeader
	case m.Suffrage == replicate.Observer:
		role = roleObserver
	}
	return protocol.Member{ID: m.ID, Role: role, PeerAddr: m.PeerAddr, ClientAddr: m.ClientAddr, Version: m.Version}
}

// ClusterStatus asks every member at once how it is. It needs no quorum: who
// does not answer is told as unreachable, and why.
func (s *Server) ClusterStatus(ctx context.Context) []protocol.MemberStatus {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	members := s.node.Members()
	if !slices.ContainsFunc(members, func(m replicate.Member) bool { return m.ID == s.cfg.ID }) {
		members = append(members, s.self()) // one that asks to join
	}
	slices.SortFunc(members, func(a, b replicate.Member) int { return cmp.Compare(a.ID, b.ID) })
	all := make([]protocol.MemberStatus, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() { all[i] = s.ask(ctx, m) })
	}
	wg.Wait()
	measure(all)
	return all
}

// measure compares with the leader: one that is cut off does not know how far
// behind it is.
func measure(all []protocol.MemberStatus) {
	var committed int64
	for _, m := range all {
		if m.Status != nil && m.Role == roleLeader {
			committed = max(committed, int64(m.Status.CommitIndex))
		}
	}
	for _, m := range all {
		if m.Status != nil {
			done := int64(m.Status.CommitIndex) - m.Status.Lag
			m.Status.Lag = max(m.Status.Lag, committed-done)
		}
	}
}

// self is this server as a member that the others do not know.
func (s *Server) self() replicate.Member {
	return replicate.Member{
		ID: s.cfg.ID, PeerAddr: s.peerAddr(), Data: s.dir.meta.DataID, Suffrage: replicate.Observer,
		ClientAddr: s.announcedClientAddr(), Version: s.cfg.Version,
	}
}

// others are the members but for this server.
func (s *Server) others() []replicate.Member {
	return slices.DeleteFunc(s.node.Members(), func(m replicate.Member) bool { return m.ID == s.cfg.ID })
}

// call asks another member.
func (s *Server) call(ctx context.Context, m replicate.Member, method string, body, into any) error {
	return s.peers.Call(ctx, peer.Target{ID: m.ID, Addr: m.PeerAddr, Data: m.Data}, method, body, into)
}

func (s *Server) ask(ctx context.Context, m replicate.Member) protocol.MemberStatus {
	about := protocol.MemberStatus{Member: member(m)}
	st := protocol.Status{}
	if m.ID == s.cfg.ID {
		st = s.Status()
	} else if err := s.call(ctx, m, askStatus, nil, &st); err != nil {
		about.Role, about.Error = roleUnreachable, failure(err)
		return about
	}
	about.Status, about.Role, about.Version = &st, st.Role, st.Version
	return about
}

// ChangeMember changes the membership, whichever server is asked.
func (s *Server) ChangeMember(ctx context.Context, c protocol.MemberChange) error {
	if c.ID > maxServerID {
		return fmt.Errorf("%w: id %d: want 1 to %d", znode.ErrBadArguments, c.ID, maxServerID)
	}
	if c.Addr != "" {
		if err := checkReachable(c.Addr); err != nil {
			return fmt.Errorf("%w: address %q: %w", znode.ErrBadArguments, c.Addr, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, changeWithin)
	defer cancel()
	return administrative(s.node.ChangeMember(ctx, c))
}

// TransferLeader hands leadership to a voter, 0 for any that has caught up.
func (s *Server) TransferLeader(ctx context.Context, id uint64) error {
	ctx, cancel := context.WithTimeout(ctx, changeWithin)
	defer cancel()
	return administrative(s.node.TransferLeader(ctx, id))
}

// administrative says in the words of clients what another server refused.
func administrative(err error) error {
	if errors.Is(err, protocol.ErrNotReady) {
		return err
	}
	for _, row := range []struct {
		from *peer.Error
		to   error
	}{
		{peer.ErrBadRequest, znode.ErrBadArguments},
		{peer.ErrNotLeader, protocol.ErrNotReady},
		{peer.ErrNotReady, protocol.ErrNotReady},
		{peer.ErrBusy, protocol.ErrThrottled},
	} {
		if errors.Is(err, row.from) {
			return fmt.Errorf("%w: %w", row.to, err)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, replicate.ErrDeadline) {
		return fmt.Errorf("%w: %w", protocol.ErrNotReady, err)
	}
	return err
}
