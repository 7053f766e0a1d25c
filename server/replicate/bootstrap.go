package replicate

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// ErrNoLog says that a store knows a term and holds nothing: its entries and
// snapshots are gone.
var ErrNoLog = errors.New("replicate: the log and all snapshots are missing")

// raft's names of what it keeps in the stable store.
var (
	currentTermKey  = []byte("CurrentTerm")
	lastVoteTermKey = []byte("LastVoteTerm")
)

// bootstrap gives an empty store its first configuration: this server alone.
func (n *Node) bootstrap(conf *raft.Config, trans raft.Transport) error {
	if err := n.startOver(); err != nil {
		return err
	}
	exists, err := raft.HasExistingState(n.store, n.store, n.snaps)
	if err != nil {
		return fmt.Errorf("replicate: look for existing state: %w", err)
	}
	if exists {
		return nil
	}
	alone := raft.Configuration{Servers: []raft.Server{{
		Suffrage: raft.Voter, ID: conf.LocalID, Address: raft.ServerAddress(n.cfg.Address),
	}}}
	if err := raft.BootstrapCluster(conf, n.store, n.store, n.snaps, trans, alone); err != nil {
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
