package front

import (
	"bufio"
	"crypto/tls"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/pipeline"
)

// Some of the time that a client has for its handshake is over when it asks for a
// session: it had to speak first.
func TestAClientIsToldThatTheClusterTookTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := newConn(New(Config{}, nil), ours)
		defer c.kill()
		c.r = bufio.NewReader(ours)
		c.nc.SetReadDeadline(time.Now().Add(HandshakeTimeout - time.Millisecond))
		a, gone := c.Arrive(func(pipeline.Done) pipeline.Cancel { return func() bool { return true } })
		require.False(t, gone)
		require.Equal(t, protocol.NotReady, a.Code)
	})
}

// A process that stood still finds its deadlines past, and what came meanwhile in the
// socket. Neither of these dozes.
func TestWhatCameWhileTheProcessStoodStillIsHeard(t *testing.T) {
	plain := func(nc net.Conn) net.Conn { return nc }
	for name, over := range map[string]struct{ server, client func(net.Conn) net.Conn }{
		"plain": {plain, plain},
		"TLS": {
			func(nc net.Conn) net.Conn {
				return tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{certificate(t)}, SessionTicketsDisabled: true})
			},
			func(nc net.Conn) net.Conn { return tls.Client(nc, &tls.Config{InsecureSkipVerify: true}) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				defer theirs.Close()
				c := newConn(New(Config{}, nil), ours)
				defer c.kill()
				c.nc = over.server(ours)
				c.r = bufio.NewReader(c.nc)
				client := over.client(theirs)
				go client.Write([]byte{0, 1})
				_, err := c.r.ReadByte()
				require.NoError(t, err)
				_, err = c.r.Discard(c.r.Buffered())
				require.NoError(t, err)

				c.nc.SetReadDeadline(time.Now().Add(-time.Second))
				go client.Write([]byte{0})
				synctest.Wait()
				require.NoError(t, c.await())
			})
		})
	}
}
