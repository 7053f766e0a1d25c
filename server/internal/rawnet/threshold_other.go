//go:build !linux || !(amd64 || arm64)

package rawnet

import "net"

// Threshold is how many bytes a socket must hold to wake who waits to read them.
// Here it cannot be set.
type Threshold struct{}

// ThresholdOf returns nil.
func ThresholdOf(net.Conn) *Threshold { return nil }

// Set does nothing.
func (*Threshold) Set(int) bool { return false }

// Held knows of nothing.
func (*Threshold) Held() int { return 0 }
