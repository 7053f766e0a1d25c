package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAProcessRestsFromWhenItHasUsedHardlyAnyCPUUntilItUsesMore(t *testing.T) {
	t.Parallel()
	type stretch struct{ lasts, busy time.Duration } // of each second
	const (
		sec   = time.Second
		calm  = 30 * time.Millisecond
		light = 60 * time.Millisecond
		burst = sec / 2
		end   = 19*sec + restLook/2
	)
	for name, c := range map[string]struct {
		does []stretch
		want []time.Duration // when it begins and ceases to rest, in turn
	}{
		"nothing to do":           {[]stretch{{20 * sec, 0}}, []time.Duration{3 * sec, end}},
		"hardly anything to do":   {[]stretch{{20 * sec, calm}}, []time.Duration{3 * sec, end}},
		"a light load":            {[]stretch{{20 * sec, light}}, nil},
		"a burst":                 {[]stretch{{10 * sec, 0}, {sec, burst}, {9 * sec, 0}}, []time.Duration{3 * sec, 10*sec + restLook, 14 * sec, end}},
		"a short burst":           {[]stretch{{10 * sec, 0}, {restLook / 2, burst}, {9 * sec, 0}}, []time.Duration{3 * sec, 10*sec + restLook, 13*sec + restLook, end}},
		"a load that grows":       {[]stretch{{10 * sec, 0}, {10 * sec, light}}, []time.Duration{3 * sec, 12 * sec}},
		"a burst before it rests": {[]stretch{{2 * sec, 0}, {sec, burst}, {9 * sec, 0}}, []time.Duration{6 * sec, end}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				used := func() (now spent) {
					at := time.Since(begun)
					for _, s := range c.does {
						now.cpu += min(at, s.lasts) * s.busy / sec
						at -= min(at, s.lasts)
					}
					return now
				}
				ctx, cancel := context.WithTimeout(t.Context(), end)
				defer cancel()
				var got []time.Duration
				watchRest(ctx, used, func(resting bool) {
					require.Equal(t, len(got)%2 == 0, resting)
					got = append(got, time.Since(begun))
				})
				require.Equal(t, c.want, got)
			})
		})
	}
}

func TestWhoHasMoreToDoThanTheCPUTellsDoesNotRest(t *testing.T) {
	t.Parallel()
	const sec = time.Second
	for name, c := range map[string]struct {
		before, now spent
		want        bool
	}{
		"hardly any CPU":           {spent{at: sec, cpu: sec / 2}, spent{at: sec + restLook, cpu: sec/2 + 1}, true},
		"much":                     {spent{at: sec, cpu: sec / 2}, spent{at: sec + restLook, cpu: sec}, false},
		"it stood still meanwhile": {spent{at: sec, cpu: sec / 2}, spent{at: 31 * sec, cpu: sec/2 + 1}, false},
		"a page was not there":     {spent{at: sec, cpu: sec / 2}, spent{at: sec + restLook, cpu: sec/2 + 1, pages: 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := restful{calm: spent{at: c.now.at - restAfter, cpu: c.before.cpu}, last: c.before, resting: true}
			require.Equal(t, c.want, r.look(c.now))
		})
	}
}

func TestLooksAreAtTheSameMomentsOfTheClock(t *testing.T) {
	t.Parallel()
	whole := time.Unix(1_700_000_000, 0)
	for at, want := range map[time.Duration]time.Duration{
		0:                              restLook,
		time.Millisecond:               restLook - time.Millisecond,
		restLook - time.Nanosecond:     restLook + time.Nanosecond,
		restLook / 2:                   restLook / 2,
		time.Second - time.Microsecond: restLook + time.Microsecond,
	} {
		require.Equal(t, want, untilLook(whole.Add(at), restLook), at)
	}
}
