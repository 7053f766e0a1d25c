package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/client"
)

const (
	removeWithin  = 20 * time.Second
	openAtOnce    = 32
	createAtOnce  = 100       // nodes in one transaction
	leftoversStay = time.Hour // and then go by themselves, if nobody could remove them
)

// ClosedLoop is how many requests are in flight to find out what a cluster does
// at most.
const ClosedLoop = 1000

// Options say what to run.
type Options struct {
	Load   Load
	Path   string        // of the node to work below; there must be none
	Length time.Duration // of each workload
	Max    bool          // afterwards as many requests as it takes, too
	Begin  func(workload string)
	Open   func(ctx context.Context) (*client.Client, error)
}

var closedLoops = []string{Writes, Reads, Mixed, Linearizable}

// Workloads is how many there are to run.
func (o *Options) Workloads() int {
	n := len(o.Load.Goals)
	if o.Max {
		n += len(closedLoops)
	}
	return n
}

// ErrLeftBehind says that the node could not be removed.
var ErrLeftBehind = errors.New("could not be removed, and goes by itself after about an hour") // leftoversStay

// runner is a run under way.
type runner struct {
	Options
	sessions []*client.Client
	value    []byte
}

// Run puts each workload of a load on the cluster of c, by sessions of its own.
// It removes its node however it ends, also when ctx does.
func Run(ctx context.Context, c *client.Client, o Options) (results []Result, err error) {
	r := &runner{Options: o, value: make([]byte, valueBytes)}
	// Whether the node was made must be known, so an end of ctx does not cut it.
	if _, err := c.Create(context.WithoutCancel(ctx), o.Path, nil, client.Container()); err != nil {
		if errors.Is(err, client.ErrNodeExists) || errors.Is(err, client.ErrNoNode) {
			err = fmt.Errorf("--path: %w", err)
		}
		return nil, err
	}
	defer func() { err = errors.Join(err, r.remove(c)) }()
	if err := r.prepare(ctx, c); err != nil {
		return nil, err
	}
	defer r.closeSessions()
	if err := r.openSessions(ctx); err != nil {
		return nil, err
	}
	return r.all(ctx)
}

// remove deletes everything, by another session if that of the run is lost.
func (r *runner) remove(c *client.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), removeWithin)
	defer cancel()
	err := c.Delete(ctx, r.Path, client.Recursive())
	if errors.Is(err, client.ErrSessionExpired) {
		if c, err = r.Open(ctx); err == nil {
			defer closeClient(c)
			err = c.Delete(ctx, r.Path, client.Recursive())
		}
	}
	if err != nil && !errors.Is(err, client.ErrNoNode) {
		return fmt.Errorf("%s %w: %w", r.Path, ErrLeftBehind, err)
	}
	return nil
}

func closeClient(c *client.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c.Close(ctx) // else it ends by its timeout
}

func (r *runner) node(i int) string { return fmt.Sprintf("%s/node-%04d", r.Path, i) }

// watched is the node whose changes every session is told of.
func (r *runner) watched() string { return r.node(nodes) }

// prepare makes the nodes, such that they go by themselves if nothing else can
// remove them.
func (r *runner) prepare(ctx context.Context, c *client.Client) error {
	for first := 0; first <= nodes; first += createAtOnce {
		var ops []client.Op
		for i := first; i < first+createAtOnce && i <= nodes; i++ {
			ops = append(ops, client.OpCreate(r.node(i), r.value, client.TTL(leftoversStay)))
		}
		if _, err := c.Multi(ctx, ops...); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) openSessions(ctx context.Context) error {
	r.sessions = make([]*client.Client, r.Load.Sessions)
	errs := make([]error, openAtOnce)
	var wg sync.WaitGroup
	for w := range openAtOnce {
		wg.Go(func() {
			for i := w; i < len(r.sessions) && errs[w] == nil; i += openAtOnce {
				r.sessions[i], errs[w] = r.Open(ctx)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err // of all those the same is to be said
		}
	}
	return nil
}

func (r *runner) closeSessions() {
	var wg sync.WaitGroup
	for _, c := range r.sessions {
		if c != nil {
			wg.Go(func() { closeClient(c) })
		}
	}
	wg.Wait()
}

func (r *runner) all(ctx context.Context) ([]Result, error) {
	var results []Result
	for _, g := range r.Load.Goals {
		r.Begin(g.Workload)
		result, err := metered(used, func() (Result, error) { return r.run(ctx, g) })
		if err = errors.Join(err, ctx.Err()); err != nil {
			return results, err
		}
		results = append(results, result)
	}
	if !r.Max {
		return results, nil
	}
	for _, name := range closedLoops {
		r.Begin(name + " at most")
		result, err := metered(used, func() (Result, error) {
			t := press(ctx, ClosedLoop, r.Length, r.request(name))
			return t.result(Goal{Workload: name}), ctx.Err()
		})
		if err != nil {
			return results, err
		}
		result.ClosedLoop = true
		results = append(results, result)
	}
	return results, nil
}

func (r *runner) run(ctx context.Context, g Goal) (Result, error) {
	switch g.Workload {
	case Watch:
		return r.watch(ctx, g)
	case Opens:
		return r.opens(ctx, g), nil
	}
	t := pace(ctx, g.Rate, r.Length, r.request(g.Workload))
	return t.result(g), nil
}

// request is one request of a workload, by the session of its worker.
func (r *runner) request(workload string) request {
	write := func(ctx context.Context, c *client.Client) error {
		_, err := c.Set(ctx, r.node(rand.IntN(nodes)), r.value)
		return err
	}
	read := func(ctx context.Context, c *client.Client, opts ...client.GetOption) error {
		_, err := c.Get(ctx, r.node(rand.IntN(nodes)), opts...)
		return err
	}
	return func(ctx context.Context, worker int, _ time.Time) error {
		c := r.sessions[worker%len(r.sessions)]
		switch {
		case workload == Linearizable:
			return read(ctx, c, client.Linearizable())
		case workload == Reads, workload == Mixed && rand.IntN(100) < mixedReads:
			return read(ctx, c)
		}
		return write(ctx, c)
	}
}

// opens takes the time until a session is there; closing it goes on beside.
func (r *runner) opens(ctx context.Context, g Goal) Result {
	var closing sync.WaitGroup
	defer closing.Wait()
	t := pace(ctx, g.Rate, r.Length, func(ctx context.Context, _ int, _ time.Time) error {
		c, err := r.Open(ctx)
		if err == nil {
			closing.Go(func() { closeClient(c) })
		}
		return err
	})
	return t.result(g)
}
