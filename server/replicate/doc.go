// Package replicate brings transactions into one order and has them applied:
// the Proposer gathers them into batches, hashicorp/raft orders and stores the
// batches, the FSM adapter hands them to the machine, and while this server
// leads, its duties run: expiry of sessions, reaping of idle nodes, snapshots
// by bytes of log. It neither knows what a transaction means nor answers
// clients: that is the machine's and the lanes' part. A Node may be called
// from any goroutine; a Sequencer from one at a time.
package replicate
