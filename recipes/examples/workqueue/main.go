// Workqueue puts work into a queue, and does work of it. A worker that dies over an
// item loses it to another one; an item that is done is never done again.
//
//	workqueue -servers 127.0.0.1:2181 put resize:1.png resize:2.png
//	workqueue -servers 127.0.0.1:2181 work
package main

import (
	"context"
	"errors"
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
	path := flag.String("path", "/work", "of the queue")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	addrs := strings.Split(*servers, ",")
	switch flag.Arg(0) {
	case "put":
		if err := put(ctx, addrs, *path, flag.Args()[1:]); err != nil {
			log.Fatal(err)
		}
	case "work":
		for ctx.Err() == nil {
			err := work(ctx, addrs, *path)
			if ctx.Err() == nil {
				log.Print("begins anew: ", err) // the session was lost, or no server was found
				pause(ctx, time.Second)
			}
		}
	default:
		log.Fatal("say put or work")
	}
}

func put(ctx context.Context, servers []string, path string, items []string) error {
	c, err := client.Open(ctx, servers)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	q := recipes.NewQueue(c, path)
	for _, item := range items {
		if err := q.Put(ctx, []byte(item)); err != nil {
			return err
		}
	}
	return nil
}

func work(ctx context.Context, servers []string, path string) error {
	c, err := client.Open(ctx, servers)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	q := recipes.NewQueue(c, path)
	for {
		item, err := q.Take(ctx)
		if err != nil {
			return err
		}
		if err := do(item.Context(), string(item.Data)); err != nil {
			log.Printf("%s: %v", item.Data, err)
			if err := item.Nack(ctx); err != nil {
				return err
			}
			continue
		}
		if err := item.Ack(ctx); errors.Is(err, recipes.ErrLost) {
			log.Printf("%s: somebody else does it now", item.Data)
		} else if err != nil {
			return err
		}
	}
}

// do is the work. It must end when ctx does: the item is somebody else's then.
func do(ctx context.Context, item string) error {
	fmt.Println("done:", item)
	return ctx.Err()
}

func pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}
