package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const recoverWithin = time.Minute

var errMoved = errors.New("another server leads than when the clients began")

// trial is one fault on one ensemble.
type trial struct {
	Round  int                 `json:"round"`
	Fault  string              `json:"fault"`
	System string              `json:"system"`
	EndedS float64             `json:"ended_s,omitempty"` // from the fault to the end of the process, if it ended
	Load   string              `json:"load"`              // of the machine before it, as in /proc/loadavg
	Views  map[string]sighting `json:"views"`
}

// failover strikes the leaders of the ensembles in turn, round by round, so
// that a drift of the machine hits all alike.
func failover(ctx context.Context, dir string, systems []system, names []string, rounds int) ([]trial, error) {
	var ensembles []*ensemble
	for _, s := range systems {
		e, err := raise(ctx, s, dir, 3)
		if err != nil {
			return nil, err
		}
		defer e.fell()
		ensembles = append(ensembles, e)
	}
	var trials []trial
	for round := range rounds {
		for _, f := range faults {
			if !slices.Contains(names, f.name) {
				continue
			}
			for _, e := range ensembles {
				t, err := e.try(ctx, f)
				for errors.Is(err, errMoved) { // by itself, as on a machine with too much to do
					fmt.Fprintln(os.Stderr, "again:", e.name(), err)
					t, err = e.try(ctx, f)
				}
				if err != nil {
					return trials, fmt.Errorf("round %d, %s of %s's leader: %w", round+1, f.name, e.name(), err)
				}
				t.Round = round + 1
				trials = append(trials, t)
				progress(t)
			}
		}
	}
	return trials, nil
}

// try strikes the leader while every view writes, waits until all of them
// write again and the server is back, and asks for the sessions.
func (e *ensemble) try(ctx context.Context, f fault) (trial, error) {
	t := trial{Fault: f.name, System: e.name(), Load: loadAverage(), Views: map[string]sighting{}}
	leader, err := e.healthy(ctx)
	if err != nil {
		return t, err
	}
	views, err := e.views(ctx, leader)
	if err != nil {
		return t, err
	}
	defer func() {
		for _, v := range views {
			v.close()
		}
	}()
	writing, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, v := range views {
		wg.Go(func() { v.run(writing) })
	}
	err = e.strike(ctx, f, e.members[leader], views, &t)
	stop()
	wg.Wait()
	if err != nil {
		return t, err
	}
	for _, v := range views {
		if t.Views[v.name], err = v.conclude(ctx); err != nil {
			return t, fmt.Errorf("a client %s, afterwards: %w", v.name, err)
		}
	}
	return t, nil
}

// views are: a client at each server, of which the quickest counts; a client
// that knows all servers and is connected to the leader; and one that is
// connected to a follower.
func (e *ensemble) views(ctx context.Context, leader int) ([]*view, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*sessionLength)
	defer cancel()
	var probes []session
	var views []*view
	failed := func(err error) ([]*view, error) {
		newView("", 0, false, probes...).close()
		for _, v := range views {
			v.close()
		}
		return nil, err
	}
	for _, addr := range e.addrs() {
		s, err := e.open(ctx, []string{addr})
		if err != nil {
			return failed(err)
		}
		probes = append(probes, s)
	}
	places := map[string]int{"at the leader": leader, "at a follower": (leader + 1) % len(e.members)}
	if !e.picks() {
		places = map[string]int{"of all": leader}
	}
	for name, place := range places {
		s, err := e.open(ctx, e.from(place))
		if err != nil {
			return failed(err)
		}
		views = append(views, newView(name, 0, true, s))
	}
	return append(views, newView("any", probeTry, false, probes...)), nil
}

func (e *ensemble) strike(ctx context.Context, f fault, victim *member, views []*view, t *trial) error {
	if err := e.warm(ctx, views); err != nil {
		return err
	}
	switch leads, err := e.leads(ctx, victim); {
	case err != nil:
		return err
	case !leads:
		return errMoved
	}
	at, undo, err := f.strike(victim)
	if err != nil {
		return err
	}
	for _, v := range views {
		v.strike(at)
	}
	late := time.After(recoverWithin)
	for _, v := range views {
		select {
		case <-v.done:
		case <-late:
			err = fmt.Errorf("a client %s does not write again within %v", v.name, recoverWithin)
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	select {
	case <-time.After(time.Until(at.Add(f.hold))):
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	if err := errors.Join(err, undo()); err != nil {
		return err
	}
	if !victim.process.running() {
		t.EndedS = victim.process.end.Sub(at).Seconds()
		if err := victim.start(); err != nil {
			return err
		}
	}
	_, err = e.healthy(ctx)
	return err
}

// warm waits until every view writes, and forgets what came before.
func (e *ensemble) warm(ctx context.Context, views []*view) error {
	late := time.After(recoverWithin)
	for _, v := range views {
		for v.writes.Load() < warmWrites {
			select {
			case <-late:
				return fmt.Errorf("a client %s has written %d times in %v", v.name, v.writes.Load(), recoverWithin)
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(lookEvery):
			}
		}
	}
	for _, v := range views {
		v.begin()
	}
	return nil
}

func loadAverage() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	one, _, _ := strings.Cut(string(raw), " ")
	return one
}
