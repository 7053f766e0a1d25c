package main

import (
	"testing"

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
	require.Equal(t, 10+warmSteady, roundsToWarm(func(round int) []float64 {
		return []float64{100, 1000 * min(1.2, 1+float64(round)/50)}
	}), "one of the loads becomes quicker by small steps")
	require.Equal(t, warmSteady+warmSteady, roundsToWarm(func(round int) []float64 {
		if round >= warmSteady {
			return []float64{100, 1500}
		}
		return []float64{100, 1000}
	}), "what is hot is compiled after a while")
	require.Equal(t, 1+warmSteady, roundsToWarm(func(round int) []float64 {
		return []float64{100 + float64(round%4), 1000 + 40*float64(round%2)}
	}), "a drift of the machine is no gain")
	require.Equal(t, warmRounds, roundsToWarm(func(round int) []float64 { return []float64{float64(int(1) << round)} }), "and not for ever")
}
