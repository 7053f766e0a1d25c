// Package front holds what the protocols of the client port share: Front
// accepts connections within bounds, tells TLS and protocols apart by their
// first byte and has each connection served by a Speaker of its protocol; Conn
// carries requests to the connection's lane and what the lane says to the
// socket, and proves identities. It decides nothing about the tree and orders
// nothing: that is the pipeline's. Each connection has a goroutine, its reader;
// what others have to say to it a few scribes write, who serve all connections, and
// one more goroutine wakes the readers of those that only ping. A Front may be used
// from any goroutine.
package front
