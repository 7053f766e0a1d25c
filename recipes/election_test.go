package recipes_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

func TestLeadershipPassesOn(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	a, b := one.Client(t), one.Client(t)
	ea, eb := recipes.NewElection(a, place(t)), recipes.NewElection(b, place(t))
	l, err := eb.Leader(ctx)
	require.NoError(t, err)
	require.Nil(t, l)
	first, err := ea.Campaign(ctx, []byte("a"))
	require.NoError(t, err)
	require.Regexp(t, `/_c_[0-9a-f-]{36}-latch-[0-9]{10}$`, first.Guard().Path())
	second := ask(t, b, place(t), 2, func() (*recipes.Held, error) { return eb.Campaign(ctx, []byte("b")) })
	l, err = eb.Leader(ctx)
	require.NoError(t, err)
	require.Equal(t, &recipes.Leader{Value: []byte("a"), Session: a.Session().ID(), Token: first.Guard().Token()}, l)

	one.ExpireSession(a.Session().ID())
	h := take(t, second)
	<-first.Context().Done()
	require.ErrorIs(t, context.Cause(first.Context()), recipes.ErrLost)
	l, err = eb.Leader(ctx)
	require.NoError(t, err)
	require.Equal(t, "b", string(l.Value))
	require.NoError(t, h.Release(ctx))
}

func TestALeaderPrintsForPeople(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]recipes.Leader{
		`"10.0.0.7:80" leads, token 15533, session 0x3c98`: {Value: []byte("10.0.0.7:80"), Session: 0x3c98, Token: 15533},
		`"\x00\n\xff" leads, token 1, session 0x2`:         {Value: []byte("\x00\n\xff"), Session: 2, Token: 1},
		`"" leads, token 1, session 0x2`:                   {Session: 2, Token: 1},
	} {
		require.Equal(t, want, fmt.Sprint(l))
		require.Equal(t, want, fmt.Sprint(&l))
	}
}

func TestObserversSeeEveryLeaderThatStays(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	e := recipes.NewElection(c, place(t))
	seen := make(chan string)
	observing, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		for l, err := range recipes.NewElection(one.Client(t), place(t)).Observe(observing) {
			switch {
			case err != nil:
				ended <- err
			case l == nil:
				seen <- "nobody"
			default:
				seen <- string(l.Value)
			}
		}
	}()
	require.Equal(t, "nobody", <-seen)
	for _, name := range []string{"a", "b"} {
		h, err := e.Campaign(ctx, []byte(name))
		require.NoError(t, err)
		require.Equal(t, name, <-seen)
		_, err = c.Set(ctx, h.Guard().Path(), []byte(name+" again"))
		require.NoError(t, err)
		require.Equal(t, name+" again", <-seen)
		require.NoError(t, h.Release(ctx))
		require.Equal(t, "nobody", <-seen)
	}
	stop()
	require.ErrorIs(t, <-ended, context.Canceled)
	for range e.Observe(ctx) {
		break
	}
}

func TestRunCampaignsAgainAfterALoss(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	e := recipes.NewElection(c, place(t))
	done := errors.New("done")
	terms := 0
	var former context.Context
	err := e.Run(ctx, []byte("me"), func(ctx context.Context) error {
		if terms++; terms == 3 {
			return done
		}
		if former != nil {
			_, err := c.Create(former, place(t)+"-late", nil)
			require.ErrorIs(t, err, client.ErrFenced)
		}
		former = context.WithoutCancel(ctx)
		require.NoError(t, c.Delete(context.Background(), place(t)+"/"+children(t, c, place(t))[0]))
		<-ctx.Done()
		return context.Cause(ctx)
	})
	require.ErrorIs(t, err, done)
	require.Equal(t, 3, terms)
	require.Empty(t, children(t, c, place(t)))

	gone := one.Client(t)
	err = recipes.NewElection(gone, place(t)).Run(ctx, nil, func(ctx context.Context) error {
		one.ExpireSession(gone.Session().ID())
		<-gone.Session().Context().Done()
		return nil
	})
	require.ErrorIs(t, err, recipes.ErrLost)
}
