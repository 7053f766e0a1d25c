package server

import (
	"net"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/peer"
	"github.com/lycaon-io/lycaon/server/raftlog"
	"github.com/lycaon-io/lycaon/server/replicate"
)

// hooks put a server on other ground, for tests of this package: a network and
// a log in memory. The zero value is the machine's own.
type hooks struct {
	network peer.Network                                 // of the peer port
	listen  func(key, addr string) (net.Listener, error) // client-addr and http-addr
	openLog func() (logStore, snapshotStore, error)      // in place of what lies in the data directory
	files   uint64                                       // that may be open; 0: as many as the machine lets it
	kept    int64                                        // pipeline.Config.KeptStepBytes
}

// logStore is where raft keeps its entries, term and vote.
type logStore interface {
	replicate.Store
	Stats() raftlog.Stats
	FirstVersion() bool
	Modernize() error
	Close() error
}

// snapshotStore is where raft keeps images.
type snapshotStore interface {
	raft.SnapshotStore
	Stats() raftlog.SnapshotStats
	Close() error
}
