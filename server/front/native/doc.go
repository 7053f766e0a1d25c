// Package native serves the native protocol on accepted connections: it tells
// TLS and the magic apart by the first bytes, answers the hello, hands requests
// to the connection's lane and carries what the lane says to the socket. It
// decides nothing about the tree and orders nothing: that is the pipeline's.
// Each connection has two goroutines, its reader and its writer; a Front may
// be used from any.
package native
