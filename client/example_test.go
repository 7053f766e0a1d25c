package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
)

// serve runs a server for an example, which has no testing.T. A program has
// the addresses of its cluster instead, and a test calls clienttest.Start.
func serve() (addrs []string, stop func()) {
	tb := &standIn{}
	return clienttest.Start(tb).Addrs(), tb.end
}

// standIn is as much of a testing.TB as clienttest needs.
type standIn struct {
	testing.TB
	cleanups []func()
}

func (*standIn) Helper()                           {}
func (*standIn) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }
func (*standIn) Errorf(format string, args ...any) { log.Printf(format, args...) }
func (s *standIn) Cleanup(f func())                { s.cleanups = append(s.cleanups, f) }

func (s *standIn) TempDir() string {
	dir, err := os.MkdirTemp("", "lycaon-example")
	if err != nil {
		log.Fatal(err)
	}
	s.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (s *standIn) end() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
}

func Example() {
	addrs, stop := serve()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	c, err := client.Open(ctx, addrs)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	if _, err := c.Create(ctx, "/config/colour", []byte("green"), client.Parents()); err != nil {
		log.Fatal(err)
	}
	n, err := c.Get(ctx, "/config/colour")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s = %s, version %d\n", n.Path, n.Data, n.Stat.Version)

	_, err = c.Set(ctx, "/config/colour", []byte("blue"), client.IfVersion(7))
	fmt.Println(errors.Is(err, client.ErrBadVersion), err)
	// Output:
	// /config/colour = green, version 0
	// true set /config/colour: version does not match
}

func ExampleClient_Watch() {
	addrs, stop := serve()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Open(ctx, addrs)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	w, err := c.Watch(ctx, "/jobs", client.Subtree())
	if err != nil {
		log.Fatal(err)
	}
	c.Create(ctx, "/jobs/1", nil, client.Parents())
	c.Set(ctx, "/jobs/1", []byte("done"))
	c.Delete(ctx, "/jobs/1")
	for e, err := range w.All() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Type, e.Path)
		if e.Type == client.EventDeleted {
			w.Close()
		}
	}
	// Output:
	// created /jobs
	// created /jobs/1
	// changed /jobs/1
	// deleted /jobs/1
}

func ExampleClient_Update() {
	addrs, stop := serve()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Open(ctx, addrs)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	increment := func(old *client.Node) ([]byte, error) {
		if old == nil {
			return []byte("1"), nil
		}
		n, err := strconv.Atoi(string(old.Data))
		return strconv.AppendInt(nil, int64(n)+1, 10), err
	}
	for range 3 {
		if _, err := c.Update(ctx, "/counter", increment); err != nil {
			log.Fatal(err)
		}
	}
	n, err := c.Get(ctx, "/counter")
	fmt.Println(string(n.Data), err)
	// Output: 3 <nil>
}

func ExampleClient_Multi() {
	addrs, stop := serve()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Open(ctx, addrs)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	_, err = c.Multi(ctx,
		client.OpCreate("/a", nil),
		client.OpCheck("/b", 0),
	)
	var blame *client.MultiError
	if errors.As(err, &blame) {
		fmt.Println("operation", blame.Index, "failed:", blame.Err)
	}
	stat, err := c.Exists(ctx, "/a")
	fmt.Println(stat, err)
	// Output:
	// operation 1 failed: node does not exist
	// <nil> <nil>
}

func ExampleClient_Members() {
	addrs, stop := serve()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Open(ctx, addrs)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	members, err := c.Members(ctx)
	for _, m := range members {
		fmt.Println(m.ID, m.Role)
	}
	fmt.Println(err)
	// Output:
	// 1 leader
	// <nil>
}

func ExampleClient_ChangeMember() {
	addrs, stop := serve()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// Who may change the cluster proves it: client.AdminToken, or a superuser's digest.
	c, err := client.Open(ctx, addrs)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	err = c.ChangeMember(ctx, client.MemberChange{Action: client.AddMember, ID: 4, Addr: "10.0.0.4:2888"})
	fmt.Println(errors.Is(err, client.ErrNoAuth))
	// Output: true
}

func ExampleSession_Context() {
	addrs, stop := serve()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Open(ctx, addrs)
	if err != nil {
		log.Fatal(err)
	}
	// Work that rests on an ephemeral node must end with the session.
	work := c.Session().Context()
	c.Close(ctx)
	<-work.Done()
	fmt.Println(context.Cause(work))
	// Output: closed
}
