//go:build !linux || !(amd64 || arm64) || race

package rawnet

import "net"

// Wrap returns the connection as it is.
func Wrap(nc net.Conn) net.Conn { return nc }

// WhenFull returns false: such waits cannot be told.
func WhenFull(net.Conn, func()) bool { return false }

// WriteLast writes p, and then the end if the connection can be closed for
// writing alone; half tells whether it can.
func WriteLast(nc net.Conn, p []byte) (n int, half bool, err error) { return writeLast(nc, p) }
