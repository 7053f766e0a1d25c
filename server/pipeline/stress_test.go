package pipeline

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
)

// lossyLog hands what it is given to whoever applies, and loses some.
type lossyLog struct {
	mu    sync.Mutex
	held  heldLog
	rng   *rand.Rand
	lossy bool
	lost  atomic.Bool
	more  chan struct{}
}

func (l *lossyLog) Append(t *state.Txn) (kept []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lossy && l.rng.IntN(50) == 0 {
		l.lost.Store(true)
	} else {
		kept = l.held.Append(t)
	}
	select {
	case l.more <- struct{}{}:
	default:
	}
	return kept
}

func (l *lossyLog) take() []state.Txn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held.take(200)
}

// countingSink checks the order of the replies as they are pushed, which is
// the order of the requests for all but pings.
type countingSink struct {
	mu      sync.Mutex
	t       *testing.T
	last    uint64
	event   uint64
	broken  string
	closed  bool
	arrived chan struct{}
	want    uint64
}

func (s *countingSink) Push(m *protocol.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		s.broken = "pushed after it was closed"
	case m.Kind == protocol.Event && m.Event != protocol.EventProgress:
		if m.Zxid < s.event {
			s.broken = fmt.Sprintf("event at %d after %d", m.Zxid, s.event)
		}
		s.event = m.Zxid
	case m.Kind == protocol.Event || m.Op == protocol.OpPing:
	case m.Xid != s.last+1:
		s.broken = fmt.Sprintf("reply %d after %d", m.Xid, s.last)
	default:
		s.last = m.Xid
	}
}

func (s *countingSink) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == s.want && s.arrived != nil {
		close(s.arrived)
		s.arrived = nil
	}
}

func (s *countingSink) Close(protocol.Code, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// TestManyClientsAtOnce drives one Core from many goroutines, over a log that
// loses and repeats, with bounds so small that every reader waits for credit.
func TestManyClientsAtOnce(t *testing.T) {
	const clients, requests = 8, 1500
	log := &lossyLog{rng: rand.New(rand.NewPCG(1, 1)), more: make(chan struct{}, 1)}
	c := New(Config{Origin: testOrigin, MaxLaneRequests: 20, MaxLanesBytes: 30 << 10, RingEffects: 64})
	c.SetLog(log)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		applyUntil(t, c, log, stop)
	}()

	sinks := make([]*countingSink, clients)
	var all sync.WaitGroup
	for i := range clients {
		sinks[i] = &countingSink{t: t, want: requests, arrived: make(chan struct{})}
		all.Go(func() { stressClient(t, c, i, sinks[i], requests) })
	}
	log.mu.Lock()
	log.lossy = true
	log.mu.Unlock()
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		for range 200 {
			c.Stats()
			c.Touched()
			c.Freeze()
			if guest := c.Guest(&countingSink{t: t}, nil); guest != nil { // nil while the lanes are full
				guest.Detach()
			}
		}
	}()
	all.Wait()
	<-watching
	close(stop)
	<-stopped
	for i, s := range sinks {
		require.Empty(t, s.broken, "client %d", i)
		require.EqualValues(t, requests, s.last, "client %d", i)
	}
	st := c.Stats()
	require.Zero(t, st.LaneBytes)
	require.Zero(t, st.Parked)
	require.Zero(t, st.Lanes)
	require.Positive(t, st.Resent)
	require.Positive(t, st.LaneFull)
	require.Zero(t, st.Broken)
}

// applyUntil is the log's goroutine: it applies, and sends again what was lost.
func applyUntil(t *testing.T, c *Core, log *lossyLog, stop chan struct{}) {
	for {
		txns := log.take()
		if len(txns) == 0 {
			if log.lost.Swap(false) {
				c.Resend()
				continue
			}
			select {
			case <-log.more:
			case <-stop:
				return
			}
			continue
		}
		if err := c.Apply(batchOf(1000, txns...)); err != nil {
			t.Error(err)
			return
		}
	}
}

func stressClient(t *testing.T, c *Core, i int, sink *countingSink, requests uint64) {
	opened := make(chan *Lane, 1)
	c.Open(OpenParams{PasswordHash: passwordHash(fmt.Sprint(i)), TimeoutMs: 10_000}, sink, func(l *Lane, _ Opened, code protocol.Code, detail string) {
		if code != protocol.OK {
			t.Errorf("open: %v %s", code, detail)
		}
		opened <- l
	})
	lane, arrived := <-opened, sink.arrived
	rng := rand.New(rand.NewPCG(2, uint64(i)))
	path := fmt.Sprintf("/c%d", i)
	for xid := uint64(1); xid <= requests; xid++ {
		if err := lane.Submit(stressRequest(rng, xid, path)); err != nil {
			t.Error(err)
		}
		if xid%10 == 0 {
			lane.TrySubmit(&protocol.Request{Op: protocol.OpPing, Xid: xid})
		}
	}
	<-arrived
	lane.Detach()
	if err := lane.Submit(readRequest(protocol.OpGet, 1, "/")); err != ErrLaneClosed {
		t.Errorf("a detached lane answers %v", err)
	}
}

func stressRequest(rng *rand.Rand, xid uint64, path string) *protocol.Request {
	var r *protocol.Request
	switch rng.IntN(8) {
	case 0:
		return createRequest(xid, path, "first")
	case 1, 2, 3:
		return setRequest(xid, path, fmt.Sprint(xid))
	case 4:
		r = readRequest(protocol.OpGet, xid, path)
		r.Read.Watch = true
	case 5:
		r = readRequest(protocol.OpSync, xid, "")
	case 6:
		r = &protocol.Request{Op: protocol.OpWatch, Xid: xid, Watches: []protocol.Watch{{Path: "/", Mode: protocol.WatchRecursive}}}
	default:
		r = readRequest(protocol.OpExists, xid, path)
		r.Consistency = protocol.Consistency(rng.IntN(3))
		r.Arg = xid
	}
	return r
}
