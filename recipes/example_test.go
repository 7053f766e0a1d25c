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
