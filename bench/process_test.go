package main

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheTimeOfAProcessIsToldToTheMicrosecond(t *testing.T) {
	own := func() time.Duration {
		var used syscall.Rusage
		require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
		return time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	for range 10 { // a clock of 10 ms would miss one of these
		before, err := cpuTime(os.Getpid())
		require.NoError(t, err)
		from := own()
		for own()-from < 2*time.Millisecond {
		}
		used := own() - from
		after, err := cpuTime(os.Getpid())
		require.NoError(t, err)
		require.GreaterOrEqual(t, after-before, used-50*time.Microsecond)
	}
}

func TestAProcessThatHasEndedHasNoTime(t *testing.T) {
	c := exec.Command("true")
	require.NoError(t, c.Run())
	_, err := cpuTime(c.Process.Pid)
	require.ErrorIs(t, err, syscall.EINVAL)
}
