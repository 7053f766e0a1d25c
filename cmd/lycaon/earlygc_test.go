package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestACollectionOfALargeHeapIsBegunBeforeItsGoalIsNear(t *testing.T) {
	const MiB = 1 << 20
	large := headroom{scanned: 300 * MiB, live: 400 * MiB, goal: 680 * MiB, objects: 400 * MiB, allocated: 1, percent: slowHeapPercent}
	with := func(change func(*headroom)) headroom {
		h := large
		change(&h)
		return h
	}
	for name, c := range map[string]struct {
		is      headroom
		percent int
		begun   bool
	}{
		"as soon as it has come so far":          {with(func(h *headroom) { h.objects = 588 * MiB }), 0, true},
		"not earlier":                            {with(func(h *headroom) { h.objects = 587 * MiB }), 0, false},
		"nor when Go may have begun one":         {with(func(h *headroom) { h.objects = 596 * MiB }), 0, false},
		"one that is large gets more room first": {with(func(h *headroom) { h.percent, h.objects = gcPercent, 590*MiB }), slowHeapPercent, false},
		"one that is small no longer":            {with(func(h *headroom) { h.scanned, h.objects = 10*MiB, 590*MiB }), gcPercent, false},
		"a start has a percentage of its own":    {with(func(h *headroom) { h.percent, h.objects = 1234, 590*MiB }), 0, false},
		"a goal lowered by a limit":              {with(func(h *headroom) { h.goal, h.objects = 599*MiB, 535*MiB }), 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			percent, begun := 0, false
			s := collections{now: func() headroom { return c.is }, percent: func(p int) { percent = p }, begin: func() { begun = true }}
			s.look(time.Time{})
			require.Equal(t, c.percent, percent)
			require.Equal(t, c.begun, begun)
		})
	}
}

func TestTheHeapIsLookedAtMoreOftenTheSoonerACollectionIsDue(t *testing.T) {
	const MiB = 1 << 20
	h := headroom{scanned: 300 * MiB, live: 400 * MiB, goal: 600 * MiB, objects: 400 * MiB, allocated: 1 * MiB, percent: slowHeapPercent}
	s := collections{now: func() headroom { return h }, begin: func() {}}
	var at time.Time
	require.Equal(t, maxLook, s.look(at), "at first nothing is known")
	at = at.Add(time.Second)
	require.Equal(t, maxLook, s.look(at), "nothing is allocated")
	at = at.Add(time.Second)
	h.objects, h.allocated = 480*MiB, h.allocated+80*MiB
	require.InDelta(t, 0.3375, s.look(at).Seconds(), 0.01, "half of the 54 MiB that are left, at 80 a second")
	at = at.Add(337 * time.Millisecond)
	h.objects, h.allocated = 533*MiB, h.allocated+53*MiB
	require.Equal(t, minLook, s.look(at))
}

func TestAHeapAtRestIsLookedAtWhenAServerIsAwakeAnyway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(300 * time.Millisecond) // behind a whole second, at which a bubble begins
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		looks := 0
		c := collections{now: func() headroom {
			looks++
			require.Zero(t, time.Now().Nanosecond())
			return headroom{percent: gcPercent}
		}}
		c.attend(ctx)
		require.Equal(t, 5, looks)
	})
}
