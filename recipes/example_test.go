package recipes_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

// connect is for examples. A program has the addresses of its cluster.
func connect() (ctx context.Context, c *client.Client, closeAll func()) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	c, err := client.Open(ctx, one.Addrs(), client.WithChroot(fmt.Sprintf("/run-%d", run.Add(1))))
	if err != nil {
		log.Fatal(err)
	}
	return ctx, c, func() { c.Close(ctx); cancel() }
}

func ExampleMutex() {
	ctx, c, closeAll := connect()
	defer closeAll()
	m := recipes.NewMutex(c, "/example/mutex")
	err := m.Do(ctx, func(ctx context.Context) error {
		// Were the lock lost, ctx would end, and this would change nothing.
		_, err := c.Create(ctx, "/example/report", []byte("by one alone"), client.Parents())
		return err
	})
	fmt.Println(err)
	// Output: <nil>
}

func ExampleMutex_TryLock() {
	ctx, c, closeAll := connect()
	defer closeAll()
	m := recipes.NewMutex(c, "/example/try")
	h, err := m.TryLock(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer h.Release(ctx)
	_, err = m.TryLock(ctx)
	fmt.Println(err)
	// Output: try lock /example/try: locked by somebody else
}

func ExampleSemaphore() {
	ctx, c, closeAll := connect()
	defer closeAll()
	s := recipes.NewSemaphore(c, "/example/semaphore", 3)
	h, err := s.Acquire(ctx, 2)
	if err != nil {
		log.Fatal(err)
	}
	_, err = s.TryAcquire(ctx, 2)
	fmt.Println(err)
	fmt.Println(h.Release(ctx))
	// Output:
	// try acquire /example/semaphore: locked by somebody else
	// <nil>
}

func ExampleRWMutex() {
	ctx, c, closeAll := connect()
	defer closeAll()
	m := recipes.NewRWMutex(c, "/example/rwmutex")
	err := m.RDo(ctx, func(ctx context.Context) error {
		_, err := m.TryLock(ctx)
		fmt.Println(err)
		return nil
	})
	fmt.Println(err)
	// Output:
	// try lock /example/rwmutex: locked by somebody else
	// <nil>
}

func ExampleElection() {
	ctx, c, closeAll := connect()
	defer closeAll()
	e := recipes.NewElection(c, "/example/election")
	err := e.Run(ctx, []byte("10.0.0.7:80"), func(ctx context.Context) error {
		leader, err := e.Leader(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("%s leads\n", leader.Value)
		return nil // resigns; a real one would work until ctx ends
	})
	fmt.Println(err)
	// Output:
	// 10.0.0.7:80 leads
	// <nil>
}

func ExampleBarrier() {
	ctx, c, closeAll := connect()
	defer closeAll()
	b := recipes.NewBarrier(c, "/example/barrier")
	if err := b.Raise(ctx); err != nil {
		log.Fatal(err)
	}
	went := make(chan error)
	go func() { went <- b.Wait(ctx) }()
	fmt.Println(b.Lower(ctx), <-went)
	// Output: <nil> <nil>
}

func ExampleDoubleBarrier() {
	ctx, c, closeAll := connect()
	defer closeAll()
	b := recipes.NewDoubleBarrier(c, "/example/double", 2)
	left := make(chan error)
	for range 2 {
		go func() {
			e, err := b.Enter(ctx) // until both are here
			if err != nil {
				left <- err
				return
			}
			left <- e.Leave(ctx) // until both are done
		}()
	}
	fmt.Println(<-left, <-left)
	// Output: <nil> <nil>
}

func ExampleCounter() {
	ctx, c, closeAll := connect()
	defer closeAll()
	n := recipes.NewCounter(c, "/example/counter")
	n.Add(ctx, 40)
	fmt.Println(n.Add(ctx, 2))
	// Output: 42 <nil>
}

func ExampleGroup() {
	ctx, c, closeAll := connect()
	defer closeAll()
	g := recipes.NewGroup(c, "/example/group")
	h, err := g.Join(ctx, "worker-1", []byte("10.0.0.1"))
	if err != nil {
		log.Fatal(err)
	}
	defer h.Release(ctx)
	members, err := g.Members(ctx)
	for _, m := range members {
		fmt.Printf("%s at %s\n", m.Name, m.Data)
	}
	fmt.Println(err)
	// Output:
	// worker-1 at 10.0.0.1
	// <nil>
}

func ExampleRegistry() {
	ctx, c, closeAll := connect()
	defer closeAll()
	r, err := recipes.NewRegistry(ctx, c, "/example/services")
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	h, err := r.Register(ctx, recipes.Instance{Service: "web", ID: "1", Address: "10.0.0.1", Port: 80})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Release(ctx)
	for found, err := range r.Watch(ctx, "web") {
		if err != nil {
			log.Fatal(err)
		}
		if len(found) > 0 {
			fmt.Printf("%s:%d\n", found[0].Address, found[0].Port)
			break
		}
	}
	// Output: 10.0.0.1:80
}

func ExampleQueue() {
	ctx, c, closeAll := connect()
	defer closeAll()
	q := recipes.NewQueue(c, "/example/queue")
	q.Put(ctx, []byte("can wait"))
	q.Put(ctx, []byte("urgent"), recipes.Priority(1))
	for range 2 {
		item, err := q.Take(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", item.Data) // the work, under item.Context()
		if err := item.Ack(ctx); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// urgent
	// can wait
}

func ExampleCache() {
	ctx, c, closeAll := connect()
	defer closeAll()
	k, err := recipes.NewCache(ctx, c, "/example/cache")
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()
	n, err := c.Create(ctx, "/example/cache/colour", []byte("green"), client.Parents())
	if err != nil {
		log.Fatal(err)
	}
	if err := k.WaitZxid(ctx, n.Zxid); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", k.Get("/example/cache/colour").Data)
	// Output: green
}

func ExampleTyped() {
	ctx, c, closeAll := connect()
	defer closeAll()
	type limits struct{ PerSecond int }
	v := recipes.Typed(c, "/example/limits", recipes.JSON[limits]())
	for range 2 {
		now, err := v.Update(ctx, func(old *limits) (limits, error) {
			if old == nil {
				return limits{100}, nil
			}
			return limits{2 * old.PerSecond}, nil
		})
		fmt.Println(now.PerSecond, err)
	}
	// Output:
	// 100 <nil>
	// 200 <nil>
}
