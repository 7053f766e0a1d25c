package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client/clienttest"
)

// The server that is asked may be the last to hear who leads now.
func TestTransferLeaderTellsOfTheNewLeader(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t, clienttest.WithServers(3))
	for i := range 9 {
		to := cluster.Leader()%3 + 1
		out, errw, code := inProcess(nil, "-s", cluster.Addrs()[i%3], "--auth", "digest:super:test", "transfer-leader", fmt.Sprint(to))
		require.Zero(t, code, errw)
		require.Equal(t, fmt.Sprintf("server %d leads\n", to), out)
	}
}
