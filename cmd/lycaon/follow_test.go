package main

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
)

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

func TestWhatIsNotRememberedIsToldAsAGap(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	_, err := c.Create(t.Context(), "/w/a", nil, client.Parents())
	require.NoError(t, err)
	ops := make([]client.Op, 1000)
	for i := range ops {
		ops[i] = client.OpSet("/", nil)
	}
	for range 66 { // 65,536 changes are remembered
		_, err := c.Commit(t.Context(), ops...)
		require.NoError(t, err)
	}
	out, errw, code := inProcess(nil, "-s", cluster.Addrs()[0], "watch", "-r", "--from", "1", "-n", "4", "/w", "--",
		"sh", "-c", "echo $LYCAON_WATCH_TYPE $LYCAON_WATCH_PATH")
	require.Zero(t, code, errw)
	require.Equal(t, "gap /w\npresent /w\npresent /w/a\nsynced /w\n", out)
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
