package bench

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// mostInFlight bounds the requests that wait for their answers at once.
	// Those that come due beyond it wait here, which counts.
	mostInFlight = 4096

	// timerSlack is how late a timer may wake without the server being charged
	// for it: they are good for a millisecond.
	timerSlack = 2 * time.Millisecond
)

// request is one request of a worker; what it takes counts from begin.
type request func(ctx context.Context, worker int, begin time.Time) error

// tally is what became of the requests of one workload.
type tally struct {
	took    []time.Duration // of those answered, and how long those had waited that never went out
	good    int
	failed  int
	failure error // the first one of a worker
	elapsed time.Duration
}

// pace sends requests at a rate for a length of time. A request that goes out
// late, because the workers were waiting for answers, counts from when it was
// due, and one that never went out as long as it had waited by the end: a server
// that stalls is charged for all that came due meanwhile.
func pace(ctx context.Context, rate float64, length time.Duration, do request) tally {
	start := time.Now()
	count := int(max(1, rate*length.Seconds()))
	due := func(i int) time.Time { return start.Add(time.Duration(float64(i) / rate * float64(time.Second))) }
	end := start.Add(length)
	ticking, stop := context.WithDeadline(ctx, end)
	defer stop()
	queue, sent := make(chan time.Time), 0
	go func() {
		defer close(queue)
		for ; sent < count && waitUntil(ticking, due(sent)); sent++ {
			select {
			case queue <- due(sent):
			case <-ticking.Done():
				return
			}
		}
	}()
	t := work(ctx, min(mostInFlight, count), do, func() (time.Time, bool) {
		due, ok := <-queue
		if now := time.Now(); now.Sub(due) < timerSlack {
			return now, ok
		}
		return due, ok
	})
	for range queue { // closed, or about to be if ctx has ended
	}
	for i := sent; i < count; i++ {
		t.took = append(t.took, end.Sub(due(i)))
	}
	slices.Sort(t.took)
	t.elapsed = max(t.elapsed, length)
	return t
}

func waitUntil(ctx context.Context, due time.Time) bool {
	wait := time.Until(due)
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// press keeps a number of requests in flight for a length of time.
func press(ctx context.Context, inFlight int, length time.Duration, do request) tally {
	end := time.Now().Add(length)
	t := work(ctx, inFlight, do, func() (time.Time, bool) {
		now := time.Now()
		return now, now.Before(end)
	})
	slices.Sort(t.took)
	return t
}

// work has workers do requests for as long as next says when one begins.
func work(ctx context.Context, workers int, do request, next func() (begin time.Time, ok bool)) tally {
	start := time.Now()
	parts := make([]tally, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			part := &parts[w]
			for ctx.Err() == nil {
				begin, ok := next()
				if !ok {
					return
				}
				part.add(do(ctx, w, begin), time.Since(begin))
			}
		})
	}
	wg.Wait()
	whole := tally{elapsed: time.Since(start)}
	for i := range parts {
		whole.took = append(whole.took, parts[i].took...)
		whole.good += parts[i].good
		whole.failed += parts[i].failed
		whole.failure = cmp.Or(whole.failure, parts[i].failure)
	}
	return whole
}

func (t *tally) add(err error, took time.Duration) {
	if err != nil {
		t.failed++
		t.failure = cmp.Or(t.failure, err)
		return
	}
	t.good++
	t.took = append(t.took, took)
}

// at is the duration that so many per cent are no longer than.
func (t *tally) at(percent int) time.Duration {
	if len(t.took) == 0 {
		return 0
	}
	return t.took[max(0, len(t.took)*percent-1)/100]
}
