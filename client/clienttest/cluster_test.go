package clienttest_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestASessionLivesThroughARestart(t *testing.T) {
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	ctx := t.Context()
	_, err := c.Create(ctx, "/e", []byte("x"), client.Ephemeral())
	require.NoError(t, err)
	w, err := c.Watch(ctx, "/e")
	require.NoError(t, err)
	id := c.Session().ID()

	cluster.Restart()
	n, err := c.Get(ctx, "/e")
	require.NoError(t, err)
	require.EqualValues(t, id, n.Stat.Owner)
	_, err = c.Set(ctx, "/e", nil)
	require.NoError(t, err)
	for e, err := range w.All() { // a gap is filled first: the ring began anew
		require.NoError(t, err)
		if e.Type == client.EventChanged {
			break
		}
	}
	require.Equal(t, id, c.Session().ID())
}

func TestAnExpiredSessionLosesItsEphemerals(t *testing.T) {
	cluster := clienttest.Start(t)
	c, other := cluster.Client(t), cluster.Client(t)
	ctx := t.Context()
	_, err := c.Create(ctx, "/e", nil, client.Ephemeral())
	require.NoError(t, err)
	w, err := other.Watch(ctx, "/e", client.Once(), client.Types(client.EventDeleted))
	require.NoError(t, err)
	cluster.ExpireSession(c.Session().ID())
	<-c.Session().Context().Done()
	require.ErrorIs(t, context.Cause(c.Session().Context()), client.ErrSessionExpired)
	_, err = w.Next(ctx)
	require.NoError(t, err)
}

func TestExpiringASessionThatIsNotThereSaysSo(t *testing.T) {
	cluster := clienttest.Start(t)
	super := cluster.Client(t, client.WithCredentials(cluster.Superuser()))
	require.ErrorIs(t, super.ExpireSession(t.Context(), 1<<40, "nobody"), client.ErrSessionExpired)
}

func TestAnAbandonedSessionExpiresByItself(t *testing.T) {
	cluster := clienttest.Start(t)
	ctx := t.Context()
	c, other := cluster.Client(t, client.WithSessionTimeout(4*time.Second)), cluster.Client(t)
	_, err := c.Create(ctx, "/e", nil, client.Ephemeral())
	require.NoError(t, err)
	w, err := other.Watch(ctx, "/e", client.Types(client.EventDeleted))
	require.NoError(t, err)
	c.Abandon()
	_, err = w.Next(ctx)
	require.NoError(t, err)
	info, err := other.SessionInfo(ctx, c.Session().ID())
	require.NoError(t, err)
	require.False(t, info.Alive)
	require.NotEmpty(t, info.Cause)
}

func TestDroppedConnectionsComeBack(t *testing.T) {
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	for i := range 20 {
		if i%5 == 0 {
			cluster.DropConnections()
		}
		n, err := c.Create(t.Context(), "/s-", nil, client.Sequential())
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("/s-%010d", i), n.Path)
	}
}

func TestTheSuperuserMayDoAnything(t *testing.T) {
	cluster := clienttest.Start(t)
	c := cluster.Client(t, client.WithCredentials(cluster.Superuser()))
	status, err := c.Status(t.Context())
	require.NoError(t, err)
	require.True(t, status.Ready)
	n, err := c.Snapshot(t.Context(), io.Discard)
	require.NoError(t, err)
	require.Positive(t, n)
}

func TestTheSuperuserRaisesTheNumbersOfACopiedTree(t *testing.T) {
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	_, err := c.Create(t.Context(), "/queue", nil)
	require.NoError(t, err)
	err = c.RaiseSequence(t.Context(), "/queue", 1<<31)
	require.ErrorIs(t, err, client.ErrNoAuth)

	super := cluster.Client(t, client.WithCredentials(cluster.Superuser()), client.WithChroot("/queue"))
	require.NoError(t, super.RaiseSequence(t.Context(), "/", 1<<31))
	n, err := c.Create(t.Context(), "/queue/n-", nil, client.Sequential())
	require.NoError(t, err)
	require.Equal(t, "/queue/n-2147483648", n.Path)
	err = super.RaiseSequence(t.Context(), "/", -1)
	require.ErrorIs(t, err, client.ErrBadArguments)
}
