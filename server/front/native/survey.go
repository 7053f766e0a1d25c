package native

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// census tells many how the servers of the cluster are, and asks for them all: one
// survey at a time, at most one in censusPause. Who comes while one is under way is
// told what the next finds, so nobody hears what was so before he asked.
type census struct {
	turn  chan struct{} // whoever is in it has found and began
	begun atomic.Int64  // surveys
	began time.Time     // the newest
	found struct {
		survey int64 // by which one
		all    []protocol.MemberStatus
	}
}

func newCensus() *census { return &census{turn: make(chan struct{}, 1)} }

// take fails if ctx ends before it is known.
func (c *census) take(ctx context.Context, ask func(context.Context) []protocol.MemberStatus) ([]protocol.MemberStatus, error) {
	before := c.begun.Load()
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c.found.survey > before {
		return c.found.all, nil
	}
	pause := time.NewTimer(time.Until(c.began.Add(censusPause)))
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	survey := c.begun.Add(1)
	c.began = time.Now()
	all := ask(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err() // whoever asked has gone, and the next asks anew
	}
	c.found.survey, c.found.all = survey, all
	return all, nil
}
