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
		var want, out, errw string
		unlessStill(func() bool {
			to := cluster.Leader()%3 + 1
			want = fmt.Sprintf("server %d leads\n", to)
			out, errw, _ = inProcess(nil, "-s", cluster.Addrs()[i%3], "--auth", "digest:super:test", "transfer-leader", fmt.Sprint(to))
			return out == want
		})
		require.Equal(t, want, out, errw)
	}
}
