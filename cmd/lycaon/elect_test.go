package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client/clienttest"
	"github.com/lycaon-io/lycaon/recipes"
)

func TestALeaderThatIsKilledIsFollowedByTheNext(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c, addr := cluster.Client(t), cluster.Addrs()[0]
	listener := beginSteady(t, addr, "elect", "--listen", "/e")
	listener.says("nobody leads")
	first := beginSteady(t, addr, "elect", "/e", "one")
	first.says("Leading /e, token ")
	listener.says("one leads, token ")
	second := beginSteady(t, addr, "elect", "/e", "two", "--", "sh", "-c", `echo token $LYCAON_ELECT_TOKEN; trap 'exit 7' TERM; while :; do sleep 0.02; done`)
	waiters(t, c, "/e", 2)
	leader, err := recipes.NewElection(c, "/e").Leader(t.Context())
	require.NoError(t, err)
	require.NoError(t, first.cmd.Process.Kill())
	cluster.ExpireSession(leader.Session) // as by its timeout, for which nobody waits here
	token := second.says("token ")
	require.True(t, strings.HasPrefix(listener.says("two leads, token "), token+", session 0x"))
	require.Contains(t, mustShot(t, addr, "-o", "json", "elect", "--listen", "-n", "1", "/e"), `"data":"two",`)
	require.NoError(t, second.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 7, second.exits())
	require.NoError(t, listener.cmd.Process.Signal(syscall.SIGINT))
	require.Zero(t, listener.exits(), listener.errw.String())
}
