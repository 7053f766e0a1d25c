package server

import (
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/raftlog"
	"github.com/lycaon-io/lycaon/server/replicate"
	"github.com/lycaon-io/lycaon/server/state"
)

var diskWords = map[raftlog.DiskLevel]string{raftlog.DiskOK: "ok", raftlog.DiskSoft: "low", raftlog.DiskHard: "full"}

// Status is what this server tells about itself.
func (s *Server) Status() protocol.Status {
	node, core, store := s.node.Stats(), s.core.Stats(), s.store.Stats()
	leader, _ := s.node.Leader()
	st := protocol.Status{
		ServerID: s.cfg.ID, Role: s.role(node.State), Version: s.cfg.Version,
		Term: node.Term, CommitIndex: node.CommitIndex, AppliedIndex: node.Applied, Lag: int64(node.Lag),
		LeaderID: leader, ContactMs: s.node.Contact().Milliseconds(),
		Sessions: int64(core.Sessions), Connections: int64(s.front.Stats().Connections), Watches: int64(core.Watches),
		UptimeMs: time.Since(s.started).Milliseconds(), Ready: s.condition() == nil,
		Disk: diskWords[s.diskStats().Level], LogBytes: int64(store.LogBytes),
	}
	s.core.View(func(m *state.Machine) {
		st.Zxid, st.Digest = m.Zxid(), m.Digest()
		st.Nodes, st.DataBytes = int64(m.Len()), m.Tree().DataBytes()
	})
	return st
}

func (s *Server) diskStats() raftlog.DiskStats {
	if s.disk == nil {
		return raftlog.DiskStats{}
	}
	return s.disk.Stats()
}

// role words raft's state as the cluster's users do.
func (s *Server) role(raftState string) string {
	switch raftState {
	case "Leader":
		return roleLeader
	case "Follower":
		if s.observes() {
			return roleObserver
		}
		return roleFollower
	case "Candidate":
		return roleCandidate
	}
	if s.ctx.Err() != nil {
		return roleStopped
	}
	return roleStarting // it takes no part in raft yet, or just now
}

// observes tells whether this server has no vote, as far as it knows.
func (s *Server) observes() bool {
	for _, m := range s.node.Members() {
		if m.ID == s.cfg.ID {
			return m.Suffrage == replicate.Observer
		}
	}
	return true // it asks to join
}
