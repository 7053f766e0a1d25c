package pipeline

import (
	"bytes"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestALaneHoldsNothingOfAFrameWhoseWriteHasBeenApplied(t *testing.T) {
	core, log := newTestCore(t, Config{})
	lane := openLane(t, core, log, "a", &heldSink{name: "a", out: &strings.Builder{}})
	var freed atomic.Bool
	func() {
		r := createRequest(1, "/a", strings.Repeat("x", 1<<19))
		frame := bytes.Clone(r.Body)
		r.Body = frame
		runtime.SetFinalizer(&frame[0], func(*byte) { freed.Store(true) })
		require.NoError(t, lane.Submit(r))
		applyAll(t, core, log)
	}()
	require.Eventually(t, func() bool {
		runtime.GC()
		return freed.Load()
	}, 20*time.Second, time.Millisecond)
	require.Zero(t, lane.Depth())
	runtime.KeepAlive(lane)
}
