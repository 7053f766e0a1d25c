//go:build mutants

package pipeline

import (
	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/server/state"
)

// verified lets those go on who wait for a no-op once raft says that this
// server leads, which is what raft offers for it and what is not enough. That
// it does so beside the log's goroutine is a mutant's business.
func (c *Core) verified(ticket uint64) bool {
	raft, ok := c.log.(interface{ VerifyLeader() error })
	if !ok || !mutant.On(mutant.VerifiedReads) {
		return false
	}
	go func() {
		if raft.VerifyLeader() != nil {
			c.log.Append(&state.Txn{Kind: state.TxnNoop, Origin: c.cfg.Origin, Ticket: ticket})
			return
		}
		c.mu.Lock()
		c.passNoop(ticket)
		c.mu.Unlock()
		c.finish()
	}()
	return true
}
