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

// barrier has one who raises and lowers, and others who come as soon as it is up.
func (w *world) barrier(at string, waiters int) {
	life := 0
	w.act("keeper of "+at, func(_ *someone, c *client.Client) error {
		path := fmt.Sprintf("%s/%d", at, life)
		b := recipes.NewBarrier(c, path)
		if err := b.Raise(w.ctx); err != nil {
			return err
		}
		w.tell(event{What: raised, Lock: path})
		w.pause()
		w.tell(event{What: lowers, Lock: path})
		err := b.Lower(w.ctx)
		if err != nil {
			life++ // as it may still be lowered, some day
		}
		return err
	})
	for i := range waiters {
		name := fmt.Sprintf("waiter %d at %s", i, at)
		w.act(name, func(_ *someone, c *client.Client) error {
			brief, cancel := context.WithTimeout(w.load, barrierPatience)
			defer cancel()
			up, ok := w.await(brief, w.now(), func(e event) bool { return e.What == raised })
			if !ok {
				return nil
			}
			w.tell(event{What: waits, Lock: up.Lock, Grant: name})
			if err := recipes.NewBarrier(c, up.Lock).Wait(brief); err != nil {
				return err
			}
			w.tell(event{What: passed, Lock: up.Lock, Grant: name})
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
