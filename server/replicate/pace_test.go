package replicate

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/state"
)

// slowSink works for a slice at each write and once more in Close.
type slowSink struct {
	writes int
	pace   func() error
	during func()
}

func (s *slowSink) SetPace(pace func() error) { s.pace = pace }
func (s *slowSink) ID() string                { return "slow" }
func (s *slowSink) Cancel() error             { return nil }

func (s *slowSink) Write(b []byte) (int, error) {
	s.writes++
	time.Sleep(paceSlice) // stands for work
	return len(b), nil
}

func (s *slowSink) Close() error {
	if s.during != nil {
		s.during()
	}
	return s.pace()
}

func TestASnapshotRestsUntilItIsWaitedForOrTheLogHasGrown(t *testing.T) {
	const threshold = 1000
	for name, c := range map[string]struct {
		grown   int64
		awaited int32
		rest    time.Duration
	}{
		"a full rest follows each slice of work":             {0, 0, paceRest * paceSlice},
		"half of it once the log has grown by the threshold": {threshold, 0, paceRest * paceSlice / 2},
		"none once it has grown by twice as much":            {2 * threshold, 0, 0},
		"nor later": {9 * threshold, 0, 0},
		"none while somebody waits for the snapshot": {0, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fsm{threshold: threshold, persisted: func(uint64) {}}
				f.counts.sinceBytes.Store(threshold + c.grown)
				f.awaited.Store(c.awaited)
				started := time.Now()
				var sink slowSink
				require.NoError(t, (&snapshot{fsm: f, image: state.New().Freeze(), bytes: threshold}).Persist(&sink))
				require.Greater(t, sink.writes, 1)
				require.Equal(t, time.Duration(sink.writes)*(paceSlice+c.rest), time.Since(started))
			})
		})
	}
}

func TestASnapshotEndsWithItsServerWhileItIsReadBack(t *testing.T) {
	f := &fsm{threshold: 1}
	sink := slowSink{during: func() { f.closing.Store(true) }}
	require.ErrorIs(t, (&snapshot{fsm: f, image: state.New().Freeze()}).Persist(&sink), ErrClosed)
}

func TestWhatHungIsNotMadeUpForByAPauseAsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pacer{rest: fullRest, since: time.Now()}
		time.Sleep(time.Minute)
		resumed := time.Now()
		require.NoError(t, p.pace())
		require.Equal(t, maxPause, time.Since(resumed))
	})
}
