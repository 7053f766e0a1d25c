package recipes_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

// barrierPatience is for a barrier that its keeper has left, raised, for another.
const barrierPatience = time.Second

// barrier has one who raises and lowers, and others who come now and then.
func (w *world) barrier(at string, waiters int) {
	var mu sync.Mutex
	life := 0
	now := func() string {
		mu.Lock()
		defer mu.Unlock()
		return fmt.Sprintf("%s/%d", at, life)
	}
	w.act("keeper of "+at, func(_ *someone, c *client.Client) error {
		b := recipes.NewBarrier(c, now())
		if err := b.Raise(w.ctx); err != nil {
			return err
		}
		w.tell(event{What: raised, Lock: now()})
		w.pause()
		w.tell(event{What: lowers, Lock: now()})
		err := b.Lower(w.ctx)
		if err != nil { // and may still be lowered, some day
			mu.Lock()
			defer mu.Unlock()
			life++
		}
		return err
	})
	for i := range waiters {
		name := fmt.Sprintf("waiter %d at %s", i, at)
		w.act(name, func(_ *someone, c *client.Client) error {
			path := now()
			w.tell(event{What: waits, Lock: path, Grant: name})
			brief, cancel := context.WithTimeout(w.load, barrierPatience)
			defer cancel()
			if err := recipes.NewBarrier(c, path).Wait(brief); err != nil {
				return err
			}
			w.tell(event{What: passed, Lock: path, Grant: name})
			w.pause()
			return nil
		})
	}
}

// round is of a double barrier until somebody is lost: those who are left would wait
// for it at the next round.
type round struct {
	path   string
	ctx    context.Context
	broken context.CancelFunc
}

// double has members who begin and end together.
func (w *world) double(at string, members int) {
	var mu sync.Mutex
	var now *round
	n := 0
	current := func() *round {
		mu.Lock()
		defer mu.Unlock()
		if now == nil || now.ctx.Err() != nil {
			n++
			now = &round{path: fmt.Sprintf("%s/%d", at, n)}
			now.ctx, now.broken = context.WithCancel(w.load)
		}
		return now
	}
	for i := range members {
		name := fmt.Sprintf("member %d of %s", i, at)
		w.act(name, func(_ *someone, c *client.Client) error {
			r := current()
			err := w.oneRound(r, name, members, c)
			if err != nil {
				r.broken()
			}
			return err
		})
	}
}

func (w *world) oneRound(r *round, name string, members int, c *client.Client) error {
	tell := func(what what) { w.tell(event{What: what, Lock: r.path, Grant: name, Capacity: members}) }
	tell(enters)
	e, err := recipes.NewDoubleBarrier(c, r.path, members).Enter(r.ctx)
	if err != nil {
		return err
	}
	tell(entered)
	tell(leaves)
	if err := e.Leave(r.ctx); err != nil {
		return err
	}
	tell(left)
	return nil
}
