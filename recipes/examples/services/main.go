// Services is an instance of a service that says where it is and knows where the
// others are, also while no server can be reached.
//
//	services -servers 127.0.0.1:2181 -service web -address 10.0.0.1 -port 80
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
	root := flag.String("root", "/services", "of all services")
	service := flag.String("service", "web", "the name that all instances share")
	address := flag.String("address", "127.0.0.1", "of this one")
	port := flag.Int("port", 80, "of this one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	own := recipes.Instance{Service: *service, Address: *address, Port: *port}
	for ctx.Err() == nil {
		err := serve(ctx, strings.Split(*servers, ","), *root, own)
		if ctx.Err() == nil {
			log.Print("begins anew: ", err) // the session was lost, or no server was found
			pause(ctx, time.Second)
		}
	}
}

func serve(ctx context.Context, servers []string, root string, own recipes.Instance) error {
	c, err := client.Open(ctx, servers)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	registry, err := recipes.NewRegistry(ctx, c, root)
	if err != nil {
		return err
	}
	defer registry.Close()
	registered, err := registry.Register(ctx, own)
	if err != nil {
		return err
	}
	defer registered.Release(context.WithoutCancel(ctx))
	for instances, err := range registry.Watch(ctx, own.Service) {
		if err != nil {
			return err
		}
		var at []string
		for _, in := range instances {
			at = append(at, fmt.Sprintf("%s:%d", in.Address, in.Port))
		}
		fmt.Printf("%d of %s: %s\n", len(at), own.Service, strings.Join(at, " "))
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}
