package recipes_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
	"github.com/lycaon-io/lycaon/server/compat/rig"
)

// world is the cluster and everybody who uses it.
type world struct {
	*witness
	t       *testing.T
	cluster *rig.Ensemble
	ctx     context.Context // of the whole test
	load    context.Context // ends when there has been enough
	enough  context.CancelFunc
	actors  sync.WaitGroup
	reader  *client.Client // for what is beside the load

	expired, cuts              atomic.Int64 // sessions of ours that were lost, holders that were cut off
	deleted                    atomic.Int64 // nodes of grants and of those who wait
	mirrored, lookups, batched atomic.Int64

	mu     sync.Mutex // guards what follows
	open   []*client.Client
	caches []*recipes.Cache
	atEnd  []func() []string // checks, when all is over
}

// someone is a program of this process that uses the cluster: it has a session, and
// takes a new one when that is lost.
type someone struct {
	w    *world
	name string
	wire wire
	c    *client.Client
}

const localSession = 2 * time.Second

func (w *world) someone(name string) *someone { return &someone{w: w, name: name} }

// client is nil when the load is over.
func (s *someone) client() *client.Client {
	if s.w.load.Err() != nil {
		return nil
	}
	if s.c != nil && s.c.Session().Context().Err() == nil {
		return s.c
	}
	if s.c != nil {
		s.w.expired.Add(1)
	}
	for s.w.load.Err() == nil {
		c, err := client.Open(s.w.load, s.w.cluster.Addrs, client.WithSessionTimeout(localSession), client.WithDialer(s.wire.dial))
		if err == nil {
			s.c = c
			s.w.keep(c)
			return c
		}
	}
	return nil
}

// keep leaves a client open until the end, so that what its grants left behind stays to be seen.
func (w *world) keep(c *client.Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = append(w.open, c)
}

func (w *world) closeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.open {
		ctx, cancel := context.WithTimeout(w.ctx, time.Second)
		_ = c.Close(ctx) // its session may be over, or the test
		cancel()
	}
}

// finally checks something when all is healed and the load is over.
func (w *world) finally(check func() []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.atEnd = append(w.atEnd, check)
}

// act does something again and again while there is load, with a session that lives.
func (w *world) act(name string, do func(s *someone, c *client.Client) error) {
	s := w.someone(name)
	w.actors.Go(func() {
		for w.load.Err() == nil {
			c := s.client()
			if c == nil {
				return
			}
			if err := do(s, c); err != nil {
				noteOdd(w, name, err, c)
			}
		}
	})
}

// wire is a network that can be cut.
type wire struct {
	mu    sync.Mutex
	isCut bool
	conns []net.Conn
}

var errCut = errors.New("the wire is cut")

func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	cut := w.isCut
	w.mu.Unlock()
	if cut {
		return nil, errCut
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.isCut {
		conn.Close()
		return nil, errCut
	}
	w.conns = append(w.conns, conn)
	return conn, nil
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = true
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = false
}

// path is a place of an actor's own.
func path(format string, args ...any) string { return "/" + fmt.Sprintf(format, args...) }
