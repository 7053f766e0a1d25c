package server

import (
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/raftlog"
	"github.com/lycaon-io/lycaon/server/state"
)

var diskWords = map[raftlog.DiskLevel]string{raftlog.DiskOK: "ok", raftlog.DiskSoft: "low", raftlog.DiskHard: "full"}

// Status is what this server tells about itself.
func (s *Server) Status() protocol.Status {
	node, core, store := s.node.Stats(), s.core.Stats(), s.store.Stats()
	st := protocol.Status{
		ServerID: s.cfg.ID, Role: role(node.State), Version: s.cfg.Version,
		Term: node.Term, CommitIndex: node.CommitIndex, AppliedIndex: node.Applied,
		Sessions: int64(core.Sessions), Connections: int64(s.front.Stats().Connections), Watches: int64(core.Watches),
		UptimeMs: time.Since(s.started).Milliseconds(), Ready: s.node.Condition() == nil,
		Disk: diskWords[s.disk.Level()], LogBytes: int64(store.LogBytes),
	}
	s.core.View(func(m *state.Machine) {
		st.Zxid, st.Digest = m.Zxid(), m.Digest()
		st.Nodes, st.DataBytes = int64(m.Len()), m.Tree().DataBytes()
	})
	return st
}

// role words raft's state as the cluster's users do.
func role(raftState string) string {
	switch raftState {
	case "Leader":
		return "leader"
	case "Follower":
		return "follower"
	case "Candidate":
		return "candidate"
	}
	return "stopped"
}
