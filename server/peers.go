package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/lycaon-io/lycaon/server/peer"
	"github.com/lycaon-io/lycaon/server/replicate"
)

// What servers ask each other for in the name of their operators.
const (
	askStatus   = "status"
	askSessions = "sessions" // which of these it holds
	tellDisk    = "disk"     // the caller is short of disk space
	tellRoom    = "room"     // and is so no more
)

// openPeers begins to answer the other servers.
func (s *Server) openPeers() (err error) {
	s.cluster = s.dir.meta.ClusterID
	conf := peer.Config{
		Self: s.identity(s.cluster), Addr: s.cfg.PeerAddr, Network: s.cfg.hooks.network, Listener: s.peerPort,
		TLS: s.cfg.peerTLS(), Insecure: s.cfg.InsecurePeers, Admit: s.admit, Logger: s.log,
	}
	if s.peers, err = peer.Open(conf); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err := s.dir.notePeer(s.cfg.PeerAddr, s.cfg.advertisedPeer()); err != nil {
		return err
	}
	s.peers.Handle(askStatus, func(context.Context, peer.Identity, []byte) (any, error) {
		if s.admits.Load() == nil {
			return nil, peer.Refuse(peer.ErrNotReady, "the server is starting")
		}
		return s.Status(), nil
	})
	s.peers.Handle(askSessions, s.answerSessions)
	s.handleWord(tellDisk, func(id uint64) { s.short.hear(id, time.Now()) })
	s.handleWord(tellRoom, s.short.forget)
	return nil
}

// handleWord takes a word about a disk, of members alone, as their streams are
// taken: calls are open to others too.
func (s *Server) handleWord(word string, heard func(id uint64)) {
	s.peers.Handle(word, func(_ context.Context, from peer.Identity, _ []byte) (any, error) {
		if err := s.admit(peer.Forward, from); err != nil {
			return nil, err
		}
		heard(from.ID)
		s.weighShortage()
		return nil, nil
	})
}

func (s *Server) identity(cluster string) peer.Identity {
	return peer.Identity{Cluster: cluster, ID: s.cfg.ID, Data: s.dir.meta.DataID, Version: s.cfg.Version}
}

// joined is told which cluster has taken this server in.
func (s *Server) joined(cluster string) error {
	if err := s.dir.enterCluster(cluster); err != nil {
		return err
	}
	s.peers.SetSelf(s.identity(cluster))
	return nil
}

// admit lets in whom the node knows as a member. Before there is a node only
// the mux answers.
func (s *Server) admit(k peer.Kind, remote peer.Identity) error {
	node := s.admits.Load()
	switch {
	case node != nil:
		return node.Admit(k, remote)
	case k == peer.Admin:
		return nil // it is answered that the method is not there yet
	}
	return peer.Refuse(peer.ErrNotReady, "the server is starting")
}

// initial is the list of founders as the node takes it. Who is listed alone
// begins alone.
func (s *Server) initial() []replicate.Member {
	if !s.origin.several() {
		return nil
	}
	var all []replicate.Member
	for _, f := range s.origin.founders {
		all = append(all, replicate.Member{ID: f.id, PeerAddr: f.addr, Suffrage: replicate.Voter})
	}
	return all
}

// knownMembers is nil before there is a node.
func (s *Server) knownMembers() []replicate.Member {
	node := s.admits.Load()
	if node == nil {
		return nil
	}
	return node.Members()
}

// alone tells whether this server is its whole cluster.
func (s *Server) alone() bool {
	members := s.node.Members()
	return len(members) == 1 && members[0].ID == s.cfg.ID && !s.origin.several() && !s.origin.joins()
}

// failure of a call in a few words: what a table has room for.
func failure(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	case errors.Is(err, peer.ErrNotReady):
		return "starting"
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok {
		return dial.Err.Error()
	}
	return err.Error()
}
