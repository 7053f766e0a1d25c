package bench

import (
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAWorkloadNotesWhatItTookHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now, gone := usage{time.Hour, 1000, 5000}, errors.New("gone")
		got, err := metered(func() usage { return now }, func() (Result, error) {
			time.Sleep(10 * time.Second)
			now = usage{now.own + time.Duration(runtime.GOMAXPROCS(0))*3*time.Second, 1750, 6000}
			return Result{Done: 7}, gone
		})
		require.ErrorIs(t, err, gone)
		require.Equal(t, Result{Done: 7, OwnCPU: 0.3, HereCPU: 0.75}, got)
	})
}

func TestTheMachineOfBenchIsTheLimitWhenNothingOfItIsLeft(t *testing.T) {
	short := Result{Goal: Goal{Rate: 100, P99: time.Second}, Done: 50}
	enough := Result{Goal: short.Goal, Done: 100}
	for name, c := range map[string]struct {
		r         Result
		own, here float64
		want      bool
	}{
		"bench takes it":                      {short, 0.85, 0, true},
		"most of it":                          {short, 0.8, 0.95, false},
		"it shares it with others":            {short, 0.2, 0.99, true},
		"it was enough all the same":          {enough, 0.85, 0.99, false},
		"what is done at most, but for bench": {Result{ClosedLoop: true}, 0.85, 0.99, true},
		"what is done at most":                {Result{ClosedLoop: true}, 0.5, 0.6, false},
	} {
		c.r.OwnCPU, c.r.HereCPU = c.own, c.here
		require.Equal(t, c.want, c.r.Limited(), name)
	}
}

func TestTicksAreReadAsTheKernelTellsThem(t *testing.T) {
	for stat, want := range map[string][2]int64{
		"cpu  10 1 5 100 20 1 2 3 7 7\ncpu0 1 1 1 1 1 1 1 1 1 1\n": {22, 142}, // guests are in the first two
		"":                            {},
		"cpu 1 2 3\n":                 {},
		"intr 1 2 3 4 5 6 7 8 9 10\n": {},
		"cpu 1 2 3 4 x 6 7 8\n":       {},
	} {
		busy, all := ticksOf(stat)
		require.Equal(t, want, [2]int64{busy, all}, stat)
	}
}

func TestWhatThisProgramUsesGrows(t *testing.T) {
	before := used().own
	require.Positive(t, before)
	for used().own == before { // some work
	}
	require.Greater(t, used().own, before)
}
