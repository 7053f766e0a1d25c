package bench

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAVerdictNamesEachThingThatIsShort(t *testing.T) {
	goal := Goal{Writes, 100, 50 * time.Millisecond}
	for name, c := range map[string]struct {
		r    Result
		want []string
	}{
		"just enough":                  {Result{Goal: goal, Done: 90, P99: 50 * time.Millisecond, Slowest: time.Minute}, nil},
		"too few":                      {Result{Goal: goal, Done: 89}, []string{"89.0/s is less than 90.0/s"}},
		"too slow":                     {Result{Goal: goal, Done: 100, P99: 51 * time.Millisecond}, []string{"p99 of 51ms is more than 50ms"}},
		"one failed":                   {Result{Goal: goal, Done: 100, Failed: 1, Failure: errors.New("gone")}, []string{"1 failed, such as: gone"}},
		"all of it":                    {Result{Goal: goal, P99: time.Second, Failed: 2, Failure: errors.New("x")}, []string{"0.0/s is less than 90.0/s", "p99 of 1s is more than 50ms", "2 failed, such as: x"}},
		"closed loops have no verdict": {Result{Goal: Goal{Workload: Writes}, ClosedLoop: true, Failed: 1}, nil},
	} {
		require.Equal(t, c.want, c.r.Faults(), name)
	}
}

func TestWhatIsWantedIsWordedAsItIsJudged(t *testing.T) {
	for _, l := range Loads {
		for _, g := range l.Goals {
			var least float64
			_, err := fmt.Sscanf(g.Wants(), ">= %f/s", &least)
			require.NoError(t, err)
			require.Equal(t, g.Rate*leastShare, least, g.Workload)
		}
	}
}

func TestNewsAreMatchedWithTheirChanges(t *testing.T) {
	start := time.Now()
	at := func(zxid uint64, ms int) moment { return moment{zxid, start.Add(time.Duration(ms) * time.Millisecond)} }
	changes := []moment{at(10, 0), at(20, 100), at(30, 200), at(40, 300)}
	w := &watcher{told: []moment{at(5, 0), at(10, 7), at(30, 250)}}
	var got tally
	w.match(changes, &got)
	require.Equal(t, []time.Duration{7 * time.Millisecond, 150 * time.Millisecond, 50 * time.Millisecond}, got.took, "the second was merged into the third")
	require.Equal(t, 1, got.failed)
	require.ErrorContains(t, got.failure, "was not told of a change")
}

func TestEveryLoadHasEveryWorkload(t *testing.T) {
	for _, l := range Loads {
		var names []string
		for _, g := range l.Goals {
			names = append(names, g.Workload)
			require.Positive(t, g.Rate)
			require.Positive(t, g.P99)
		}
		require.Equal(t, []string{Writes, Reads, Mixed, Linearizable, Watch, Opens}, names)
		found, err := LoadNamed(l.Name)
		require.NoError(t, err)
		require.Equal(t, l, found)
	}
	_, err := LoadNamed("huge")
	require.ErrorContains(t, err, `--load "huge": want small, medium or large`)
}
