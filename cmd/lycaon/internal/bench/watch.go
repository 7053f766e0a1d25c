package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/client"
)

const (
	toldWithin = 5 * time.Second // after the last change
	lookEvery  = 5 * time.Millisecond
)

// moment is a change, or the news of it.
type moment struct {
	zxid uint64
	at   time.Time
}

// watcher notes what one session is told.
type watcher struct {
	mu   sync.Mutex
	told []moment // in the order of their zxids
	err  error
}

// watch changes one node at a rate, and takes the time from each change to its
// news in every session.
func (r *runner) watch(ctx context.Context, g Goal) (Result, error) {
	watchers := make([]*watcher, len(r.sessions))
	var reading sync.WaitGroup
	defer reading.Wait()
	for i, c := range r.sessions {
		w, err := c.Watch(ctx, r.watched())
		if err != nil {
			return Result{}, err
		}
		defer w.Close()
		watchers[i] = &watcher{}
		reading.Go(func() { watchers[i].read(w) })
	}
	var mu sync.Mutex
	var changes []moment
	t := pace(ctx, g.Rate, r.Length, func(ctx context.Context, worker int, begin time.Time) error {
		st, err := r.sessions[worker%len(r.sessions)].Set(ctx, r.watched(), r.value)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		changes = append(changes, moment{st.Mzxid, begin})
		return nil
	})
	slices.SortFunc(changes, func(a, b moment) int { return cmp.Compare(a.zxid, b.zxid) })
	if len(changes) > 0 {
		awaitNews(ctx, watchers, changes[len(changes)-1].zxid)
	}
	t.took = nil
	for _, w := range watchers {
		w.match(changes, &t)
	}
	slices.Sort(t.took)
	return t.result(g), nil
}

func (w *watcher) read(from *client.Watch) {
	for event, err := range from.All() {
		w.mu.Lock()
		if w.err = err; err == nil {
			w.told = append(w.told, moment{event.Zxid, time.Now()})
		}
		w.mu.Unlock()
	}
}

// awaitNews returns when every watcher has been told up to a change, or should
// have been long ago.
func awaitNews(ctx context.Context, watchers []*watcher, zxid uint64) {
	for end := time.Now().Add(toldWithin); ctx.Err() == nil && time.Now().Before(end); time.Sleep(lookEvery) {
		if !slices.ContainsFunc(watchers, func(w *watcher) bool { return !w.has(zxid) }) {
			return
		}
	}
}

func (w *watcher) has(zxid uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.told) > 0 && w.told[len(w.told)-1].zxid >= zxid
}

// match takes for each change the first news of it or of a later one: news of
// one node may be merged.
func (w *watcher) match(changes []moment, t *tally) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := 0
	for _, c := range changes {
		for i < len(w.told) && w.told[i].zxid < c.zxid {
			i++
		}
		if i == len(w.told) {
			t.failed++
			t.failure = cmp.Or(t.failure, w.err, fmt.Errorf("a session was not told of a change within %v", toldWithin))
			continue
		}
		t.took = append(t.took, w.told[i].at.Sub(c.at))
	}
}
