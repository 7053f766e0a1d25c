package replicate

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/server/peer"
)

// errNotLeaders refuses what only a leader may ask for.
var errNotLeaders = errors.New("replicate: not asked by the leader")

// errPoisoned refuses what would make raft panic, at once or, worse, at each
// start once it is stored.
var errPoisoned = errors.New("replicate: not an entry that raft can take")

// check refuses what others ask of raft that it must not be handed (relay).
func (t *peerTransport) check(command any) error {
	switch c := command.(type) {
	case *raft.AppendEntriesRequest:
		if err := checkEntries(c.Entries); err != nil {
			return err
		}
		boundCommit(c)
		return nil
	case *raft.InstallSnapshotRequest:
		if c.SnapshotVersion < 1 {
			return fmt.Errorf("%w: snapshot version %d", errPoisoned, c.SnapshotVersion)
		}
		return checkConfiguration(c.Configuration)
	case *raft.RequestVoteRequest:
		return t.checkCandidate(c.RPCHeader)
	case *raft.RequestPreVoteRequest:
		return t.checkCandidate(c.RPCHeader)
	case *raft.TimeoutNowRequest:
		return t.checkTransfer(c.RPCHeader)
	}
	return nil
}

// boundCommit has a message tell of no commit behind the entries that it has shown this server to hold (Raft, figure 2).
// raft bounds it by the end of its own log instead, where an entry of a former leader may stand that nobody has committed;
// and its leaders look at the end of their log first and at the commit afterwards.
func boundCommit(req *raft.AppendEntriesRequest) {
	if mutant.On(mutant.AnyCommit) {
		return
	}
	req.LeaderCommitIndex = min(req.LeaderCommitIndex, newestShown(req))
}

// newestShown is the newest entry that a message brings or, without any, compares.
func newestShown(req *raft.AppendEntriesRequest) uint64 {
	if n := len(req.Entries); n > 0 {
		return req.Entries[n-1].Index
	}
	return req.PrevLogEntry
}

// checkCandidate refuses a vote to a server whose data is not what the cluster
// has admitted under its id: a former life of a member that was replaced.
func (t *peerTransport) checkCandidate(h raft.RPCHeader) error {
	from, err := parseMemberAddr(raft.ServerAddress(h.Addr))
	if err != nil {
		return err
	}
	if !t.isMember(raft.ServerID(h.ID), from.data) {
		return peer.Refuse(peer.ErrOtherData, "server %s is a member with other data", h.ID)
	}
	return nil
}

// checkTransfer refuses leadership from whom raft here does not take for the leader. Such a message has no term, and one
// may come when its sender has been replaced, having waited for a disk here: raft would leave its leader, or its own
// leadership, and the others would vote though they have a leader.
func (t *peerTransport) checkTransfer(h raft.RPCHeader) error {
	if !t.obeys(raft.ServerID(h.ID)) {
		return fmt.Errorf("%w: of server %s", errNotLeaders, h.ID)
	}
	return nil
}

func checkEntries(entries []*raft.Log) error {
	for _, e := range entries {
		if e == nil { // which raft's codec reads where it says so
			return fmt.Errorf("%w: an entry that is none", errPoisoned)
		}
		switch e.Type {
		case raft.LogCommand, raft.LogNoop, raft.LogBarrier:
		case raft.LogConfiguration:
			if err := checkConfiguration(e.Data); err != nil {
				return fmt.Errorf("entry %d: %w", e.Index, err)
			}
		default:
			return fmt.Errorf("%w: entry %d is of type %d", errPoisoned, e.Index, e.Type)
		}
	}
	return nil
}

func checkConfiguration(encoded []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPoisoned, p)
		}
	}()
	for _, s := range raft.DecodeConfiguration(encoded).Servers {
		if parseServerID(s.ID) == 0 {
			return fmt.Errorf("%w: server %q in a configuration", errPoisoned, s.ID)
		}
		if _, err := parseMemberAddr(s.Address); err != nil {
			return fmt.Errorf("%w: %w", errPoisoned, err)
		}
	}
	return nil
}
