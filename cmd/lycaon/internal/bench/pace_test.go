package bench

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAStallIsChargedForAllThatCameDueMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const stall = time.Second
		begin := time.Now()
		got := pace(t.Context(), 10_000, 10*time.Second, func(context.Context, int, time.Time) error {
			if passed := time.Since(begin); passed >= stall && passed < 2*stall {
				time.Sleep(2*stall - passed)
			}
			time.Sleep(time.Millisecond)
			return nil
		})
		require.Equal(t, 100_000, got.good, "the rate was made up for")
		require.Equal(t, time.Millisecond, got.at(50))
		// A tenth came due in the stall, evenly: a tenth of those waited 900 ms or more.
		require.InDelta(t, 900*time.Millisecond, got.at(99), float64(5*time.Millisecond))
		require.InDelta(t, stall, got.at(100), float64(5*time.Millisecond))
		require.InDelta(t, 10*time.Second, got.elapsed, float64(5*time.Millisecond))
	})
}

func TestWhatNeverWentOutCountsAsLongAsItHadWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := pace(t.Context(), 10_000, time.Second, func(context.Context, int, time.Time) error {
			time.Sleep(time.Minute)
			return nil
		})
		require.Equal(t, mostInFlight, got.good)
		require.Len(t, got.took, 10_000)
		require.Equal(t, 100*time.Microsecond, got.at(0))
		require.Equal(t, time.Second-mostInFlight*100*time.Microsecond, got.took[10_000-mostInFlight-1])
		require.InDelta(t, time.Minute, got.elapsed, float64(time.Second))
	})
}

func TestRequestsAreSentAtTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var n atomic.Int64
		got := pace(t.Context(), 100, time.Second, func(_ context.Context, _ int, at time.Time) error {
			if at.Sub(begin) != time.Duration(n.Add(1)-1)*10*time.Millisecond {
				return errors.New("not when it was due")
			}
			return nil
		})
		require.Zero(t, got.failed)
		require.Equal(t, 100, got.good)
	})
}

func TestFailuresAreCountedAndOneIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		var n atomic.Int64
		got := pace(t.Context(), 100, time.Second, func(context.Context, int, time.Time) error {
			if n.Add(1)%10 == 0 {
				return broken
			}
			return nil
		})
		require.Equal(t, 10, got.failed)
		require.Equal(t, 90, got.good)
		require.Len(t, got.took, 90)
		require.Equal(t, broken, got.failure)
	})
}

func TestTheEndOfTheContextEndsALoop(t *testing.T) {
	for name, loop := range map[string]func(context.Context, request) tally{
		"at a rate":    func(ctx context.Context, do request) tally { return pace(ctx, 5, time.Hour, do) },
		"closed, busy": func(ctx context.Context, do request) tally { return press(ctx, 10, time.Hour, do) },
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			begin := time.Now()
			loop(ctx, func(context.Context, int, time.Time) error { time.Sleep(time.Second); return nil })
			require.LessOrEqual(t, time.Since(begin), 61*time.Second, name)
		})
	}
}

func TestAClosedLoopKeepsRequestsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := press(t.Context(), 10, time.Second, func(context.Context, int, time.Time) error {
			time.Sleep(100 * time.Millisecond)
			return nil
		})
		require.Equal(t, 100, got.good)
		require.InDelta(t, 100, got.result(Goal{}).Done, 0.1)
	})
}

func TestAPercentileIsTheLeastThatSoManyAreNoLongerThan(t *testing.T) {
	for n, want := range map[int][4]int{1: {1, 1, 1, 1}, 2: {1, 2, 2, 2}, 100: {50, 95, 99, 100}, 101: {51, 96, 100, 101}, 1000: {500, 950, 990, 1000}} {
		var all tally
		for i := range n {
			all.took = append(all.took, time.Duration(i+1))
		}
		got := all.result(Goal{})
		require.Equal(t, want, [4]int{int(got.P50), int(got.P95), int(got.P99), int(got.Slowest)}, n)
	}
	require.Zero(t, (&tally{}).at(99))
}
