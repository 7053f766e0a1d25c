package clients

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"
)

const (
	goTimeout = 15 * time.Second // of sessions
	within    = 20 * time.Second // for whatever must happen
)

var open = zk.WorldACL(zk.PermAll)

// quiet is the client's log, which nobody reads.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// goConn is the client with its session events and its TCP connection at hand.
// The client knows no chroot: each check works below a path of its own.
type goConn struct {
	*zk.Conn
	servers []string
	tcp     *cable

	mu     sync.Mutex
	states []zk.State
}

// cable is the client's way to a server; while it is cut nothing connects.
type cable struct {
	mu   sync.Mutex
	cut  bool
	conn net.Conn
}

func (c *cable) dial(network, address string, timeout time.Duration) (net.Conn, error) {
	conn, err := net.DialTimeout(network, address, timeout)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		conn.Close()
		return nil, errors.New("cut")
	}
	c.conn = conn
	return conn, nil
}

func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut = cut; cut {
		c.conn.Close()
	}
}

// goConnect returns a connected client, closed with the test.
func goConnect(t testing.TB, connect string) *goConn {
	t.Helper()
	c := &goConn{servers: strings.Split(connect, ","), tcp: &cable{}}
	var err error
	c.Conn, _, err = zk.Connect(c.servers, goTimeout, zk.WithLogger(quiet{}), zk.WithDialer(c.tcp.dial), zk.WithEventCallback(c.note))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	eventually(t, "connected", func() bool { return c.State() == zk.StateHasSession })
	return c
}

func (c *goConn) note(e zk.Event) {
	if e.Type == zk.EventSession {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.states = append(c.states, e.State)
	}
}

func (c *goConn) expired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.states {
		if s == zk.StateExpired {
			return true
		}
	}
	return false
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, within, 10*time.Millisecond, what)
}

// retry calls again while the connection is lost.
func retry[T any](call func() (T, error)) (T, error) {
	for end := time.Now().Add(3 * within); ; time.Sleep(10 * time.Millisecond) {
		got, err := call()
		if !lost(err) || time.Now().After(end) {
			return got, err
		}
	}
}

func lost(err error) bool {
	return errors.Is(err, zk.ErrConnectionClosed) || errors.Is(err, zk.ErrNoServer)
}

// event waits for the one event of a watch.
func event(t testing.TB, events <-chan zk.Event) string {
	t.Helper()
	select {
	case e := <-events:
		require.NoError(t, e.Err)
		return fmt.Sprintf("%v %s", e.Type, e.Path)
	case <-time.After(within):
		require.Fail(t, "no event")
		return ""
	}
}

// none checks that a watch has not fired.
func none(t testing.TB, events <-chan zk.Event) {
	t.Helper()
	select {
	case e := <-events:
		require.Fail(t, "an event", "%v", e)
	default:
	}
}

func create(t testing.TB, c *goConn, path, data string, flags int32) string {
	t.Helper()
	made, err := c.Create(path, []byte(data), flags, open)
	require.NoError(t, err, path)
	return made
}

func fresh(t testing.TB, c *goConn) { // sees all that was written before
	t.Helper()
	_, err := c.Sync("/")
	require.NoError(t, err)
}
