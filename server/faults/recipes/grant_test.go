package recipes_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

// grant is what a recipe gives, however it does: a Held, an Item, or the time of a
// function that runs under it.
type grant interface {
	Context() context.Context
	Token() uint64 // 0 where it is not told
	GiveBack(ctx context.Context) error
}

type held struct{ *recipes.Held }

func (h held) Token() uint64                      { return h.Guard().Token() }
func (h held) GiveBack(ctx context.Context) error { return h.Release(ctx) }

type taken struct {
	*recipes.Item
	putBack bool // Nack in place of Ack
}

func (i taken) Token() uint64 { return i.Guard().Token() }

func (i taken) GiveBack(ctx context.Context) error {
	if i.putBack {
		return i.Nack(ctx)
	}
	return i.Ack(ctx)
}

// running is a function of the user that runs, as Do and Run have it.
type running struct {
	ctx  context.Context
	stop chan struct{} // closed: it returns
	end  chan error    // of the Do
}

func (r *running) Context() context.Context { return r.ctx }
func (r *running) Token() uint64            { return 0 }

func (r *running) GiveBack(context.Context) error {
	close(r.stop)
	return <-r.end
}

// during begins a Do and returns when its function runs.
func during(do func(f func(context.Context) error) error) (grant, error) {
	r := &running{stop: make(chan struct{}), end: make(chan error, 1)}
	began := make(chan struct{})
	go func() {
		r.end <- do(func(ctx context.Context) error {
			select {
			case <-r.stop: // Run leads again, after a loss
			default:
				r.ctx = ctx
				close(began)
				<-r.stop
			}
			return nil
		})
	}()
	select {
	case <-began:
		return r, nil
	case err := <-r.end:
		return nil, err
	}
}

// way is one of the forms in which a recipe grants.
type way struct {
	weight int // of the recipe's capacity
	take   func(ctx context.Context, c *client.Client, path string) (grant, error)
}

func asHeld(h *recipes.Held, err error) (grant, error) {
	if err != nil {
		return nil, err
	}
	return held{h}, nil
}

// recipe is one that grants. Its first way is one that gives all there is.
type recipe struct {
	name     string
	capacity int
	ways     []way
}

// permits of the semaphore, and how many may read at once.
const (
	permits = 3
	readers = 1000
)

var granting = []recipe{
	{"mutex", 1, []way{
		{1, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return asHeld(recipes.NewMutex(c, path).Lock(ctx))
		}},
		{1, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return asHeld(recipes.NewMutex(c, path).TryLock(ctx))
		}},
		{1, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return during(func(f func(context.Context) error) error { return recipes.NewMutex(c, path).Do(ctx, f) })
		}},
	}},
	{"rwmutex", readers, []way{
		{readers, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return asHeld(recipes.NewRWMutex(c, path).Lock(ctx))
		}},
		{1, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return asHeld(recipes.NewRWMutex(c, path).RLock(ctx))
		}},
		{1, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return asHeld(recipes.NewRWMutex(c, path).TryRLock(ctx))
		}},
		{readers, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return asHeld(recipes.NewRWMutex(c, path).TryLock(ctx))
		}},
		{1, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return during(func(f func(context.Context) error) error { return recipes.NewRWMutex(c, path).RDo(ctx, f) })
		}},
		{readers, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return during(func(f func(context.Context) error) error { return recipes.NewRWMutex(c, path).Do(ctx, f) })
		}},
	}},
	{"semaphore", permits, []way{
		{permits, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return asHeld(recipes.NewSemaphore(c, path, permits).Acquire(ctx, permits))
		}},
		{1, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return asHeld(recipes.NewSemaphore(c, path, permits).Acquire(ctx, 1))
		}},
		{2, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return asHeld(recipes.NewSemaphore(c, path, permits).Acquire(ctx, 2))
		}},
		{1, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return asHeld(recipes.NewSemaphore(c, path, permits).TryAcquire(ctx, 1))
		}},
		{2, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return during(func(f func(context.Context) error) error { return recipes.NewSemaphore(c, path, permits).Do(ctx, 2, f) })
		}},
	}},
	{"election", 1, []way{
		{1, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return asHeld(recipes.NewElection(c, path).Campaign(ctx, []byte("me")))
		}},
	}},
	{"election run", 1, []way{
		{1, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return during(func(f func(context.Context) error) error {
				return recipes.NewElection(c, path).Run(ctx, []byte("me"), f)
			})
		}},
	}},
	{"group", 1, []way{
		{1, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return asHeld(recipes.NewGroup(c, path).Join(ctx, "one", nil))
		}},
	}},
	{"registry", 1, []way{
		{1, func(ctx context.Context, c *client.Client, path string) (grant, error) {
			return register(ctx, c, path)
		}},
	}},
}

// register is at a registry of one instance that everybody wants to be.
func register(ctx context.Context, c *client.Client, path string) (grant, error) {
	r, err := recipes.NewRegistry(ctx, c, path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return asHeld(r.Register(ctx, recipes.Instance{Service: "service", ID: "one", Address: "127.0.0.1"}))
}

// queueing takes items: one entry is one's alone.
var queueing = recipe{"queue", 1, []way{
	{1, func(ctx context.Context, c *client.Client, path string) (grant, error) {
		i, err := recipes.NewQueue(c, path).Take(ctx)
		if err != nil {
			return nil, err
		}
		return taken{Item: i}, nil
	}},
}}

func recipeOf(name string) (recipe, error) {
	for _, r := range append(granting, queueing) {
		if r.name == name {
			return r, nil
		}
	}
	return recipe{}, fmt.Errorf("no recipe %q", name)
}

// mayBeDone is of a write whose end nobody knows.
func mayBeDone(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && e.Maybe
}
