// Cron runs a job every now and then in one of its processes. If that one dies,
// another goes on; a job that was paused over the end of its leadership can no longer
// write what it did.
//
//	cron -servers 127.0.0.1:2181 -name a -every 10s
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

func main() {
	servers := flag.String("servers", "127.0.0.1:2181", "addresses, separated by commas")
	path := flag.String("path", "/cron", "where the processes meet")
	name := flag.String("name", "a", "of this process")
	every := flag.Duration("every", 10*time.Second, "between two runs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for ctx.Err() == nil {
		err := serve(ctx, strings.Split(*servers, ","), *path, *name, *every)
		if ctx.Err() == nil {
			log.Print("begins anew: ", err) // the session was lost, or no server was found
			pause(ctx, time.Second)
		}
	}
}

func serve(ctx context.Context, servers []string, path, name string, every time.Duration) error {
	c, err := client.Open(ctx, servers)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	runs := recipes.NewCounter(c, path+"/runs")
	election := recipes.NewElection(c, path+"/leader")
	return election.Run(ctx, []byte(name), func(ctx context.Context) error {
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		for {
			// The job is this line. Under ctx it is refused once somebody else leads.
			n, err := runs.Add(ctx, 1)
			if err != nil {
				return err
			}
			fmt.Printf("run %d by %s\n", n, name)
			select {
			case <-ticks.C:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	})
}

func pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}
