package recipes_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
	"github.com/lycaon-io/lycaon/recipes"
)

// one is the server of all tests that do nothing to others by what they do to it.
var one *clienttest.Cluster

func TestMain(m *testing.M) {
	tb := &standIn{}
	one = clienttest.Start(tb)
	code := m.Run()
	tb.end()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
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
	dir, err := os.MkdirTemp("", "lycaon-recipes")
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

const testTime = time.Minute

// limited is a test's context.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testTime)
	t.Cleanup(cancel)
	return ctx
}

// places has the path of each test that runs, which may be one of several runs.
var (
	places sync.Map // *testing.T -> string
	run    atomic.Int64
)

// place is a path of the test's own.
func place(t *testing.T) string {
	path, known := places.Load(t)
	if !known {
		path, _ = places.LoadOrStore(t, fmt.Sprintf("/%s-%d", t.Name(), run.Add(1)))
	}
	return path.(string)
}

// eventually is for what nobody tells.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, testTime, 2*time.Millisecond, what)
}

func children(t *testing.T, c recipes.Client, path string) []string {
	t.Helper()
	names, err := c.Children(limited(t), path, client.Linearizable())
	if errors.Is(err, client.ErrNoNode) {
		return nil
	}
	require.NoError(t, err)
	return names
}

// wire is a network that can be cut.
type wire struct {
	mu    sync.Mutex
	isCut bool
	conns []net.Conn
}

func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.isCut {
		return nil, errors.New("the wire is cut")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err == nil {
		w.conns = append(w.conns, conn)
	}
	return conn, err
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = true
	for _, c := range w.conns {
		c.Close()
	}
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = false
}

// tampered has a multi done by what it was handed to, which may do more, or not do it.
type tampered struct {
	*client.Client
	multi func(do func() error) error
}

func (c *tampered) Multi(ctx context.Context, ops ...client.Op) (*client.MultiResult, error) {
	if c.multi == nil {
		return c.Client.Multi(ctx, ops...)
	}
	var res *client.MultiResult
	err := c.multi(func() (err error) {
		res, err = c.Client.Multi(context.WithoutCancel(ctx), ops...) // it was sent before
		return err
	})
	return res, err
}

// counting tells how often somebody looked who is next.
type counting struct {
	*client.Client
	lists, gets atomic.Int64
}

func (c *counting) Children(ctx context.Context, path string, opts ...client.ListOption) ([]string, error) {
	c.lists.Add(1)
	return c.Client.Children(ctx, path, opts...)
}

func (c *counting) Get(ctx context.Context, path string, opts ...client.GetOption) (*client.Node, error) {
	n, err := c.Client.Get(ctx, path, opts...)
	c.gets.Add(1)
	return n, err
}
