//go:build !linux

package server

import (
	"context"
	"net"
)

func listenTCP(_, addr string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	return lc.Listen(context.Background(), "tcp", addr)
}
