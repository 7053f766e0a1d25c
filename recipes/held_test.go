package recipes_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

// meddled has something happen right before a call by which a grant is given
// back: when nobody listens to the news of its loss any more.
type meddled struct {
	*client.Client
	meddle func() // once
	once   sync.Once
}

func (m *meddled) Delete(ctx context.Context, path string, opts ...client.DeleteOption) error {
	m.once.Do(m.meddle)
	return m.Client.Delete(ctx, path, opts...)
}

func TestReleaseTellsOfALossThatIsNewsToIt(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		meddle func(t *testing.T, c *client.Client, node string)
		want   error
	}{
		"the session expired": {
			func(_ *testing.T, c *client.Client, _ string) { expire(c) },
			client.ErrSessionExpired,
		},
		"the client was closed": {
			func(t *testing.T, c *client.Client, _ string) { require.NoError(t, c.Close(limited(t))) },
			client.ErrClosed,
		},
		"somebody deleted the node": {
			func(t *testing.T, _ *client.Client, node string) {
				require.NoError(t, one.Client(t).Delete(limited(t), node))
			},
			recipes.ErrDeleted,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := limited(t)
			c := &meddled{Client: one.Client(t)}
			h, err := recipes.NewMutex(c, place(t)).Lock(ctx)
			require.NoError(t, err)
			c.meddle = func() { test.meddle(t, c.Client, h.Guard().Path()) }
			err = h.Release(ctx)
			require.ErrorIs(t, err, recipes.ErrLost)
			require.ErrorIs(t, err, test.want)
		})
	}
}

func TestRunCampaignsAgainAfterALossThatReleaseFound(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := &meddled{Client: one.Client(t)}
	terms := 0
	c.meddle = func() {
		require.NoError(t, c.Client.Delete(ctx, place(t)+"/"+children(t, c, place(t))[0]))
	}
	err := recipes.NewElection(c, place(t)).Run(ctx, nil, func(context.Context) error {
		terms++
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 2, terms)
}

func TestRunTellsOfTheEndOfTheSessionThatReleaseFound(t *testing.T) {
	t.Parallel()
	c := &meddled{Client: one.Client(t)}
	c.meddle = func() { expire(c.Client) }
	err := recipes.NewElection(c, place(t)).Run(limited(t), nil, func(context.Context) error { return nil })
	require.ErrorIs(t, err, recipes.ErrLost)
	require.ErrorIs(t, err, client.ErrSessionExpired)
}

func TestLeaveTellsOfTheEndOfTheSessionThatIsNewsToIt(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := &meddled{Client: one.Client(t)}
	c.meddle = func() { expire(c.Client) }
	e, err := recipes.NewDoubleBarrier(c, place(t), 1).Enter(ctx)
	require.NoError(t, err)
	err = e.Leave(ctx)
	require.ErrorIs(t, err, recipes.ErrLost)
	require.ErrorIs(t, err, client.ErrSessionExpired)
}

// expire returns when the client knows that its session is over.
func expire(c *client.Client) {
	one.ExpireSession(c.Session().ID())
	<-c.Session().Context().Done()
}

// watching remembers its watches.
type watching struct {
	*client.Client
	watches []*client.Watch
}

func (w *watching) Watch(ctx context.Context, path string, opts ...client.WatchOption) (*client.Watch, error) {
	watch, err := w.Client.Watch(ctx, path, opts...)
	w.watches = append(w.watches, watch)
	return watch, err
}

func TestALostGrantThatNobodyReleasesKeepsNoWatch(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := &watching{Client: one.Client(t)}
	h, err := recipes.NewMutex(c, place(t)).Lock(ctx)
	require.NoError(t, err)
	require.Len(t, c.watches, 1)
	require.NoError(t, one.Client(t).Delete(ctx, h.Guard().Path()))
	<-h.Context().Done()
	_, err = c.watches[0].Next(ctx)
	require.ErrorIs(t, err, client.ErrClosed)
}
