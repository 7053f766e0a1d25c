package peer_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/internal/testcert"
	"github.com/lycaon-io/lycaon/server/peer"
)

// identity of a server of the test's cluster.
func identity(id uint64) peer.Identity {
	return peer.Identity{Cluster: "pack", ID: id, Data: "data" + string(rune('0'+id)), Version: "v1"}
}

// open starts a mux on loopback that ends with the test.
func open(t *testing.T, id uint64, change ...func(*peer.Config)) *peer.Mux {
	t.Helper()
	cfg := peer.Config{Self: identity(id), Addr: "127.0.0.1:0", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, f := range change {
		f(&cfg)
	}
	m, err := peer.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { m.Close() })
	return m
}

func target(m *peer.Mux, id uint64) peer.Target {
	return peer.Target{ID: id, Addr: m.Addr().String(), Data: identity(id).Data}
}

// secure gives a mux certificate files.
func secure(f testcert.Files) func(*peer.Config) {
	return func(c *peer.Config) { c.TLS = &peer.TLSConfig{CertFile: f.Cert, KeyFile: f.Key, CAFile: f.CA} }
}

// echo answers the streams of a listener with what they send, until it closes.
func echo(t *testing.T, l net.Listener) {
	t.Helper()
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { l.Close() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { io.Copy(c, c); c.Close() })
		}
	})
}

// bounce requires that a stream echoes.
func bounce(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	_, err := c.Write([]byte("who goes there"))
	require.NoError(t, err)
	b := make([]byte, len("who goes there"))
	_, err = io.ReadFull(c, b)
	require.NoError(t, err)
	require.Equal(t, "who goes there", string(b))
	c.SetDeadline(time.Time{})
}

// refusedFor waits until connections were refused for a reason.
func refusedFor(t *testing.T, m *peer.Mux, reason string, count uint64) {
	t.Helper()
	require.Eventually(t, func() bool { return m.Stats().Refused[reason] >= count }, 10*time.Second, time.Millisecond, "%s: %v", reason, m.Stats().Refused)
}

// ended requires that the other side hangs up.
func ended(t *testing.T, c net.Conn) []byte {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	rest, err := io.ReadAll(c)
	var timeout net.Error
	if err != nil {
		require.ErrorAs(t, err, &timeout)
		require.False(t, timeout.Timeout(), "still open")
	}
	return rest
}

func dialTCP(t *testing.T, m *peer.Mux) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", m.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func brief(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// logTo collects what is logged.
func logTo() (log *slog.Logger, text func() string) {
	b := &lockedBuffer{}
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})), b.String
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
