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
	c, err := client.Open(ctx, one.Addrs())
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
