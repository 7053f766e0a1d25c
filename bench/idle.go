package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	idleScene = "idle, 1,000 sessions"
	// restFor is from the last session that is opened to what is measured: what comes
	// once in the time of a session has come of each.
	restFor = sessionLength
	idleFor = 10 * time.Second // at least: two pings of the slowest client, and a tick of the CPU's clock is 10 ms
)

// signs are how many signs of life a client gives in the time of a session when it
// does nothing else, as its own library has it.
type signs struct{ leader, follower int } // of the server that it is connected to

// resting is 1,000 sessions that do nothing but give signs of life.
type resting struct {
	v        *venue
	actors   []actor
	stop     context.CancelFunc
	breathed sync.WaitGroup
	failed   []error
	weigh    func() (float64, error) // what lives in a server, in bytes, if that is wanted
}

// rest opens the sessions, each with an ephemeral node. Signs of life come from then
// on until wake, evenly: not as the sessions were opened.
func rest(v *venue, e entrant) (*resting, error) {
	addrs := v.from(v.leader)
	ctx, stop := context.WithCancel(context.Background())
	r := &resting{v: v, actors: make([]actor, idlers), stop: stop, failed: make([]error, idlers)}
	err := eachOf(idlers, func(i int) (err error) {
		if r.actors[i], err = e.dial(addrs[i%len(addrs)]); err == nil {
			err = r.actors[i].ephemeral(fmt.Sprintf("/bench/idle-%d", i))
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(err, r.wake())
	}
	for i := range idlers {
		each := sessionLength / time.Duration(e.signs.leader)
		if i%len(addrs) > 0 {
			each = sessionLength / time.Duration(e.signs.follower)
		}
		first := time.Now().Add(each * time.Duration(i) / idlers)
		r.breathed.Go(func() { r.failed[i] = safely(func() error { return breathe(ctx, r.actors[i], first, each) }) })
	}
	return r, nil
}

// breathe gives signs of life until ctx ends.
func breathe(ctx context.Context, a actor, next time.Time, each time.Duration) error {
	for ; ; next = next.Add(each) {
		if pause(ctx, time.Until(next)) != nil {
			return nil
		}
		if err := a.ping(); err != nil {
			return err
		}
	}
}

// pause waits, but no longer than until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// wake ends the signs of life and the sessions, and tells what went wrong with the signs.
func (r *resting) wake() error {
	r.stop()
	r.breathed.Wait()
	closeActors(r.actors)
	return errors.Join(r.failed...)
}

// usage is what servers have used so far, and hold.
type usage struct {
	at   time.Time
	cpu  time.Duration
	rss  int
	live float64 // 0: nobody weighed it
	err  error
}

func (r *resting) used() usage {
	cpu, err := cpuOf(r.v.pids())
	rss, _, failed := r.v.memory()
	return usage{at: time.Now(), cpu: cpu, rss: rss, err: cmp.Or(err, failed)}
}

// alive is what lives, if that is wanted. The collection that it takes is in nothing
// that is measured.
func (r *resting) alive() (float64, error) {
	if r.weigh == nil {
		return 0, nil
	}
	return r.weigh()
}

// measureRest lets the sessions of several systems rest, all at once, measures what
// their servers take for a length of time thereafter, and wakes them.
func measureRest(ctx context.Context, all []*resting, before, length time.Duration) ([]figures, []error) {
	begin, end := make([]usage, len(all)), make([]usage, len(all))
	ended := pause(ctx, before)
	for i, r := range all {
		live, err := r.alive()
		begin[i] = r.used()
		begin[i].live, begin[i].err = live, cmp.Or(begin[i].err, err)
	}
	ended = cmp.Or(ended, pause(ctx, length))
	for i, r := range all {
		end[i] = r.used()
		live, err := r.alive()
		end[i].live, end[i].err = live, cmp.Or(end[i].err, err)
	}
	measured, failed := make([]figures, len(all)), make([]error, len(all))
	eachOf(len(all), func(i int) error {
		failed[i] = errors.Join(ended, all[i].wake(), begin[i].err, end[i].err)
		measured[i] = spent(begin[i], end[i], len(all[i].v.members))
		return nil
	})
	return measured, failed
}

// spent is what so many servers took, each.
func spent(before, after usage, servers int) figures {
	cores := (after.cpu - before.cpu).Seconds() / after.at.Sub(before.at).Seconds()
	f := figures{idlePercent: cores / float64(servers) * 100, firstMiB: float64(before.rss) / (1 << 20), rssMiB: float64(after.rss) / (1 << 20),
		refusals: 0} // with one the scene has failed
	if before.live > 0 && after.live > 0 {
		f[firstLive], f[liveMiB] = before.live/(1<<20), after.live/(1<<20)
	}
	return f
}

// idle measures the sessions of one system, and what lives in a server at both ends if
// there is a weigh.
func idle(ctx context.Context, v *venue, e entrant, before, length time.Duration, weigh func() (float64, error)) (figures, error) {
	r, err := rest(v, e)
	if err != nil {
		return nil, err
	}
	v.begun()
	r.weigh = weigh
	measured, failed := measureRest(ctx, []*resting{r}, before, length)
	return measured[0], failed[0]
}

// sleeper is an entrant whose idle sessions are measured beside those of others.
type sleeper struct {
	entrant
	venues map[string]*venue // that hold v
	v      *venue
	*resting
	figures
	err error
}

// idleTogether measures the idle sessions of all systems at the same time: in turn, each
// with its rest, they would take more than all other scenes.
func (c *comparison) idleTogether(ctx context.Context, venues map[string]*venue, servers int, all []entrant, run int) error {
	if c.planning {
		for _, e := range all {
			c.plan(servers, []string{idleScene}, e.name, run)
		}
		return nil
	}
	length := max(c.length, idleFor)
	own := map[string]*venue{}
	defer func() { endAll(own) }()
	sleepers := c.sleepers(ctx, venues, own, servers, all)
	for _, s := range sleepers {
		if s.err == nil {
			defer s.v.slayAfter(ctx, restFor+length+actWithin)()
			s.resting, s.err = rest(s.v, s.entrant)
		}
	}
	measureSleep(ctx, sleepers, length)
	for _, s := range sleepers {
		if s.err != nil && s.v != nil {
			giveUp(s.venues, s.v)
		}
		if err := c.note(ctx, servers, idleScene, s.name, run, s.figures, s.err); err != nil {
			return err
		}
	}
	return nil
}

// sleepers have servers that are ready. Where entrants share those of a system, the
// second one gets its own.
func (c *comparison) sleepers(ctx context.Context, venues, own map[string]*venue, servers int, all []entrant) []*sleeper {
	var sleepers []*sleeper
	taken := map[string]bool{}
	for _, e := range all {
		s := &sleeper{entrant: e, venues: venues}
		if taken[e.system.name()] {
			s.venues = own
		}
		taken[e.system.name()] = true
		if s.v, s.err = c.venue(ctx, s.venues, e.system, servers); s.err == nil {
			spare := s.v.slayAfter(ctx, actWithin)
			s.err = s.v.begin(ctx, e)
			spare()
		}
		sleepers = append(sleepers, s)
	}
	return sleepers
}

func measureSleep(ctx context.Context, sleepers []*sleeper, length time.Duration) {
	awake := func(s *sleeper) bool { return s.err != nil }
	asleep := slices.DeleteFunc(slices.Clone(sleepers), awake)
	if len(asleep) == 0 { // what a run that goes on has measured before
		return
	}
	var all []*resting
	for _, s := range asleep {
		all = append(all, s.resting)
	}
	measured, failed := measureRest(ctx, all, restFor, length)
	for i, s := range asleep {
		s.figures, s.err = measured[i], failed[i]
	}
}

// stayIdle is for a profile, which wants load from its beginning.
func stayIdle(v *venue, e entrant, length time.Duration) (figures, error) {
	return idle(context.Background(), v, e, 0, length, nil)
}
