package clienttest

import (
	"context"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
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

// settings of a Cluster; those of a server are the same on each but for what
// tells them apart.
type settings struct {
	server  server.Config
	servers int
}

// Option shapes a Cluster.
type Option func(*settings)

// WithServers makes a cluster of n servers, with the ids 1 to n. The default is
// one.
func WithServers(n int) Option {
	return func(s *settings) { s.servers = n }
}

// WithSessionTimeouts bounds what clients may ask for. The default is 100 ms
// to a minute.
func WithSessionTimeouts(min, max time.Duration) Option {
	return func(s *settings) { s.server.MinSessionTimeout, s.server.MaxSessionTimeout = min, max }
}

// WithMaxConnections bounds the connections of each server. The default is as many
// as files may be open, but for those that the server needs.
func WithMaxConnections(n int) Option {
	return func(s *settings) { s.server.MaxConnections = n }
}

// WithLogger lets the servers log. By default they are silent.
func WithLogger(l *slog.Logger) Option {
	return func(s *settings) { s.server.Logger = l }
}

// Cluster is a running cluster. Its servers have the ids 1, 2, and so on.
type Cluster struct {
	t testing.TB

	mu      sync.Mutex
	members []*member
}

// member is a server and what it is started with again.
type member struct {
	cfg    server.Config
	server *server.Server // nil while it is down
}

// Start runs a cluster until the test ends, and returns when it serves.
func Start(t testing.TB, opts ...Option) *Cluster {
	t.Helper()
	s := settings{server: server.DefaultConfig(), servers: 1}
	s.server.ClientAddr, s.server.PeerAddr, s.server.HTTPAddr = "127.0.0.1:0", "127.0.0.1:0", "off"
	s.server.MinSessionTimeout, s.server.MaxSessionTimeout = 100*time.Millisecond, time.Minute
	s.server.Tick = 20 * time.Millisecond
	s.server.SuperDigest = superDigest
	for _, o := range opts {
		o(&s)
	}
	c := &Cluster{t: t, members: plan(t, s)}
	t.Cleanup(func() { c.stop(c.ids(nil)) }) // after those of the clients, which come later
	c.start(c.ids(nil))
	return c
}

// plan gives each server its id, its directory, and the addresses of all.
func plan(t testing.TB, s settings) []*member {
	t.Helper()
	dir := t.TempDir()
	members := make([]*member, s.servers)
	for i := range members {
		cfg := s.server
		cfg.ID, cfg.DataDir = uint64(i+1), filepath.Join(dir, strconv.Itoa(i+1))
		members[i] = &member{cfg: cfg}
	}
	if len(members) == 1 {
		return members
	}
	addrs := freeAddrs(t, 2*len(members))
	var list []string
	for i, m := range members {
		m.cfg.ClientAddr = addrs[2*i]
		list = append(list, strconv.Itoa(i+1)+"="+addrs[2*i+1])
	}
	for _, m := range members {
		m.cfg.PeerAddr, m.cfg.InitialCluster = "", strings.Join(list, ",")
	}
	return members
}

// Addrs is what client.Open takes: the addresses of all servers, in the order
// of their ids.
func (c *Cluster) Addrs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var addrs []string
	for _, m := range c.members {
		addrs = append(addrs, m.cfg.ClientAddr)
	}
	return addrs
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
	leader := c.running([]int{c.Leader()})[0]
	if err := leader.ExpireSession(ctx, uint64(id), "expired by a test"); err != nil {
		c.t.Fatalf("clienttest: expiring session %v: %v", id, err)
	}
}

// DropConnections cuts every connection of a client at once, as a broken network
// would. Sessions live on.
func (c *Cluster) DropConnections() {
	for _, s := range c.running(nil) {
		s.DropConnections()
	}
}
