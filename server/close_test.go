package server

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatHangsIsNotWaitedForBeyondTheContext(t *testing.T) {
	hung := make(chan struct{})
	defer close(hung)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := within(ctx, "close it", func() error { <-hung; return nil })
	require.ErrorIs(t, err, errHangs)
	require.ErrorContains(t, err, "close it")
	failed := errors.New("failed")
	require.ErrorIs(t, within(t.Context(), "close it", func() error { return failed }), failed)
}

func TestAServerThatStopsIsNotReady(t *testing.T) {
	s := start(t, local(t))
	require.NoError(t, s.condition())
	stop(t, s)
	require.ErrorContains(t, s.condition(), "stopping")
}
