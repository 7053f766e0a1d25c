package native

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/front"
	"github.com/lycaon-io/lycaon/server/front/fronttest"
	"github.com/lycaon-io/lycaon/server/pipeline"
)

// rebuilt has every hello answered by a server whose machine began anew, at zxid 0,
// since the hello was read.
type rebuilt struct {
	*Native
	welcomes chan *protocol.Welcome
}

func (r rebuilt) Speak(c *front.Conn) front.Speaker {
	return rebuiltConn{&conn{Conn: c, native: r.Native}, r.welcomes}
}

type rebuiltConn struct {
	*conn
	welcomes chan *protocol.Welcome
}

func (c rebuiltConn) Handshake() bool {
	c.welcomes <- c.welcomeGuest(&protocol.Hello{LastZxid: 3}, &protocol.Welcome{Zxid: 5}, time.Minute)
	return false
}

func TestAGuestIsToldTheZxidOfTheMachineThatItReads(t *testing.T) {
	r := rebuilt{New(Config{}), make(chan *protocol.Welcome, 1)}
	s := fronttest.Start(t, front.Config{Limits: protocol.DefaultLimits()}, pipeline.Config{Origin: 1}, r)
	nc, err := net.Dial("tcp", s.Addr)
	require.NoError(t, err)
	defer nc.Close()
	_, err = nc.Write(protocol.Magic[:])
	require.NoError(t, err)
	w := <-r.welcomes
	require.Equal(t, protocol.NotReady, w.Code, w.Detail)
	require.Zero(t, w.Zxid)
	require.Zero(t, s.Core.Stats().Guests)
}
