//go:build mutants

package replicate

// VerifyLeader is raft's, for the mutant that reads by it.
func (n *Node) VerifyLeader() error { return n.instance().raft.VerifyLeader().Error() }
