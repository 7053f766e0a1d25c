package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
)

func TestTheItemOfAKilledTakerGoesToTheNext(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c, addr := cluster.Client(t), cluster.Addrs()[0]
	mustShot(t, addr, "queue", "put", "/q", "work")
	first := beginSteady(t, addr, "queue", "take", "/q", "--", "sh", "-c", `echo pid $$; echo item $LYCAON_ITEM; echo node $LYCAON_QUEUE_NODE; exec sleep 60`)
	require.Equal(t, "work", first.says("item "))
	require.Contains(t, mustShot(t, addr, "queue", "ls", "/q"), "taken")
	second := beginSteady(t, addr, "queue", "take", "/q", "--", "sh", "-c", `echo item $(cat); echo token $LYCAON_QUEUE_TOKEN`)
	st, err := c.Exists(t.Context(), first.says("node "))
	require.NoError(t, err)
	require.NoError(t, first.cmd.Process.Kill())
	cluster.ExpireSession(client.SessionID(st.Owner)) // as by its timeout, for which nobody waits here
	require.Zero(t, second.exits(), second.errw.String())
	require.Equal(t, "work", second.says("item "))
	require.Equal(t, "0\n", mustShot(t, addr, "queue", "len", "/q"))
	gone(t, first.says("pid "))
}

func TestAnItemThatIsLostWhileItsCommandRunsIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c, addr := cluster.Client(t), cluster.Addrs()[0]
	mustShot(t, addr, "queue", "put", "/q", "work")
	r := beginSteady(t, addr, "queue", "take", "/q", "--", "sh", "-c", `trap 'exit 0' TERM; echo node $LYCAON_QUEUE_NODE; while :; do sleep 0.02; done`)
	require.NoError(t, c.Delete(t.Context(), r.says("node ")))
	require.Equal(t, exitSession, r.exits(), r.errw.String())
	require.Equal(t, "work\n", mustShot(t, addr, "queue", "take", "--ack", "/q"))
}
