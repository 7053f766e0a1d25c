// Package memnet is a network in memory with named hosts and faults, for tests
// of whole servers: connections behave as TCP's do for their users, and time
// is that of the testing/synctest bubble in which the network was made. A cut
// holds bytes back and delivers them in order when it heals, at once and
// without TCP's pauses between attempts; nothing here gives a connection up by
// itself. All methods may be called from any goroutine of the bubble.
package memnet
