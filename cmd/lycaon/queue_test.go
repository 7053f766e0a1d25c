package main

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
)

func TestTheItemOfAKilledTakerGoesToTheNext(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t, clienttest.WithSessionTimeouts(time.Second, time.Minute))
	addr := cluster.Addrs()[0]
	mustShot(t, addr, "queue", "put", "/q", "work")
	first := begin(t, addr, "--session-timeout", "3s", "queue", "take", "/q", "--", "sh", "-c", `echo pid $$; echo item $LYCAON_ITEM; exec sleep 60`)
	require.Equal(t, "work", first.says("item "))
	require.Contains(t, mustShot(t, addr, "queue", "ls", "/q"), "taken")
	second := beginSteady(t, addr, "queue", "take", "/q", "--", "sh", "-c", `echo item $(cat); echo token $LYCAON_QUEUE_TOKEN`)
	require.NoError(t, first.cmd.Process.Kill())
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

func TestAWatchEndsWithItsSession(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	admin := cluster.Client(t, client.WithCredentials(cluster.Superuser()))
	r := beginSteady(t, cluster.Addrs()[0], "watch", "/w")
	watching := func() (client.SessionID, bool) {
		page, err := admin.Sessions(t.Context(), client.SessionQuery{})
		if err != nil {
			return 0, false
		}
		i := slices.IndexFunc(page.Sessions, func(s client.LiveSession) bool { return s.Watches > 0 })
		return client.SessionID(page.Sessions[max(i, 0)].ID), i >= 0
	}
	require.Eventually(t, func() bool { _, found := watching(); return found }, waitLong, 5*time.Millisecond)
	id, _ := watching()
	cluster.ExpireSession(id)
	require.Equal(t, exitSession, r.exits(), r.errw.String())
}

func TestCtrlCEndsAWatchBehindItsCommand(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	addr := cluster.Addrs()[0]
	mustShot(t, addr, "create", "/w")
	r := beginSteady(t, addr, "watch", "--from", "0", "/w", "--", "sh", "-c",
		`trap 'echo told; exit 7' TERM; echo up $LYCAON_WATCH_TYPE; while :; do sleep 0.02; done`)
	require.Equal(t, "created", r.says("up "))
	require.NoError(t, r.cmd.Process.Signal(syscall.SIGINT))
	require.Zero(t, r.exits(), r.errw.String())
	require.Equal(t, "up created\ntold\n", r.out.String())
	require.NotContains(t, r.errw.String(), "lycaon")
}

func TestTwoBeginTogetherAndEndTogether(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c, addr := cluster.Client(t), cluster.Addrs()[0]
	dir := t.TempDir()
	slow := beginSteady(t, addr, "barrier", "enter", "/b", "2", "--", "sh", "-c", `echo runs; until [ -e `+dir+`/end ]; do sleep 0.02; done`)
	waiters(t, c, "/b", 1)
	require.Empty(t, slow.out.String(), "it runs before the other has come")
	quick := beginSteady(t, addr, "barrier", "enter", "/b", "2", "--", "sh", "-c", `echo runs; exit 3`)
	slow.says("runs")
	quick.says("runs")
	require.NoError(t, os.WriteFile(dir+"/end", nil, 0o600))
	require.Zero(t, slow.exits(), slow.errw.String())
	require.Equal(t, 3, quick.exits(), quick.errw.String())
	waiters(t, c, "/b", 0)
}
