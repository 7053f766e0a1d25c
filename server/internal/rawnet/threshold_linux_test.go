//go:build amd64 || arm64

package rawnet

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKernelsBefore4Point18HaveNoThreshold(t *testing.T) {
	t.Parallel()
	for release, want := range map[string]bool{
		"": false, "?": false, "3.10.0-1160.el7.x86_64": false, "4.9.337": false, "4.17.19-generic": false,
		"4.18.0-553.el8_10.x86_64": true, "4.19": true, "5.4.0-26-generic": true, "6.1\x00\x00": true, "10.0": true,
	} {
		require.Equal(t, want, sinceLowering(release), release)
	}
}

func TestOnceASocketHasTakenAThresholdNoOtherIsAsked(t *testing.T) {
	t.Parallel()
	wrapped, _ := pair(t)
	require.True(t, thresholdOf(t, wrapped).Set(5))
	thresholdOf(t, wrapped) // asking would have left 1
	raw, err := wrapped.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		least, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT)
		require.NoError(t, err)
		require.Equal(t, 5, least)
	}))
}
