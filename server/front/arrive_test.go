package front

import (
	"bufio"
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
// socket: with TLS too, which never dozes.
func TestWhatCameWhileTheProcessStoodStillIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := newConn(New(Config{}, nil), ours)
		defer c.kill()
		c.r = bufio.NewReader(ours)
		c.nc.SetReadDeadline(time.Now().Add(-time.Second))
		go theirs.Write([]byte{0})
		synctest.Wait()
		require.NoError(t, c.await())
	})
}
