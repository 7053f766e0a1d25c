package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client/clienttest"
)

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
