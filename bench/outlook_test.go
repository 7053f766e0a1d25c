package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheEndIsForetoldByWhatTheLikeTook(t *testing.T) {
	first, last := cellKey{1, "reads", "etcd", 1}, cellKey{1, "reads", "etcd", 2}
	o := outlook{length: time.Second, ahead: []cellKey{first, {1, idleScene, "etcd", 1}, {1, "sessions", "etcd", 1}, last}}
	begin := time.Unix(1000, 0)
	o.begin(begin)
	guessed := o.end()
	require.Greater(t, guessed.Sub(begin), 3*time.Second, "by guesses")
	o.done(first, begin.Add(20*time.Second))
	require.Equal(t, 20*time.Second-o.guess("reads")+20*time.Second-o.guess("reads"), o.end().Sub(guessed), "two that take longer than it was guessed")
	o.done(cellKey{1, "sessions", "etcd", 1}, begin.Add(21*time.Second))
	require.Equal(t, []cellKey{last}, o.ahead, "what was passed over does not come any more")
	o.done(cellKey{5, "unheard of", "etcd", 1}, begin.Add(22*time.Second))
	require.Equal(t, begin.Add(41*time.Second), o.end())
}

func TestEverythingIsPlannedBeforeItIsMeasured(t *testing.T) {
	r, err := openResults(t.TempDir() + "/results.json")
	require.NoError(t, err)
	require.NoError(t, r.add(newCell(1, "reads", "etcd", 1, figures{rate: 1}, nil)))
	c := comparison{servers: []int{1, 3}, runs: 2, bulkRuns: 1, millions: []int{1}, names: "etcd;floor", results: r}
	c.planning = true
	require.NoError(t, c.all(t.Context()))
	ahead := c.outlook.ahead
	require.NotContains(t, ahead, cellKey{1, "reads", "etcd", 1}, "it is there")
	for _, k := range []cellKey{{1, "reads", "etcd", 2}, {1, "reads", floorName, 1}, {3, killScene, "etcd", 2}, {3, createScene(hundredThousand), "etcd", 1}, {1, snapshotScene, "etcd", 1}} {
		require.Contains(t, ahead, k)
	}
	for _, k := range []cellKey{{3, "reads", floorName, 1}, {1, createScene(hundredThousand), "etcd", 2}, {3, snapshotScene, "etcd", 1}} {
		require.NotContains(t, ahead, k)
	}
}
