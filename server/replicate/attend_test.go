package replicate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestThatNobodyLeadsIsSaidNowAndThen(t *testing.T) {
	var l leaderlessness
	start := time.Now()
	var said []time.Duration
	for at := time.Duration(0); at <= 25*time.Second; at += 500 * time.Millisecond {
		if _, tell := l.look(false, start.Add(at)); tell {
			said = append(said, at)
		}
	}
	require.Equal(t, []time.Duration{unreachableAfter, unreachableAfter + foundingReminder, unreachableAfter + 2*foundingReminder}, said)
	_, tell := l.look(true, start.Add(26*time.Second))
	require.False(t, tell)
	lasts, tell := l.look(false, start.Add(27*time.Second))
	require.False(t, tell)
	require.Zero(t, lasts, "a new one begins")
}
