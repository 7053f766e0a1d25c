// Package pipeline is the heart of one server: Core holds the replicated
// machine behind one lock, Lane keeps the order of one connection, and every
// write waits in its lane until this server has applied it. It opens no
// socket, reads no clock and starts no goroutine: fronts call the lanes, the
// log's goroutine calls Apply, and the sinks given by the fronts carry away
// what a connection is told. Lock order: Core.mu, the watch table's own, the
// lane's, the sink's; nothing under Core.mu blocks, encodes or does I/O.
package pipeline
