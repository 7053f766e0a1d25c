// Ratelimit lets all its processes together begin so many calls in an interval, and
// have so many under way at most: a lease of a semaphore is kept until the interval is
// over, also if the call was faster.
//
//	ratelimit -servers 127.0.0.1:2181 -limit 5 -interval 1s -calls 20
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

func main() {
	servers := flag.String("servers", "127.0.0.1:2181", "addresses, separated by commas")
	path := flag.String("path", "/ratelimit", "of the semaphore")
	limit := flag.Int64("limit", 5, "calls in an interval; the same in each process")
	interval := flag.Duration("interval", time.Second, "the same in each process")
	calls := flag.Int("calls", 20, "of this process")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, strings.Split(*servers, ","), *path, *limit, *interval, *calls); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, servers []string, path string, limit int64, interval time.Duration, calls int) error {
	c, err := client.Open(ctx, servers)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	s := recipes.NewSemaphore(c, path, limit)
	var under sync.WaitGroup
	defer under.Wait()
	for i := range calls {
		lease, err := s.Acquire(ctx, 1)
		if err != nil {
			return err
		}
		under.Go(func() {
			over := time.NewTimer(interval)
			defer over.Stop()
			call(lease.Context(), i)
			<-over.C
			if err := lease.Release(context.WithoutCancel(ctx)); err != nil {
				log.Printf("call %d: %v", i, err)
			}
		})
	}
	return nil
}

// call is what is to be limited. It must end when ctx does: the lease is lost then.
func call(_ context.Context, i int) { fmt.Printf("call %d\n", i) }
