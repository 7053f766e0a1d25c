// Configreload follows a setting that lives in the cluster. A bad one is told and
// the last good one stays in force; so it does while no server can be reached.
//
//	configreload -servers 127.0.0.1:2181 -path /config/app
//	lycaon shell: create /config/app {"Workers":4}
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

type config struct {
	Workers int
}

func check(c config) error {
	if c.Workers < 1 || c.Workers > 1000 {
		return fmt.Errorf("%d workers are not from 1 to 1000", c.Workers)
	}
	return nil
}

func main() {
	servers := flag.String("servers", "127.0.0.1:2181", "addresses, separated by commas")
	path := flag.String("path", "/config/app", "where the setting is, as JSON")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for ctx.Err() == nil {
		err := follow(ctx, strings.Split(*servers, ","), *path)
		if ctx.Err() == nil {
			log.Print("begins anew: ", err) // the session was lost, or no server was found
			pause(ctx, time.Second)
		}
	}
}

func follow(ctx context.Context, servers []string, path string) error {
	c, err := client.Open(ctx, servers)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	value := recipes.Typed(c, path, recipes.Checked(recipes.JSON[config](), check))
	for conf, err := range value.Watch(ctx) {
		switch {
		case errors.Is(err, client.ErrNoNode), errors.Is(err, recipes.ErrInvalid):
			fmt.Println("kept the last good one:", err)
		case err != nil:
			return err
		default:
			fmt.Printf("in force: %+v\n", conf)
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}
