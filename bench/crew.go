package main

import (
	"math/rand/v2"
	"sync"
	"time"
)

// crew are goroutines that make calls when they are due. Who came back last is sent out
// next, so that there are no more of them than there were calls at once: a goroutine for
// each call of a second has the collector and cold stacks in the latency of the client.
type crew struct {
	call func(due time.Time, rng *rand.Rand, t *tally)
	seed uint64
	wg   sync.WaitGroup

	mu   sync.Mutex
	back *sync.Cond // when one has come back
	all  []*hand
	idle []*hand
}

type hand struct {
	due  chan time.Time
	done tally
}

func newCrew(seed uint64, call func(due time.Time, rng *rand.Rand, t *tally)) *crew {
	c := &crew{call: call, seed: seed}
	c.back = sync.NewCond(&c.mu)
	return c
}

// send has a call made, once there is somebody to make it.
func (c *crew) send(due time.Time) { c.next().due <- due }

func (c *crew) next() *hand {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.idle) == 0 && len(c.all) == mostInFlight {
		c.back.Wait()
	}
	if last := len(c.idle) - 1; last >= 0 {
		h := c.idle[last]
		c.idle = c.idle[:last]
		return h
	}
	h := &hand{due: make(chan time.Time, 1)}
	rng := rand.New(rand.NewPCG(c.seed, uint64(len(c.all))))
	c.all = append(c.all, h)
	c.wg.Go(func() { c.work(h, rng) })
	return h
}

func (c *crew) work(h *hand, rng *rand.Rand) {
	for due := range h.due {
		if err := safely(func() error { c.call(due, rng, &h.done); return nil }); err != nil {
			h.done.add(due, err)
		}
		c.mu.Lock()
		c.idle = append(c.idle, h)
		c.mu.Unlock()
		c.back.Signal()
	}
}

// end waits for all that are out, and is what all did.
func (c *crew) end() tally {
	for _, h := range c.all {
		close(h.due)
	}
	c.wg.Wait()
	var whole tally
	for _, h := range c.all {
		whole.join(h.done)
	}
	return whole
}
