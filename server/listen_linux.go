package server

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
)

// listenTCP has each connection inherit its keepalives from the listener, as
// Linux does it, instead of setting them one by one. The listener is one of plain
// TCP: many kernels refuse these options on one of MPTCP, which package net makes
// where it can.
func listenTCP(_, addr string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) { set = setKeepAlive(int(fd)) })
		return errors.Join(err, set)
	}}
	lc.SetMultipathTCP(false)
	return lc.Listen(context.Background(), "tcp", addr)
}

func setKeepAlive(fd int) error {
	var errs []error
	for _, o := range []struct{ level, name, value int }{
		{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, int(keepAlive.Idle.Seconds())},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, int(keepAlive.Interval.Seconds())},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, keepAlive.Count},
	} {
		errs = append(errs, os.NewSyscallError("setsockopt", syscall.SetsockoptInt(fd, o.level, o.name, o.value)))
	}
	return errors.Join(errs...)
}
