package main

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	tryTimeout  = 250 * time.Millisecond // of one try, for clients that have no idea of their own
	probeTry    = 100 * time.Millisecond // of one try at one server
	redialAfter = 5 * time.Millisecond
	warmWrites  = 100
)

// view is what the writers of one kind see of a fault: where they are
// connected, and how long they wait.
type view struct {
	name     string
	sessions []session
	try      time.Duration // 0: the client's own, as long as the fault is waited for
	counts   bool          // whether its failures are a program's
	also     *view         // told of every answer

	mu        sync.Mutex
	struck    time.Time
	after     time.Time // when the fault was sure to be there: only writes begun later tell
	recovered time.Time // when the first write begun after the fault was answered
	last      time.Time // answer
	gap       time.Duration
	done      chan struct{} // closed when recovered

	writes, failed atomic.Int64
	firstFailure   atomic.Pointer[error]
}

func newView(name string, try time.Duration, counts bool, sessions ...session) *view {
	return &view{name: name, sessions: sessions, try: try, counts: counts, done: make(chan struct{})}
}

// run writes on all sessions, each in a closed loop, until ctx ends; the last
// write of each is awaited.
func (v *view) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range v.sessions {
		wg.Go(func() {
			for ctx.Err() == nil {
				v.writeOnce(s)
			}
		})
	}
	wg.Wait()
}

func (v *view) writeOnce(s session) {
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(v.try, recoverWithin))
	defer cancel()
	begun := time.Now()
	if err := safely(func() error { return s.write(ctx) }); err != nil {
		v.failed.Add(1)
		v.firstFailure.CompareAndSwap(nil, &err)
		time.Sleep(redialAfter)
		return
	}
	now := time.Now()
	v.answered(begun, now)
	if v.also != nil {
		v.also.answered(begun, now)
	}
}

func (v *view) answered(begun, now time.Time) {
	v.writes.Add(1)
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.last.IsZero() && now.After(v.last) {
		v.gap = max(v.gap, now.Sub(v.last))
	}
	v.last = now
	if !v.after.IsZero() && v.recovered.IsZero() && begun.After(v.after) {
		v.recovered = now
		close(v.done)
	}
}

// begin forgets what the start of the ensemble cost.
func (v *view) begin() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.gap = 0
}

// strike notes the moment of the fault.
func (v *view) strike(at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.struck, v.after = at, time.Now()
}

// sighting is what a view saw in one round.
type sighting struct {
	RecoveredS     float64 `json:"recovered_s"` // from the fault to the answer of the first write begun after it
	GapS           float64 `json:"gap_s"`       // longest between two answers, from before the fault until the server was back
	Writes         int64   `json:"writes"`
	Failed         int64   `json:"failed"`
	SessionsLost   int     `json:"sessions_lost"`
	EphemeralsLost int     `json:"ephemerals_lost"`
	Failure        string  `json:"failure,omitempty"` // the first one
}

// conclude asks for the sessions, after run has returned.
func (v *view) conclude(ctx context.Context) (sighting, error) {
	s := sighting{Writes: v.writes.Load(), GapS: v.gap.Seconds()}
	if !v.recovered.IsZero() {
		s.RecoveredS = v.recovered.Sub(v.struck).Seconds()
	}
	if !v.counts {
		return s, nil
	}
	s.Failed = v.failed.Load()
	if err := v.firstFailure.Load(); err != nil {
		s.Failure = (*err).Error()
	}
	for _, c := range v.sessions {
		ctx, cancel := context.WithTimeout(ctx, sessionLength)
		session, ephemeral, err := c.survives(ctx)
		cancel()
		if err != nil {
			return s, err
		}
		if !session {
			s.SessionsLost++
		}
		if !ephemeral {
			s.EphemeralsLost++
		}
	}
	return s, nil
}

func (v *view) close() {
	for _, s := range v.sessions {
		s.close()
	}
}
