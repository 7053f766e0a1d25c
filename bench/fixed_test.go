package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheBusiestServerIsToldBesideTheMean(t *testing.T) {
	mean, most := shares([]time.Duration{1, 2, 3}, []time.Duration{time.Second + 1, 2*time.Second + 2, 3}, 4*time.Second)
	require.InDelta(t, 25, mean, 1e-6)
	require.InDelta(t, 50, most, 1e-6)
}

func TestEachFixedRateHasARow(t *testing.T) {
	told := func(cells ...cell) string {
		var b strings.Builder
		summarizeCells(cells).tellFixed(&b)
		return b.String()
	}
	require.Empty(t, told(), "results older than the scenes")
	of := func(f fixedLoad, servers int, cpu float64) cell {
		return cell{Servers: servers, Scene: f.scene, Entrant: alone, Run: 1, Figures: figures{p50Ms: 0.5, p99Ms: 2, cpuPerK: cpu, idlePercent: 30, busiestPercent: 40}}
	}
	text := told(of(fixedLoads[0], 1, 0.3), of(fixedLoads[1], 1, 0.09), of(exampleLoad, 3, 0.07))
	for _, part := range []string{"| 2,000 writes/s | 32 | 1 | 0.5 | 2 | 300 | 30 | 40 |\n| 8,000 writes/s | 32 | 1 | 0.5 | 2 | 90 | 30 | 40 |\n",
		"| 15,000 reads/s and 1,500 writes/s | 1,000 | 3 | 0.5 | 2 | 70 | 30 | 40 |\n", "- No cliff: on 1 server each of 8,000 writes/s costs 0.30 x what each of 2,000 writes/s does, since more share a batch.\n"} {
		require.Contains(t, text, part)
	}
}

func TestAFixedRateIsJudged(t *testing.T) {
	told := func(quick float64) string {
		var b strings.Builder
		summarizeCells([]cell{{Servers: 1, Scene: fixedLoads[0].scene, Entrant: alone, Run: 1, Figures: figures{p50Ms: 1, p99Ms: 21, cpuPerK: 0.1}},
			{Servers: 1, Scene: fixedLoads[1].scene, Entrant: alone, Run: 1, Figures: figures{p50Ms: 1, p99Ms: 19, cpuPerK: quick}}}).tellFixed(&b)
		return b.String()
	}
	require.Contains(t, told(0.21), "- **Cliff**: on 1 server each of 8,000 writes/s costs 2.10 x what each of 2,000 writes/s does.\n")
	require.Contains(t, told(0.15), "- No cliff: on 1 server each of 8,000 writes/s costs 1.50 x what each of 2,000 writes/s does.\n")
	require.Contains(t, told(0.15), "- **A long tail**: 2,000 writes/s, 1 server: p99 21 ms, 21 x its p50.\n")
	require.NotContains(t, told(0.15), "8,000 writes/s, 1 server: p99")
}

func TestTheExampleIsMeasuredOnThreeServersAlone(t *testing.T) {
	require.Equal(t, []string{"fixed rate, 2,000 writes/s", "fixed rate, 8,000 writes/s"}, fixedScenes(1))
	require.Equal(t, append(fixedScenes(1), exampleLoad.scene), fixedScenes(3))
	require.Empty(t, fixedScenes(5))
	require.InDelta(t, exampleWrites, float64(exampleLoad.perSecond*exampleLoad.writes)/100, 20)
}
