package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// entrant is a system through one of its clients. Two entrants may share the
// servers of one system.
type entrant struct {
	name   string // of servers and client
	system system
	dial   func(addr string) (actor, error)
	loader func(addr string) (loader, error)
	visit  func(path string) visit // a short session as bytes; nil: by dial
	signs  signs
}

// actor is one connection that asks one thing at a time.
type actor interface {
	create(path string, data []byte) error
	ephemeral(path string) error // ends with Close at the latest
	change(path string) error
	list(parent string) error // the names of 10,000 children at most
	watch(path string) error  // until the next event, at least
	again() bool              // whether watch is due again after an event
	ping() error              // a sign of life, unless the client gives them by itself
	event() error             // waits for one
	Close() error
}

// loader is one connection under load.
type loader interface {
	// closed keeps w.depth requests in flight until the end.
	closed(w workload, seed uint64, end time.Time) (tally, error)
	// paced sends requests when they are due.
	paced(w workload, seed uint64, s schedule) (tally, error)
	// fill creates nodes for as long as next has one, fillDepth at a time, each by
	// itself or so many in a transaction.
	fill(next func() (path string, ok bool), batch int, data []byte) (tally, error)
	Close() error
}

// tally is what became of requests.
type tally struct {
	answered []sample
	refused  int   // answered by an error
	failure  error // one of those
}

// sample is one answered request. There are millions of them, so they hold no
// pointer, as a time.Time does, for the collector of garbage to follow.
type sample struct {
	dueNs int64 // since 1970
	took  time.Duration
}

func sampleOf(due time.Time, took time.Duration) sample { return sample{due.UnixNano(), took} }

func (s sample) due() time.Time { return time.Unix(0, s.dueNs) }

func (t *tally) join(o tally) {
	t.answered = append(t.answered, o.answered...)
	t.refused += o.refused
	t.failure = cmp.Or(t.failure, o.failure)
}

// add counts a request that was due at a time and is answered now.
func (t *tally) add(at time.Time, err error) {
	if err != nil {
		t.refused++
		t.failure = cmp.Or(t.failure, err)
		return
	}
	t.answered = append(t.answered, sampleOf(at, time.Since(at)))
}

// addAll counts n nodes that one request was to create.
func (t *tally) addAll(n int, at time.Time, err error) {
	for range n {
		t.add(at, err)
	}
}

const (
	fillDepth    = 32 // nodes that a connection creates at once
	mostInFlight = 1024
	answerWithin = 30 * time.Second // of a request under load
	sendWithin   = 10 * time.Second // of when it is due; later it counts as refused
)

var errNoAnswer = fmt.Errorf("no answer within %v", answerWithin)

// within gives a request the time of an answer: of servers that have ended there
// comes none.
func within(ask func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	return ask(ctx)
}

// schedule says when the requests of one connection are due.
type schedule struct {
	first, end time.Time
	every      time.Duration
}

func (s schedule) due(i int) time.Time { return s.first.Add(time.Duration(i) * s.every) }

// timerSlack is how late a timer may wake without the server being charged.
const timerSlack = 2 * time.Millisecond

// begin is when a request counts from that was sent now.
func begin(due, now time.Time) time.Time {
	if now.Sub(due) < timerSlack {
		return now
	}
	return due
}

// pipeLoader loads by a pipe: one goroutine, a write call a batch.
type pipeLoader struct{ pipe }

func (p pipeLoader) closed(w workload, seed uint64, end time.Time) (tally, error) {
	return drive(p.pipe, w, rand.New(rand.NewPCG(1, seed)), end)
}

// one asks for one thing as w has it.
func one(p pipe, w workload, rng *rand.Rand) {
	i := rng.IntN(nodes)
	if rng.IntN(100) < w.writes {
		p.set(i)
	} else {
		p.get(i, w.level)
	}
}

// take receives the answers that are there, waiting for the first, and hands out
// which request each was to.
func take(p pipe, answered func(n uint64, err error)) error {
	for first := true; p.answered() < p.asked() && (first || p.buffered()); first = false {
		err := p.receive()
		if err != nil && !refused(err) {
			return err
		}
		answered(p.answered(), err)
	}
	return nil
}

// refused tells an answer that is an error from the loss of the connection.
func refused(err error) bool {
	var native codeError
	var zk zkError
	return errors.As(err, &native) || errors.As(err, &zk)
}

func (p pipeLoader) paced(w workload, seed uint64, s schedule) (tally, error) {
	var t tally
	rng := rand.New(rand.NewPCG(1, seed))
	sent := make([]time.Time, mostInFlight) // by request, in a ring
	since := func(n uint64) time.Time { return sent[n%mostInFlight] }
	for i := 0; ; {
		now, asked := time.Now(), p.asked()
		for ; !s.due(i).After(now) && s.due(i).Before(s.end) && p.asked()-p.answered() < mostInFlight; i++ {
			if now.Sub(s.due(i)) > sendWithin {
				t.refused++
				continue
			}
			one(p, w, rng)
			sent[p.asked()%mostInFlight] = begin(s.due(i), now)
		}
		if p.asked() > asked {
			if err := p.flush(); err != nil {
				return t, err
			}
		}
		next, over := s.due(i), !s.due(i).Before(s.end)
		switch waiting := p.asked() > p.answered(); {
		case over && !waiting:
			return t, nil
		case !waiting:
			time.Sleep(time.Until(next))
			continue
		case over || p.asked()-p.answered() == mostInFlight:
			next = time.Now().Add(answerWithin)
		}
		switch there, err := p.await(next); {
		case err != nil:
			return t, err
		case there:
			if err := take(p, func(n uint64, err error) { t.add(since(n), err) }); err != nil {
				return t, err
			}
		case time.Now().After(s.end.Add(answerWithin)):
			return t, errNoAnswer
		}
	}
}

func (p pipeLoader) fill(next func() (string, bool), batch int, data []byte) (tally, error) {
	type sending struct {
		at    time.Time
		nodes int
	}
	sent := make([]sending, fillDepth) // by request, in a ring
	var t tally
	under := 0 // nodes on their way
	for done := false; !done || p.answered() < p.asked(); {
		for now := time.Now(); !done && under+batch <= fillDepth; {
			paths := several(next, batch)
			if done = len(paths) == 0; done {
				break
			}
			if batch == 1 {
				p.create(paths[0], data)
			} else {
				p.createAll(paths, data)
			}
			sent[p.asked()%fillDepth] = sending{now, len(paths)}
			under += len(paths)
		}
		if err := p.flush(); err != nil {
			return t, err
		}
		if err := take(p, func(n uint64, err error) {
			s := sent[n%fillDepth]
			under -= s.nodes
			t.addAll(s.nodes, s.at, err)
		}); err != nil {
			return t, err
		}
	}
	return t, nil
}

// several are the next paths, so many at most.
func several(next func() (string, bool), most int) (paths []string) {
	for len(paths) < most {
		path, ok := next()
		if !ok {
			break
		}
		paths = append(paths, path)
	}
	return paths
}

// caller is a client whose calls may be made by many goroutines at once.
type caller interface {
	get(ctx context.Context, node int, level protocol.Consistency) error
	set(ctx context.Context, node int) error
	create(ctx context.Context, path string, data []byte) error
	Close() error
}

// callLoader loads by a goroutine for each request in flight.
type callLoader struct{ caller }

func (c callLoader) call(w workload, rng *rand.Rand, at time.Time, t *tally) {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	var err error
	if node := rng.IntN(nodes); rng.IntN(100) < w.writes {
		err = c.set(ctx, node)
	} else {
		err = c.get(ctx, node, w.level)
	}
	t.add(at, err)
}

// callers runs f on n goroutines, each with its own numbers and its own tally.
func callers(n int, seed uint64, f func(rng *rand.Rand, t *tally)) tally {
	parts := make([]tally, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := safely(func() error { f(rand.New(rand.NewPCG(seed, uint64(i))), &parts[i]); return nil }); err != nil {
				parts[i].add(time.Now(), err)
			}
		})
	}
	wg.Wait()
	var whole tally
	for _, p := range parts {
		whole.join(p)
	}
	return whole
}

func (c callLoader) closed(w workload, seed uint64, end time.Time) (tally, error) {
	return callers(w.depth, seed, func(rng *rand.Rand, t *tally) {
		for now := time.Now(); now.Before(end); now = time.Now() {
			c.call(w, rng, now, t)
		}
	}), nil
}

func (c callLoader) paced(w workload, seed uint64, s schedule) (tally, error) {
	out := newCrew(seed, func(due time.Time, rng *rand.Rand, t *tally) {
		now := time.Now()
		if now.Sub(due) > sendWithin {
			t.refused++
			return
		}
		c.call(w, rng, begin(due, now), t)
	})
	for i := 0; s.due(i).Before(s.end); i++ {
		time.Sleep(time.Until(s.due(i)))
		out.send(s.due(i))
	}
	return out.end(), nil
}

func (c callLoader) fill(next func() (string, bool), batch int, data []byte) (tally, error) {
	create := func(ctx context.Context, paths []string) error { return c.create(ctx, paths[0], data) }
	if batch > 1 {
		all, able := c.caller.(interface {
			createAll(ctx context.Context, paths []string, data []byte) error
		})
		if !able {
			return tally{}, errors.New("this client creates one node at a time")
		}
		create = func(ctx context.Context, paths []string) error { return all.createAll(ctx, paths, data) }
	}
	return callers(fillDepth/batch, 0, func(_ *rand.Rand, t *tally) {
		for paths := several(next, batch); len(paths) > 0 && t.refused == 0; paths = several(next, batch) {
			at := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
			t.addAll(len(paths), at, create(ctx, paths))
			cancel()
		}
	}), nil
}

// until hands out nothing more when ctx ends.
func until(ctx context.Context, next func() (string, bool)) func() (string, bool) {
	return func() (string, bool) {
		if ctx.Err() != nil {
			return "", false
		}
		return next()
	}
}

// counted hands out the paths of n nodes to several connections.
func counted(n int, path func(i int) string) func() (string, bool) {
	var next atomic.Int64
	return func() (string, bool) {
		i := int(next.Add(1)) - 1
		if i >= n {
			return "", false
		}
		return path(i), true
	}
}
