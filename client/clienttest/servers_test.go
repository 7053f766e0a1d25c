package clienttest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
)

func TestAClusterGoesOnWithoutOneOfItsServers(t *testing.T) {
	cluster := clienttest.Start(t, clienttest.WithServers(3))
	require.Len(t, cluster.Addrs(), 3)
	c := cluster.Client(t, client.WithSessionTimeout(10*time.Second))
	_, err := c.Create(t.Context(), "/e", nil, client.Ephemeral())
	require.NoError(t, err)
	for i := range 2 {
		leader := cluster.Leader()
		cluster.Stop(leader)
		_, err := c.Create(t.Context(), fmt.Sprintf("/without-%d", i), nil)
		require.NoError(t, err)
		require.NotEqual(t, leader, cluster.Leader())
		cluster.Restart(leader)
	}
	cluster.DropConnections()
	cluster.Restart()
	st, err := c.Exists(t.Context(), "/e")
	require.NoError(t, err)
	require.NotNil(t, st)
	require.EqualValues(t, c.Session().ID(), st.Owner)
	cluster.ExpireSession(c.Session().ID())
	<-c.Session().Context().Done()

	cluster.Stop()
	cluster.Restart()
	st, err = cluster.Client(t).Exists(t.Context(), "/without-1")
	require.NoError(t, err)
	require.NotNil(t, st)
}
