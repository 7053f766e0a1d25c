package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func roundsToWarm(rates func(round int) []float64) int {
	var w warmth
	for round := 1; ; round++ {
		if w.over(rates(round)) {
			return round
		}
	}
}

func TestServersAreWarmedUpForAsLongAsTheyBecomeQuicker(t *testing.T) {
	require.Equal(t, 1+warmSteady, roundsToWarm(func(int) []float64 { return []float64{100, 1000} }), "compiled ahead")
	require.Equal(t, 5+warmSteady, roundsToWarm(func(round int) []float64 {
		return []float64{100, 1000 * min(1.6, 1+float64(round)/10)}
	}), "one of the loads becomes quicker by small steps")
	require.Equal(t, 1+2*warmSteady, roundsToWarm(func(round int) []float64 {
		if round > warmSteady {
			return []float64{100, 1500}
		}
		return []float64{100, 1000}
	}), "what is hot is compiled after a while")
	require.Equal(t, 1+warmSteady, roundsToWarm(func(round int) []float64 {
		return []float64{100 + float64(round%4), 1000 + 80*float64(round%2)}
	}), "a drift of the machine is no gain")
	require.Equal(t, warmRounds, roundsToWarm(func(round int) []float64 { return []float64{float64(int(1) << round)} }), "and not for ever")
}

func TestServersAreWarmedUpByEachKindOfRequest(t *testing.T) {
	var by, bare []string
	for _, a := range acts() {
		if a.warm > 0 && !a.leaves(entrant{name: native}) {
			by = append(by, a.name)
		}
		if a.warm > 0 && !a.leaves(entrant{name: floorName}) {
			bare = append(bare, a.name)
		}
	}
	require.Equal(t, []string{"writes", "reads", "linearizable reads", "sessions", "one change to 100 watchers", "listing of 10,000 children"}, by)
	require.Equal(t, []string{"writes", "reads", "one change to 100 watchers", "listing of 10,000 children"}, bare)
}

func TestWhatIsCountedHasJustBeenPlayed(t *testing.T) {
	var played []time.Duration
	scene := act{play: func(_ *venue, _ entrant, length time.Duration) (figures, error) {
		played = append(played, length)
		return figures{rate: float64(len(played))}, nil
	}}
	f, err := scene.rehearsed(nil, entrant{}, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []time.Duration{rehearsal, time.Minute}, played)
	require.Equal(t, figures{rate: 2}, f, "of the second time")
	played, scene.asIs = nil, true
	_, err = scene.rehearsed(nil, entrant{}, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []time.Duration{time.Minute}, played)
}
