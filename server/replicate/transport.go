package replicate

import (
	"github.com/hashicorp/raft"
)

// transport is what raft needs to reach its peers with pre-vote.
type transport interface {
	raft.Transport
	raft.WithPreVote
}

// unpipelined keeps raft from sending entries ahead of their answers: with two
// in flight, a follower that once answers with a failure never gets entries
// again while heartbeats go on.
type unpipelined struct{ transport }

func (unpipelined) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// loneTransport is for a server without peers: it has an address and reaches
// nobody.
func loneTransport(address string) transport {
	_, t := raft.NewInmemTransport(raft.ServerAddress(address))
	return unpipelined{t}
}
