package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// Option shapes a Client.
type Option interface{ applyClient(*config) }

type clientOption func(*config)

func (f clientOption) applyClient(c *config) { f(c) }

type config struct {
	servers        []string
	sessionTimeout time.Duration
	timed          bool // by WithSessionTimeout
	requestTimeout time.Duration
	tls            *tls.Config
	credentials    []Credential
	chroot         string
	linearizable   bool
	logger         *slog.Logger
	dial           func(ctx context.Context, network, addr string) (net.Conn, error)
	resume         SessionToken
	mode           protocol.HelloMode
	givenOnly      bool
}

// WithSessionTimeout asks for a session timeout; the server has bounds of its
// own, and Session.Timeout tells the outcome. The default is 10 s.
func WithSessionTimeout(d time.Duration) Option {
	return clientOption(func(c *config) { c.sessionTimeout, c.timed = d, true })
}

// WithRequestTimeout bounds each call whose context has no deadline. The
// default is 10 s; 0 waits without end. Of many calls one may end later than that, by
// a hundredth of it and 20 ms at most.
func WithRequestTimeout(d time.Duration) Option {
	return clientOption(func(c *config) { c.requestTimeout = d })
}

// WithTLS speaks TLS. An empty ServerName is taken from the server's address.
func WithTLS(conf *tls.Config) Option {
	return clientOption(func(c *config) { c.tls = conf })
}

// WithCredentials presents these on every connection.
func WithCredentials(creds ...Credential) Option {
	return clientOption(func(c *config) { c.credentials = with(c.credentials, creds...) })
}

// WithChroot makes path the root of all paths that are given and told.
func WithChroot(path string) Option {
	return clientOption(func(c *config) { c.chroot = path })
}

// WithDefaultConsistency is for reads that ask for nothing themselves.
func WithDefaultConsistency(level Consistency) Option {
	return clientOption(func(c *config) { c.linearizable = level == LinearizableReads })
}

// WithLogger takes note of connections found and lost. Nothing is logged by
// default, and nothing ever per request.
func WithLogger(l *slog.Logger) Option {
	return clientOption(func(c *config) { c.logger = l })
}

// WithDialer opens the connections. It must respect its context.
func WithDialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return clientOption(func(c *config) { c.dial = dial })
}

// WithOnlyGivenServers keeps to the servers given to Open. Without it a client
// learns of the others too, which it must be able to reach at the addresses
// that they tell (--advertise-client-addr of a server).
func WithOnlyGivenServers() Option {
	return clientOption(func(c *config) { c.givenOnly = true })
}

// WithResume takes over the session of a token instead of opening a new one.
// The client that held it is told ErrSessionMoved. It keeps its timeout unless
// WithSessionTimeout names another.
func WithResume(token SessionToken) Option {
	return clientOption(func(c *config) { c.resume = token })
}

// Consistency is what reads promise.
type Consistency uint8

const (
	LocalReads        Consistency = iota // never older than anything this client has seen
	LinearizableReads                    // never older than anything anybody has seen
)

func newConfig(servers []string, mode protocol.HelloMode, opts []Option) (config, error) {
	c := config{
		servers:        slices.Clone(servers),
		requestTimeout: defaultRequestTimeout,
		logger:         slog.New(slog.DiscardHandler),
		dial:           (&net.Dialer{}).DialContext,
		mode:           mode,
	}
	for _, o := range opts {
		o.applyClient(&c)
	}
	if c.mode == protocol.HelloOpen && c.resume.ID != 0 {
		c.mode = protocol.HelloAttach
	}
	if !c.timed {
		c.sessionTimeout = cmp.Or(c.resume.timeout, defaultSessionTimeout)
	}
	return c, c.check()
}

func (c *config) check() error {
	if len(c.servers) == 0 {
		return fmt.Errorf("%w: no server given", ErrBadArguments)
	}
	for _, s := range c.servers {
		if _, _, err := net.SplitHostPort(s); err != nil {
			return fmt.Errorf("%w: server %q: %w", ErrBadArguments, s, err)
		}
	}
	if c.sessionTimeout < time.Millisecond {
		return fmt.Errorf("%w: session timeout %v: want at least 1ms", ErrBadArguments, c.sessionTimeout)
	}
	if err := offerable(c.credentials); err != nil {
		return err
	}
	c.chroot = strings.TrimSuffix(c.chroot, "/")
	if c.chroot == "" {
		return nil
	}
	if err := znode.ValidatePath(c.chroot); err != nil {
		return fmt.Errorf("chroot %q: %w", c.chroot, err)
	}
	return nil
}

// full is the path a server knows. A path without a leading slash must not
// be glued to the chroot, where it would name a sibling.
func (c *config) full(path string) (string, error) {
	switch {
	case !strings.HasPrefix(path, "/"):
		return "", fmt.Errorf("%w: path %q does not start with a slash", ErrBadArguments, path)
	case c.chroot == "":
		return path, nil
	case path == "/":
		return c.chroot, nil
	}
	return c.chroot + path, nil
}

// local is full's inverse.
func (c *config) local(path string) string {
	switch {
	case c.chroot == "":
		return path
	case path == c.chroot:
		return "/"
	}
	return strings.TrimPrefix(path, c.chroot)
}
