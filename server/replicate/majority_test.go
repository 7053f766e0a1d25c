package replicate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestALeaderIsNotSureOfItselfForLongerThanItsMajoritySaid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		confirmed []time.Duration // when answered heartbeats were sent
		asked     time.Duration
		want      time.Duration
	}{
		"answered just now":                             {[]time.Duration{1000}, 1000, 0},
		"answered a heartbeat timeout ago":              {[]time.Duration{1000}, 1300, 0},
		"answered longer ago than that":                 {[]time.Duration{1000}, 1301, 301},
		"answered again":                                {[]time.Duration{1000, 1250}, 1550, 0},
		"answered again, and longer ago than that":      {[]time.Duration{1000, 1250}, 1551, 301},
		"not answered since before it was asked at all": {[]time.Duration{600}, 1000, 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var a assurance
			var got time.Duration
			// It is asked all the time, so that it has kept something whenever it may.
			for now := 1000 * time.Millisecond; now <= c.asked*time.Millisecond; now += time.Millisecond {
				got = a.silence(now, func() time.Duration {
					var newest time.Duration
					for _, at := range c.confirmed {
						if at *= time.Millisecond; at <= now {
							newest = at
						}
					}
					return now - newest
				})
			}
			require.Equal(t, c.want*time.Millisecond, got)
		})
	}
}

func TestALeaderLooksAtItsMajorityNowAndThen(t *testing.T) {
	t.Parallel()
	var a assurance
	looks := 0
	for now := time.Duration(0); now < time.Second; now += time.Millisecond {
		require.Zero(t, a.silence(now, func() time.Duration {
			looks++
			return 0
		}))
	}
	require.Equal(t, int(time.Second/assuredFor), looks)
}
