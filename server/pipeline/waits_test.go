package pipeline

import (
	"sync"
	"testing"

	"github.com/lycaon-io/lycaon/protocol"
)

// The race detector is the judge.
func TestTheNoopUnderWayMayBeAskedForWhileOneIsApplied(t *testing.T) {
	c, log := newTestCore(t, Config{})
	lane := openLane(t, c, log, "a", &nullSink{})
	stop := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				c.Stats()
			}
		}
	})
	for i := range 1000 {
		lane.TrySubmit(readRequest(protocol.OpSync, uint64(i+1), ""))
		applyAll(t, c, log)
	}
	close(stop)
	asking.Wait()
}
