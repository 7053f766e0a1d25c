// Package protocol holds what clients and servers say to each other: requests,
// replies, events, error codes, limits, and the bytes of the native protocol
// (docs/PROTOCOL.md). It opens no socket and reads no clock; every decoder takes
// hostile bytes, allocates no more than they are long, and hands none of them to
// a reflective decoder. All functions may be called from any goroutine; who
// owns the memory of a result is said at each decoder.
package protocol
