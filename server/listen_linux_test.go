package server

import (
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestConnectionsHaveTheKeepalivesOfTheirListener(t *testing.T) {
	t.Parallel()
	l, err := listenTCP("", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	nc, err := l.Accept()
	require.NoError(t, err)
	defer nc.Close()
	raw, err := nc.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	for name, o := range map[string]struct{ level, option, want int }{
		"on":       {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
		"idle":     {syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 10},
		"interval": {syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 3},
		"count":    {syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 3},
		"no delay": {syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1},
	} {
		require.NoError(t, raw.Control(func(fd uintptr) {
			got, err := syscall.GetsockoptInt(int(fd), o.level, o.option)
			require.NoError(t, err)
			require.Equal(t, o.want, got, name)
		}))
	}
}

// Kernels before 6.10 know of no times of keepalives for it, and the server would not start.
func TestTheListenerIsNotOneOfMultipathTCP(t *testing.T) {
	t.Parallel()
	l, err := listenTCP("", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	raw, err := l.(*net.TCPListener).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		got, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL)
		require.NoError(t, err)
		require.Equal(t, syscall.IPPROTO_TCP, got)
	}))
}
