package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheBusiestServerIsToldBesideTheMean(t *testing.T) {
	mean, most := shares([]time.Duration{1, 2, 3}, []time.Duration{time.Second + 1, 2*time.Second + 2, 3}, 4*time.Second)
	require.InDelta(t, 25, mean, 1e-6)
	require.InDelta(t, 50, most, 1e-6)
}

func TestTheExampleIsMeasuredOnThreeServersAlone(t *testing.T) {
	require.Equal(t, []string{"fixed rate, 2,000 writes/s", "fixed rate, 8,000 writes/s"}, fixedScenes(1))
	require.Equal(t, append(fixedScenes(1), exampleLoad.scene), fixedScenes(3))
	require.Empty(t, fixedScenes(5))
	require.InDelta(t, exampleWrites, float64(exampleLoad.perSecond*exampleLoad.writes)/100, 20)
}
