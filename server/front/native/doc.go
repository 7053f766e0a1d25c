// Package native is the native protocol on the connections of a front.Front: it
// answers the hello, decodes requests and hands them to the connection's lane,
// answers those of administration itself and encodes what the lane says. It
// decides nothing about the tree and orders nothing: that is the pipeline's.
// New and Snapshots may be called from any goroutine.
package native
