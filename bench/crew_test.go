package main

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestACrewIsAsLargeAsThereAreCallsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(1, func(due time.Time, _ *rand.Rand, tl *tally) {
			time.Sleep(10 * time.Millisecond)
			if tl.add(due, nil); len(tl.answered) == 3 {
				panic("the third call")
			}
		})
		for range 5 {
			c.send(time.Now())
			c.send(time.Now())
			time.Sleep(time.Second)
		}
		require.Len(t, c.all, 2)
		got := c.end()
		require.Len(t, got.answered, 10)
		require.Equal(t, 2, got.refused)
		require.ErrorContains(t, got.failure, "the third call")
	})
}

func TestACrewThatIsOutIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := newCrew(1, func(due time.Time, _ *rand.Rand, tl *tally) {
			time.Sleep(time.Second)
			tl.add(due, nil)
		})
		for range mostInFlight + 1 {
			c.send(start)
		}
		require.Equal(t, time.Second, time.Since(start))
		require.Len(t, c.end().answered, mostInFlight+1)
		require.Equal(t, 2*time.Second, time.Since(start))
	})
}
