package pipeline

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// TestConnectionsMayBeClosedBesideEverything closes lanes from a goroutine of
// its own while others submit and one applies; the race detector and the counts
// that must come back to nothing are the judges.
func TestConnectionsMayBeClosedBesideEverything(t *testing.T) {
	const clients, rounds = 6, 60
	log := &lossyLog{rng: rand.New(rand.NewPCG(3, 3)), more: make(chan struct{}, 1)}
	c := New(Config{Origin: testOrigin, MaxLaneRequests: 20, MaxLanesBytes: 30 << 10})
	c.SetLog(log)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		applyUntil(t, c, log, stop)
	}()

	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() { closedClient(c, i, rounds) })
	}
	closing, served := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(closing)
		for i := 0; ; i++ {
			select {
			case <-served:
				return
			default:
			}
			c.CutOff(time.Duration(i%12) * time.Second)
			if i%20 == 0 {
				c.CloseAll(protocol.NotReady, "begins anew")
			}
			c.Resend()
			c.Stats()
		}
	}()
	all.Wait()
	close(served)
	<-closing
	c.CloseAll(protocol.Closing, "the end")
	close(stop)
	<-stopped
	st := c.Stats()
	require.Zero(t, st.LaneBytes)
	require.Zero(t, st.Parked)
	require.Zero(t, st.Lanes)
	require.Zero(t, st.Guests)
	require.Zero(t, st.Arrivals)
	require.Zero(t, st.Watches)
	require.False(t, st.NoopInFlight)
	require.Positive(t, st.CutOff)
	require.Empty(t, c.waits.zxids)
	require.Empty(t, c.waits.present)
}

// closedClient opens a session as often as it takes and goes on until its lane
// is closed.
func closedClient(c *Core, i, rounds int) {
	rng := rand.New(rand.NewPCG(4, uint64(i)))
	for round := range rounds {
		opened := make(chan *Lane, 1)
		c.Open(OpenParams{PasswordHash: passwordHash(fmt.Sprint(i, round)), TimeoutMs: int64(1+i) * 1000}, &nullSink{},
			func(l *Lane, _ Opened, _ protocol.Code, _ string) { opened <- l })
		lane := <-opened
		if lane == nil {
			continue
		}
		for xid := uint64(1); xid <= 40; xid++ {
			if lane.Submit(stressRequest(rng, xid, fmt.Sprintf("/c%d", i))) != nil {
				break
			}
		}
	}
}
