package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAClientThatPanicsIsAnErrorOfItsScene(t *testing.T) {
	err := eachOf(3, func(i int) error {
		if i == 1 {
			panic("index out of range")
		}
		return nil
	})
	require.ErrorContains(t, err, "panicked: index out of range")
	require.ErrorIs(t, err, errPanicked)
}

func TestAPanicFailsItsSceneAndEndsNoRun(t *testing.T) {
	r, err := openResults(t.TempDir() + "/results.json")
	require.NoError(t, err)
	defer r.file.Close()
	c := &comparison{results: r}
	scenes := []string{batchScene(million), snapshotScene, restartScene(million)}
	require.NoError(t, c.guarded(t.Context(), 1, scenes, "etcd", 2, func() error {
		require.NoError(t, c.note(t.Context(), 1, scenes[0], "etcd", 2, figures{rate: 1}, nil))
		panic("a bug")
	}))
	require.True(t, r.has(1, scenes[0], "etcd", 2))
	require.Len(t, r.Cells, 2)
	require.Equal(t, scenes[1], r.Cells[1].Scene)
	require.Contains(t, r.Cells[1].Error, "the load program panicked: a bug")
	full := errors.New("no space left on device")
	require.ErrorIs(t, c.guarded(t.Context(), 1, scenes, "etcd", 2, func() error { return full }), full, "without results there is no run")
	require.Len(t, r.Cells, 2)
}

func TestServersThatAreNotPreparedTellWhyTheyWereNotAtFirst(t *testing.T) {
	v := here(1)
	first, second := errors.New("too many open files"), errors.New("NodeExists")
	for _, why := range []error{first, second} {
		err := v.prepare(entrant{dial: func(string) (actor, error) { return nil, why }})
		require.ErrorIs(t, err, why)
		require.ErrorIs(t, err, first)
	}
	require.False(t, v.ready)
}

func TestAWordThatIsNoFlagBeginsNoRun(t *testing.T) {
	f := flagsOf("peers", peersHelp)
	f.String("only", "", "")
	require.NoError(t, parse(f, []string{"-only", "reads"}))
	require.ErrorContains(t, parse(f, []string{"-only", "reads", "writes"}), `"writes" is no flag`)
	require.ErrorContains(t, playFailover(t.Context(), "", "", "", "kill,freeze", 1, ""), `no fault "freeze"`)
}
