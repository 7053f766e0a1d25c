// Package peer is the one port on which the servers of a cluster talk to each
// other: streams of several kinds, told apart by their first byte, each begun
// by a handshake that shows who is who before any other byte is decoded. It
// knows neither raft nor transactions nor membership; what a stream carries
// and who belongs to the cluster is the business of its caller. All methods of
// a Mux may be called from any goroutine.
package peer
