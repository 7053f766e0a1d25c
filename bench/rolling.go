package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
)

const rollingClients = 8

// rolled is one rolling restart of an ensemble.
type rolled struct {
	Round    int       `json:"round"`
	System   string    `json:"system"`
	Load     string    `json:"load"`
	TookS    float64   `json:"took_s"`
	AnyS     float64   `json:"any_gap_s"` // longest in which no client at all was answered
	Seen     sighting  `json:"clients"`
	StoppedS []float64 `json:"stopped_s"` // from each SIGTERM to the end of the process
}

// rolling restarts the three servers of each system one after the other, by
// SIGTERM, under the load of clients that are spread over them.
func rolling(ctx context.Context, dir string, systems []system, rounds int) ([]rolled, error) {
	var all []rolled
	for _, s := range systems {
		e, err := raise(ctx, s, dir, 3)
		if err != nil {
			return all, err
		}
		defer e.fell()
		for round := range rounds {
			r, err := e.roll(ctx)
			if err != nil {
				return all, fmt.Errorf("round %d, %s: %w", round+1, e.name(), err)
			}
			r.Round = round + 1
			all = append(all, r)
			tellRolled(r)
		}
		e.fell()
	}
	return all, nil
}

func (e *ensemble) roll(ctx context.Context) (rolled, error) {
	r := rolled{System: e.name(), Load: loadAverage()}
	if _, err := e.healthy(ctx); err != nil {
		return r, err
	}
	var clients []*view // of one session each, so that each has its own gap
	defer func() {
		for _, v := range clients {
			v.close()
		}
	}()
	for i := range rollingClients {
		opening, cancel := context.WithTimeout(ctx, sessionLength)
		s, err := e.open(opening, e.from(i%len(e.members)))
		cancel()
		if err != nil {
			return r, err
		}
		clients = append(clients, newView(fmt.Sprint(i+1), 0, true, s))
	}
	any := newView("any", 0, false)
	for _, v := range clients {
		v.also = any
	}
	writing, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, v := range clients {
		wg.Go(func() { v.run(writing) })
	}
	begin := time.Now()
	err := e.warm(ctx, append(clients, any))
	for _, m := range e.members {
		if err == nil {
			err = e.restart(ctx, m, &r)
		}
	}
	r.TookS = time.Since(begin).Seconds()
	stop()
	wg.Wait()
	r.AnyS = any.gap.Seconds()
	if err != nil {
		return r, err
	}
	return r, r.conclude(ctx, clients)
}

func (e *ensemble) restart(ctx context.Context, m *member, r *rolled) error {
	at := time.Now()
	if err := m.process.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-m.process.ended:
	case <-time.After(stopPatience):
		return errors.New("still there after SIGTERM")
	}
	r.StoppedS = append(r.StoppedS, m.process.end.Sub(at).Seconds())
	if err := m.start(); err != nil {
		return err
	}
	_, err := e.healthy(ctx)
	return err
}

func (r *rolled) conclude(ctx context.Context, clients []*view) error {
	for _, v := range clients {
		s, err := v.conclude(ctx)
		if err != nil {
			return fmt.Errorf("client %s, afterwards: %w", v.name, err)
		}
		r.Seen.add(s)
	}
	return nil
}
