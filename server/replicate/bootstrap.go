package replicate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"
)

// ErrNoLog says that a store knows a term and holds nothing: its entries and
// snapshots are gone.
var ErrNoLog = errors.New("replicate: the log and all snapshots are missing")

// ErrNoOthers says that a server that is one of several has not found the others
// yet and is not told where they are.
var ErrNoOthers = errors.New("this server is one of several, which it has not found yet: it needs initial-cluster or join again")

// raft's names of what it keeps in the stable store.
var (
	currentTermKey  = []byte("CurrentTerm")
	lastVoteTermKey = []byte("LastVoteTerm")
)

// empty tells whether the store holds nothing of raft's.
func (n *Node) empty() (bool, error) {
	exists, err := raft.HasExistingState(n.store, n.store, n.snaps)
	if err != nil {
		return false, fmt.Errorf("replicate: look for existing state: %w", err)
	}
	return !exists, nil
}

// mayFoundAlone tells whether this server is to be a cluster by itself. One that
// was told of others once is never: they may have a cluster by now.
func (n *Node) mayFoundAlone() (bool, error) {
	alone := len(n.cfg.Join) == 0 && (len(n.cfg.Initial) == 0 || len(n.cfg.Initial) == 1 && n.cfg.Initial[0].ID == n.cfg.ID)
	if alone && n.cfg.Together {
		return false, ErrNoOthers
	}
	return alone, nil
}

// bootstrap writes the first configuration into an empty store. Servers that
// found a cluster together write the same one, byte for byte, so that their
// logs agree.
func (n *Node) bootstrap(members []Member) error {
	sorted := slices.SortedFunc(slices.Values(members), func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	var first raft.Configuration
	for _, m := range sorted {
		first.Servers = append(first.Servers, raft.Server{
			Suffrage: raft.Voter, ID: serverID(m.ID), Address: memberAddr{addr: m.PeerAddr, data: m.Data}.raft(),
		})
	}
	conf := raftConfig(n.cfg.ID, n.cfg.Logger)
	if err := raft.BootstrapCluster(conf, n.store, n.store, n.snaps, nil, first); err != nil {
		return fmt.Errorf("replicate: write the first configuration: %w", err)
	}
	return nil
}

// startOver takes back what a first start has left that ended between the
// first term and the first entry, which raft writes one after the other: as
// far as raft can tell such a store is in use, but it has nobody to elect. No
// vote can have been given in it, nor anything written.
func (n *Node) startOver() error {
	last, err := n.store.LastIndex()
	if err != nil {
		return fmt.Errorf("replicate: look for existing state: %w", err)
	}
	snapshots, err := n.snaps.List()
	if err != nil {
		return fmt.Errorf("replicate: list snapshots: %w", err)
	}
	term, voted := n.stable(currentTermKey), n.stable(lastVoteTermKey)
	switch {
	case last > 0 || len(snapshots) > 0 || term == 0:
		return nil
	case n.stable(admittedKey) > 0:
		return nil // a new member, to which the log has not come yet
	case term > 1 || voted > 0:
		return fmt.Errorf("%w, though term %d had begun", ErrNoLog, term)
	}
	if err := n.store.SetUint64(currentTermKey, 0); err != nil {
		return fmt.Errorf("replicate: start over: %w", err)
	}
	return nil
}

// stable is 0 for what was never written. A store that cannot be read fails
// what comes next.
func (n *Node) stable(key []byte) uint64 {
	value, err := n.store.GetUint64(key)
	if err != nil {
		return 0
	}
	return value
}
