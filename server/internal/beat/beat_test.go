package beat

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatIsDoneAgainAndAgainIsDoneTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, every := range []time.Duration{time.Second / 12, time.Second / 6, time.Second / 4, time.Second / 2, time.Second} {
			for begun := range 200 {
				time.Sleep(time.Duration(begun) * 77 * time.Millisecond)
				wait := Next(every)
				require.GreaterOrEqual(t, wait, every/soon)
				require.Less(t, wait, every+every/soon+time.Microsecond)
				time.Sleep(wait)
				twelfths := float64(time.Now().UnixNano()%int64(time.Second)) * 12 / float64(time.Second)
				require.InDelta(t, math.Round(twelfths), twelfths, 1e-4, "of a second")
				require.InDelta(t, every, Next(every), float64(time.Microsecond))
			}
		}
	})
}

func TestAWaitEndsAtTheNextMultiple(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const grid = 100 * time.Millisecond
		for _, c := range []struct{ at, wait, want time.Duration }{
			{0, 0, 0},
			{0, 1, grid},
			{1, 0, grid - 1},
			{1, grid - 1, grid - 1},
			{30 * time.Millisecond, 250 * time.Millisecond, 270 * time.Millisecond},
		} {
			time.Sleep(time.Second - time.Duration(time.Now().UnixNano()%int64(time.Second)) + c.at)
			require.Equal(t, c.want, After(c.wait, grid), "%v %v", c.at, c.wait)
		}
	})
}

func TestAClockThatIsBehindDoesNotHaveAnIntervalEndAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Second - time.Millisecond)
		require.Equal(t, time.Second+time.Millisecond, Next(time.Second))
	})
}
