package native

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// counted tells by the server's id which survey it was.
func counted(surveys *uint64, takes time.Duration) func(context.Context) []protocol.MemberStatus {
	return func(ctx context.Context) []protocol.MemberStatus {
		*surveys++
		n := *surveys
		select {
		case <-time.After(takes):
		case <-ctx.Done():
		}
		return []protocol.MemberStatus{{Member: protocol.Member{ID: n}}}
	}
}

func TestManyWhoAskAtOneTimeShareASurveyThatBeganBehindThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, surveys := newCensus(), uint64(0)
		ask := counted(&surveys, time.Second)
		var all sync.WaitGroup
		take := func(want uint64) {
			all.Go(func() {
				found, err := c.take(t.Context(), ask)
				require.NoError(t, err)
				require.Equal(t, want, found[0].ID)
			})
			synctest.Wait()
		}
		take(1)
		for range 8 {
			take(2)
		}
		all.Wait()
		require.EqualValues(t, 2, surveys)
	})
}

func TestWhoAsksInALoopHasFewSurveysMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, surveys := newCensus(), uint64(0)
		ctx, cancel := context.WithTimeout(t.Context(), 10*censusPause-1)
		defer cancel()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for ctx.Err() == nil {
					c.take(ctx, counted(&surveys, 0))
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 10, surveys)
	})
}

func TestOneWhoGoesAwayLeavesTheSurveyToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, surveys := newCensus(), uint64(0)
		ask := counted(&surveys, time.Second)
		leaves, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			_, err := c.take(leaves, ask)
			require.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		all.Go(func() {
			found, err := c.take(t.Context(), ask)
			require.NoError(t, err)
			require.EqualValues(t, 2, found[0].ID)
		})
		synctest.Wait()
		leave()
		all.Wait()
	})
}
