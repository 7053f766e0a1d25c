package front_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/lycaon-io/lycaon/server/front"
	"github.com/lycaon-io/lycaon/server/front/fronttest"
	"github.com/lycaon-io/lycaon/server/front/native"
	"github.com/lycaon-io/lycaon/server/front/zk"
	"github.com/lycaon-io/lycaon/server/internal/rawnet"
	"github.com/lycaon-io/lycaon/server/pipeline"
)

const patience = 20 * time.Second // for what must come; nothing is late because of it

// restful is a server that looks at its connections when it is told to.
type restful struct {
	*fronttest.Server
	t *testing.T
}

func startRestful(t *testing.T) *restful {
	t.Helper()
	cfg := front.Config{Limits: protocol.DefaultLimits(), MinSessionTimeout: time.Second, MaxSessionTimeout: time.Hour}
	s := &restful{fronttest.Start(t, cfg, pipeline.Config{Origin: 1}, native.New(native.Config{ServerID: 1}), zk.New(zk.Config{})), t}
	s.Front.LookByHand()
	return s
}

func (s *restful) dozing() int {
	n, _ := s.Front.Dozing()
	return n
}

func (s *restful) eventually(what string, is func() bool) {
	s.t.Helper()
	require.Eventually(s.t, is, patience, time.Millisecond, what)
}

// fallAsleep has so many connections doze.
func (s *restful) fallAsleep(n int) {
	s.t.Helper()
	s.eventually("nobody dozes", func() bool {
		s.Front.Look()
		return s.dozing() == n
	})
}

// guest is a client without a session that a test drives byte by byte.
type guest struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func (s *restful) dial() *guest {
	s.t.Helper()
	nc, err := net.Dial("tcp", s.Addr)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { nc.Close() })
	if rawnet.ThresholdOf(nc) == nil {
		s.t.Skip("no connection dozes on this system")
	}
	nc.SetReadDeadline(time.Now().Add(patience))
	return &guest{s.t, nc, bufio.NewReader(nc)}
}

func (s *restful) guest(timeoutMs int64) *guest {
	s.t.Helper()
	g := s.dial()
	hello := protocol.Hello{Mode: protocol.HelloGuest, MinVersion: 1, MaxVersion: 1, TimeoutMs: timeoutMs}
	g.say(protocol.AppendHello(protocol.Magic[:], &hello))
	w, err := protocol.DecodeWelcome(g.frame())
	require.NoError(s.t, err)
	require.Equal(s.t, protocol.OK, w.Code)
	return g
}

func (g *guest) say(b []byte) {
	g.t.Helper()
	_, err := g.Write(b)
	require.NoError(g.t, err)
}

func (g *guest) frame() []byte {
	g.t.Helper()
	frame, err := protocol.ReadFrame(g.in, nil, 1<<20)
	require.NoError(g.t, err)
	return frame
}

func (g *guest) hears(xid uint64) {
	g.t.Helper()
	m, err := protocol.DecodeMessage(g.frame())
	require.NoError(g.t, err)
	require.Equal(g.t, protocol.OK, m.Code)
	require.Equal(g.t, xid, m.Xid)
}

func ping(xid uint64) []byte {
	return protocol.AppendRequest(nil, &protocol.Request{Op: protocol.OpPing, Xid: xid})
}

const minute = 60_000

func TestAPingToADozingConnectionIsAnsweredByWhoLooks(t *testing.T) {
	t.Parallel()
	s := startRestful(t)
	g := s.guest(minute)
	for xid := uint64(1); xid <= 3; xid++ {
		s.fallAsleep(1)
		before := s.Front.Stats().Requests
		g.say(ping(xid))
		s.eventually("the ping has not come", func() bool {
			_, bytes := s.Front.Dozing()
			return bytes == protocol.PingBytes
		})
		require.Equal(t, before, s.Front.Stats().Requests, "it woke somebody")
		s.Front.Look()
		g.hears(xid)
	}
}

// Nobody looks while these things happen.
func TestWhatIsMoreThanAPingWakesAtOnce(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(s *restful, g *guest){
		"the shortest request": func(_ *restful, g *guest) {
			g.say(protocol.AppendRequest(nil, &protocol.Request{Op: protocol.OpWhoAmI, Xid: 7}))
			g.hears(7)
		},
		"a second ping": func(_ *restful, g *guest) {
			g.say(ping(1))
			g.say(ping(2))
			g.hears(1)
			g.hears(2)
		},
		"the end of the connection": func(s *restful, g *guest) {
			g.Close()
			s.eventually("the connection stays", func() bool { return s.Front.Stats().Connections == 0 })
		},
		"a ping and the end of the connection": func(s *restful, g *guest) {
			g.say(ping(1))
			require.NoError(g.t, g.Conn.(*net.TCPConn).CloseWrite())
			g.hears(1)
		},
		"a broken connection": func(s *restful, g *guest) {
			require.NoError(g.t, g.Conn.(*net.TCPConn).SetLinger(0))
			g.Close()
			s.eventually("the connection stays", func() bool { return s.Front.Stats().Connections == 0 })
		},
		"the end of the server": func(s *restful, g *guest) {
			g.say(ping(1)) // may lie there
			s.Front.Drain()
			for {
				m, err := protocol.DecodeMessage(g.frame())
				require.NoError(g.t, err)
				if m.Kind == protocol.Goodbye {
					break
				}
			}
			g.Close()
			s.eventually("the connection stays", func() bool { return s.Front.Stats().Connections == 0 })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startRestful(t)
			g := s.guest(minute)
			s.fallAsleep(1)
			act(s, g)
		})
	}
}

func TestWhoHasBeenWokenWaitsForTheRestOfAFrame(t *testing.T) {
	t.Parallel()
	s := startRestful(t)
	g := s.guest(minute)
	s.fallAsleep(1)
	p := ping(1)
	g.say(p[:10])
	s.eventually("nobody was woken", func() bool {
		s.Front.Look()
		return s.dozing() == 0
	})
	g.say(p[10:])
	g.hears(1)
}

func TestALateClientIsHeardAtOnce(t *testing.T) {
	t.Parallel()
	s := startRestful(t)
	g := s.guest(minute)
	s.fallAsleep(1)
	s.Front.Silence(0.5)
	s.fallAsleep(0)
	s.Front.Look()
	require.Zero(t, s.dozing(), "it dozes again before the client was heard")
	g.say(ping(1))
	g.hears(1)
	s.fallAsleep(1)
}

// Its next ping comes after a third of the timeout all the same.
func TestWhoWasSilentForLongIsNotExpectedToBeSoAgain(t *testing.T) {
	t.Parallel()
	s := startRestful(t)
	g := s.guest(minute)
	s.fallAsleep(1)
	g.say(ping(1))
	g.say(ping(2)) // wakes at once
	g.hears(1)
	g.hears(2)
	s.Front.Rhythm(0.9)
	s.Front.Silence(0.3)
	s.fallAsleep(1)
}

func TestAPingThatCameWhileTheServerStoodStillCounts(t *testing.T) {
	t.Parallel()
	s := startRestful(t)
	g := s.guest(minute)
	s.fallAsleep(1)
	g.say(ping(1))
	s.eventually("the ping has not come", func() bool {
		_, bytes := s.Front.Dozing()
		return bytes == protocol.PingBytes
	})
	s.Front.Overdue()
	g.hears(1)
}

func TestFewConnectionsDoNotDoze(t *testing.T) {
	t.Parallel()
	s := startRestful(t)
	g, other := s.guest(minute), s.guest(minute)
	s.fallAsleep(2)
	s.Front.Enough(2)
	other.Close()
	s.eventually("it dozes on", func() bool {
		s.Front.Look()
		return s.dozing() == 0 && s.Front.Stats().Connections == 1
	})
	g.say(ping(1))
	g.hears(1)
}

func TestAShortTimeoutHasNoTimeToDoze(t *testing.T) {
	t.Parallel()
	s := startRestful(t)
	g := s.guest(minute / 2)
	s.guest(minute)
	s.fallAsleep(1)
	g.say(ping(1))
	g.hears(1)
}

// The client's own calls from a connection at rest, with nobody who looks.
func TestADozingClientIsServedAtOnce(t *testing.T) {
	t.Parallel()
	s := startRestful(t)
	s.guest(minute) // skips where nobody dozes
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for name, call := range map[string]func(c *client.Client) error{
		"a read":    func(c *client.Client) error { _, err := c.Get(ctx, "/"); return err },
		"a write":   func(c *client.Client) error { _, err := c.Set(ctx, "/", nil); return err },
		"a barrier": func(c *client.Client) error { _, err := c.Barrier(ctx); return err },
		"a close":   func(c *client.Client) error { return c.Close(ctx) },
	} {
		c, err := client.Open(ctx, []string{s.Addr}, client.WithSessionTimeout(time.Hour))
		require.NoError(t, err)
		s.fallAsleep(2)
		require.NoError(t, call(c), name)
		require.NoError(t, c.Close(ctx))
		s.eventually("the connection stays", func() bool { return s.Front.Stats().Connections == 1 })
	}
}

// With the true times: pings of many connections are answered by the one who looks.
func TestManyDozeAndAllAreHeard(t *testing.T) {
	t.Parallel()
	cfg := front.Config{Limits: protocol.DefaultLimits(), MinSessionTimeout: time.Second, MaxSessionTimeout: time.Hour}
	s := &restful{fronttest.Start(t, cfg, pipeline.Config{Origin: 1}, native.New(native.Config{ServerID: 1}), zk.New(zk.Config{})), t}
	guests := make([]*guest, 300) // more than one turn
	for i := range guests {
		guests[i] = s.guest(minute)
	}
	s.eventually("they do not doze", func() bool { return s.dozing() == len(guests) })
	for _, g := range guests {
		g.say(ping(1))
	}
	for _, g := range guests {
		g.hears(1)
	}
	for _, g := range guests[1:] {
		g.Close()
	}
	s.eventually("the last one dozes on", func() bool { return s.dozing() == 0 })
	guests[0].say(ping(2))
	guests[0].hears(2)
	require.NoError(t, guests[0].Close())
}

// zkGuest is a client of ZooKeeper's protocol that a test drives byte by byte.
func (s *restful) zkGuest() *guest {
	s.t.Helper()
	g := s.dial()
	g.say(jute.AppendConnectRequest(nil, &jute.ConnectRequest{TimeoutMs: minute, Password: make([]byte, 16)}))
	g.zkFrame()
	return g
}

func (g *guest) zkFrame() {
	g.t.Helper()
	var length [4]byte
	_, err := io.ReadFull(g.in, length[:])
	require.NoError(g.t, err)
	_, err = io.CopyN(io.Discard, g.in, int64(binary.BigEndian.Uint32(length[:])))
	require.NoError(g.t, err)
}

// A client of ZooKeeper's closes its session with a request as short as a ping.
func TestAPingOfZooKeepersWaitsForWhoLooks(t *testing.T) {
	t.Parallel()
	s := startRestful(t)
	require.Equal(t, front.Seldom, s.Front.Pause())
	g := s.zkGuest()
	for _, call := range []jute.Call{{Op: jute.OpPing}, {Op: jute.OpPing}, {Op: jute.OpCloseSession}} {
		s.fallAsleep(1)
		require.Equal(t, front.Sooner, s.Front.Pause())
		before := s.Front.Stats().Requests
		g.say(jute.AppendCall(nil, jute.XidPing, &call))
		s.eventually("the request has not come", func() bool {
			_, bytes := s.Front.Dozing()
			return bytes == jute.PingBytes
		})
		require.Equal(t, before, s.Front.Stats().Requests, "it woke somebody")
		s.Front.Look()
		g.zkFrame()
	}
	g.Close()
	s.eventually("it is looked for still", func() bool { return s.Front.Pause() == front.Seldom })
}

func TestARequestOfZooKeepersWakesAtOnce(t *testing.T) {
	t.Parallel()
	s := startRestful(t)
	g := s.zkGuest()
	s.fallAsleep(1)
	g.say(jute.AppendCall(nil, 1, &jute.Call{Op: jute.OpExists, Path: "/"}))
	g.zkFrame()
}
