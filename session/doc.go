// Package session holds what is replicated of the clients' sessions (Table),
// the deadlines that only the leader keeps (Tracker) and the set of sessions a
// server has heard from (Touches). It knows no znodes, no sockets and no
// clock: time is an argument, and a Table that sees the same calls in the same
// order is the same on every replica.
// A Table is written by one goroutine under its owner's write lock and read
// under the read lock, a Frozen handle by anyone at any time; a Tracker belongs
// to one goroutine; Touches may be used by all at once.
package session
