package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// stalling is a client whose server does nothing for a while.
type stalling struct {
	until  time.Time
	calls  atomic.Int64
	refuse bool
}

func (s *stalling) answer() error {
	s.calls.Add(1)
	time.Sleep(max(time.Millisecond, time.Until(s.until)))
	if s.refuse {
		return errors.New("refused")
	}
	return nil
}

func (s *stalling) get(context.Context, int, protocol.Consistency) error { return s.answer() }
func (s *stalling) set(context.Context, int) error                       { return s.answer() }
func (s *stalling) create(context.Context, string, []byte) error         { return s.answer() }
func (s *stalling) Close() error                                         { return nil }

// pipeOf is the same as a pipe: answers in order, one at a time.
type pipeOf struct {
	*stalling
	sent, acks uint64
}

func (p *pipeOf) get(int, protocol.Consistency) { p.sent++ }
func (p *pipeOf) set(int)                       { p.sent++ }
func (p *pipeOf) create(string, []byte)         { p.sent++ }
func (p *pipeOf) createAll([]string, []byte)    { p.sent++ }
func (p *pipeOf) flush() error                  { return nil }
func (p *pipeOf) asked() uint64                 { return p.sent }
func (p *pipeOf) answered() uint64              { return p.acks }
func (p *pipeOf) buffered() bool                { return p.acks < p.sent && !time.Now().Before(p.until) }
func (p *pipeOf) receive() error {
	time.Sleep(time.Until(p.until))
	p.acks++
	if p.refuse {
		return zkError(-1)
	}
	return nil
}

func (p *pipeOf) await(until time.Time) (bool, error) {
	if p.buffered() {
		return true, nil
	}
	time.Sleep(min(time.Until(until), max(0, time.Until(p.until))))
	return p.buffered(), nil
}

func TestWhatCameDueInAStallCountsFromThen(t *testing.T) {
	for name, open := range map[string]func(s *stalling) loader{
		"a client with calls": func(s *stalling) loader { return callLoader{s} },
		"a pipe":              func(s *stalling) loader { return pipeLoader{&pipeOf{stalling: s}} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				l := open(&stalling{until: start.Add(500 * time.Millisecond)})
				got, err := l.paced(workload{writes: 50}, 1, schedule{first: start, end: start.Add(time.Second), every: 10 * time.Millisecond})
				require.NoError(t, err)
				require.Len(t, got.answered, 100)
				r, err := got.result(time.Second, 0)
				require.NoError(t, err)
				require.InDelta(t, 490*time.Millisecond, r.p99, float64(10*time.Millisecond))
				require.InDelta(t, 450*time.Millisecond, r.p95, float64(10*time.Millisecond))
				require.Less(t, r.p50, 20*time.Millisecond)
			})
		})
	}
}

func TestRefusalsAreCounted(t *testing.T) {
	for _, l := range []loader{callLoader{&stalling{refuse: true}}, pipeLoader{&pipeOf{stalling: &stalling{refuse: true}}}} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			got, err := l.paced(workload{writes: 100}, 1, schedule{first: start, end: start.Add(time.Second), every: 10 * time.Millisecond})
			require.NoError(t, err)
			require.Equal(t, 100, got.refused)
			require.Empty(t, got.answered)
		})
	}
}

func TestWhatCannotBeSentForLongIsGivenUp(t *testing.T) {
	for _, open := range []func(s *stalling) loader{
		func(s *stalling) loader { return callLoader{s} },
		func(s *stalling) loader { return pipeLoader{&pipeOf{stalling: s}} },
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			l := open(&stalling{until: start.Add(sendWithin + 5*time.Second)})
			got, err := l.paced(workload{writes: 100}, 1, schedule{first: start, end: start.Add(10 * time.Second), every: time.Millisecond})
			require.NoError(t, err)
			require.InDelta(t, 10_000, len(got.answered)+got.refused, 1)
			require.InDelta(t, 5000-mostInFlight, got.refused, 10)
		})
	}
}

func TestTheSharesOfAllConnectionsAreTheRate(t *testing.T) {
	start := time.UnixMilli(0)
	end := start.Add(time.Second)
	seen := map[time.Time]bool{}
	for i := range 32 {
		s := share(start, end, 8000, 32, i)
		for n := 0; s.due(n).Before(end); n++ {
			require.False(t, seen[s.due(n)], "two at once")
			seen[s.due(n)] = true
		}
	}
	require.Len(t, seen, 8000)
}

func TestPathsAreHandedOutOnce(t *testing.T) {
	next := counted(3, leaf)
	var got []string
	for path, ok := next(); ok; path, ok = next() {
		got = append(got, path)
	}
	require.Equal(t, []string{leaf(0), leaf(1), leaf(2)}, got)
}

func TestAPercentileIsOfThoseThatAreThere(t *testing.T) {
	for _, c := range []struct{ n, percent, want int }{{1, 95, 0}, {1, 99, 0}, {20, 95, 18}, {100, 95, 94}, {100, 99, 98}, {101, 99, 99}, {200, 99, 197}} {
		require.Equal(t, c.want, rank(c.n, c.percent), c)
	}
}

func TestAStallDoesNotPutOffTheSecondsBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := workload{conns: 8, writes: 100}
		begin := time.Now()
		var loaders []loader
		for range w.conns {
			loaders = append(loaders, callLoader{&stalling{until: begin.Add(2500 * time.Millisecond)}})
		}
		load := pace(loaders, w)
		require.NoError(t, load.during(t.Context(), 3500*time.Millisecond))
		require.NoError(t, load.stop())
		require.Zero(t, load.whole.refused)
		require.Equal(t, 4*snapshotRate, len(load.whole.answered), "the second that has begun is ended")
		var waited int
		for _, s := range load.whole.answered {
			require.Less(t, s.due().Sub(begin), 4*time.Second)
			if s.took >= time.Second {
				waited++
			}
		}
		require.InDelta(t, 1.5*snapshotRate, waited, 10, "as long as from when they were due")
	})
}

func TestALoadThatFailsIsNotWaitedFor(t *testing.T) {
	full := errors.New("broken")
	load := pace([]loader{&failing{err: full}}, workload{conns: 1})
	require.ErrorContains(t, load.during(t.Context(), time.Hour), "has ended")
	require.ErrorIs(t, load.stop(), full)
}

type failing struct {
	loader
	err error
}

func (f *failing) paced(workload, uint64, schedule) (tally, error) { return tally{}, f.err }

// sleeping is load that takes nothing.
type sleeping struct{ loader }

func (sleeping) paced(_ workload, _ uint64, s schedule) (tally, error) {
	time.Sleep(time.Until(s.end))
	return tally{answered: []sample{sampleOf(s.first, time.Millisecond)}}, nil
}

func TestALoadIsOverWhenASnapshotHasBeenTakenOrFailsWithoutOne(t *testing.T) {
	const never = time.Hour
	for _, c := range []struct {
		name       string
		begin, end time.Duration // of the snapshot
		failure    string
		during     int
	}{
		{"one at once", 500 * time.Millisecond, 4200 * time.Millisecond, "", 5},
		{"one in the last minute", 150500 * time.Millisecond, 160500 * time.Millisecond, "", 11},
		{"none", never, never, "no snapshot was taken within 3m0s", 0},
		{"one that does not end", time.Minute, never, "a snapshot was seen, but not its end", 0},
		{"one that takes nearly all of the time", 1500 * time.Millisecond, 174500 * time.Millisecond, "", 174},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				look := watchSpans(func() bool { return time.Since(start) >= c.begin && time.Since(start) < c.end })
				load := pace([]loader{sleeping{}}, workload{conns: 1})
				ctx, cancel := context.WithTimeout(t.Context(), snapshotWithin)
				defer cancel()
				asked := 0
				during, beside, err := here(0).through(ctx, load, look, func() { asked++ })
				took := time.Since(start)
				require.NoError(t, load.stop())
				look.stop()
				require.Equal(t, 1, asked)
				if c.failure != "" {
					require.ErrorContains(t, err, c.failure)
					require.InDelta(t, snapshotWithin, took, float64(time.Second), "the time of the bubble")
					return
				}
				require.NoError(t, err)
				require.Len(t, during, c.during)
				require.GreaterOrEqual(t, len(beside), quietSeconds)
			})
		})
	}
}
