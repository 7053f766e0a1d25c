package clienttest

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/server"
)

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 30 * time.Second

	superDigest   = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=" // base64(sha1("super:test"))
	superUser     = "super"
	superPassword = "test"
)

// Option shapes a Cluster.
type Option func(*server.Config)

// WithSessionTimeouts bounds what clients may ask for. The default is 100 ms
// to a minute.
func WithSessionTimeouts(min, max time.Duration) Option {
	return func(c *server.Config) { c.MinSessionTimeout, c.MaxSessionTimeout = min, max }
}

// WithMaxConnections bounds the connections. The default is no bound.
func WithMaxConnections(n int) Option {
	return func(c *server.Config) { c.MaxConnections = n }
}

// WithLogger lets the servers log. By default they are silent.
func WithLogger(l *slog.Logger) Option {
	return func(c *server.Config) { c.Logger = l }
}

// Cluster is a running cluster: today of one server.
type Cluster struct {
	t   testing.TB
	cfg server.Config

	mu     sync.Mutex
	server *server.Server // nil while it is down
}

// Start runs a cluster until the test ends.
func Start(t testing.TB, opts ...Option) *Cluster {
	t.Helper()
	c := &Cluster{t: t, cfg: server.DefaultConfig()}
	c.cfg.DataDir = t.TempDir()
	c.cfg.ClientAddr, c.cfg.PeerAddr, c.cfg.HTTPAddr = "127.0.0.1:0", "127.0.0.1:0", "off"
	c.cfg.MinSessionTimeout, c.cfg.MaxSessionTimeout = 100*time.Millisecond, time.Minute
	c.cfg.Tick = 20 * time.Millisecond
	c.cfg.SuperDigest = superDigest
	for _, o := range opts {
		o(&c.cfg)
	}
	c.start()
	t.Cleanup(c.stop) // after those of the clients, which come later
	return c
}

func (c *Cluster) start() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	s, err := server.Open(ctx, c.cfg)
	if err != nil {
		c.t.Fatalf("clienttest: starting the server: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = s
	c.cfg.ClientAddr = s.ClientAddr().String() // the same one after a restart
}

func (c *Cluster) stop() {
	c.mu.Lock()
	s := c.server
	c.server = nil
	c.mu.Unlock()
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		c.t.Errorf("clienttest: stopping the server: %v", err)
	}
}

func (c *Cluster) running() *server.Server {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server == nil {
		c.t.Fatal("clienttest: the server is stopped")
	}
	return c.server
}

// Addrs is what client.Open takes.
func (c *Cluster) Addrs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return []string{c.cfg.ClientAddr}
}

// Client opens a client that is closed when the test ends.
func (c *Cluster) Client(t testing.TB, opts ...client.Option) *client.Client {
	t.Helper()
	cl, err := client.Open(t.Context(), c.Addrs(), opts...)
	if err != nil {
		t.Fatalf("clienttest: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		cl.Close(ctx) // of a server that a test has stopped nothing is to be expected
	})
	return cl
}

// Superuser is the credential that passes every check of this cluster.
func (c *Cluster) Superuser() client.Credential { return client.Digest(superUser, superPassword) }

// ExpireSession ends a session as if its client had been silent for its
// timeout, and returns once that is done.
func (c *Cluster) ExpireSession(id client.SessionID) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := c.running().ExpireSession(ctx, uint64(id), "expired by a test"); err != nil {
		c.t.Fatalf("clienttest: expiring session %v: %v", id, err)
	}
}

// DropConnections cuts every connection at once, as a broken network would.
// Sessions live on.
func (c *Cluster) DropConnections() { c.running().DropConnections() }

// Stop closes the server until Restart.
func (c *Cluster) Stop() {
	c.t.Helper()
	c.stop()
}

// Restart closes the server and opens it again, at the same address over the
// same data. Sessions live on.
func (c *Cluster) Restart() {
	c.t.Helper()
	c.stop()
	c.start()
}
