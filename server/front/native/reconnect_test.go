package native_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
)

// Sequential creates and increments are not idempotent: any write done twice
// or lost shows.
func TestEveryWriteIsDoneOnceOverLostConnections(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	c := s.open()
	_, err := c.Create(ctx, "/q", nil)
	require.NoError(t, err)
	const workers, rounds = 16, 60
	stop := make(chan struct{})
	var dropper, wg sync.WaitGroup
	dropper.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(rand.IntN(8)) * time.Millisecond):
				s.front.DropConnections()
			}
		}
	})
	var mu sync.Mutex
	names := map[string]int{}
	for range workers {
		wg.Go(func() {
			for i := range rounds {
				if i%4 == 3 {
					if _, err := c.Commit(ctx, client.OpCreate("/q/s-", nil, client.Sequential())); err != nil {
						t.Error(err)
						return
					}
					continue
				}
				n, err := c.Create(ctx, "/q/s-", nil, client.Sequential())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				names[n.Path]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	close(stop)
	dropper.Wait()
	require.Len(t, names, workers*rounds*3/4)
	all, err := c.Children(ctx, "/q")
	require.NoError(t, err)
	require.Len(t, all, workers*rounds)
	for i, name := range all {
		require.Equal(t, fmt.Sprintf("s-%010d", i), name)
		require.LessOrEqual(t, names["/q/"+name], 1)
	}
	count, err := c.Count(ctx, "/q")
	require.NoError(t, err)
	require.EqualValues(t, workers*rounds, count)
	require.Equal(t, client.Connected, c.Session().State())
}

func TestASessionMovesToAnotherClient(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	first := s.open()
	_, err := first.Create(ctx, "/e", nil, client.Ephemeral())
	require.NoError(t, err)
	text, err := first.Session().Token().MarshalText()
	require.NoError(t, err)
	var token client.SessionToken
	require.NoError(t, token.UnmarshalText(text))
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", token, token, token), string(text[20:]))

	second := s.open(client.WithResume(token))
	require.Equal(t, first.Session().ID(), second.Session().ID())
	<-first.Session().Context().Done()
	_, err = first.Get(ctx, "/e")
	require.ErrorIs(t, err, client.ErrSessionMoved)
	stat, err := second.Exists(ctx, "/e")
	require.NoError(t, err)
	require.EqualValues(t, second.Session().ID(), stat.Owner)
	_, err = second.Create(ctx, "/more", nil, client.Ephemeral())
	require.NoError(t, err)
	mine, err := second.Ephemerals(ctx, "/")
	require.NoError(t, err)
	require.Equal(t, []string{"/e", "/more"}, mine)
}

// Reads parked behind a write are all answered at one instant, here with more
// than an outbox holds: the client must come through, not come back for ever.
func TestMoreAnswersAtOnceThanAnOutboxHolds(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	c := s.open(client.WithSessionTimeout(time.Minute), client.WithRequestTimeout(time.Minute)) // it takes a second of work
	_, err := c.Create(ctx, "/big", make([]byte, 1<<20))
	require.NoError(t, err)
	s.log.Hold(true)
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := c.Create(ctx, "/write", nil)
		if err != nil {
			t.Error(err)
		}
	})
	require.Eventually(t, func() bool { return s.core.Stats().Requests == 1 }, patience, time.Millisecond)
	const reads = 40
	for range reads {
		wg.Go(func() {
			if _, err := c.Get(ctx, "/big"); err != nil {
				t.Error(err)
			}
		})
	}
	require.Eventually(t, func() bool { return s.core.Stats().Parked == reads }, patience, time.Millisecond)
	s.log.Hold(false)
	wg.Wait()
	require.NotZero(t, s.front.Stats().SlowConsumers)
}
