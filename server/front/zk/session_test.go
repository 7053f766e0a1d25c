package zk_test

import (
	"encoding/binary"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/lycaon-io/lycaon/server/state"
)

func TestHandshakesOfOldAndNewClients(t *testing.T) {
	t.Parallel()
	s := start(t)
	for name, want := range map[string]struct {
		knows bool
		bytes int
	}{"that know of read-only": {true, 37}, "that do not": {false, 36}} {
		p := s.dial()
		_, err := p.Write(jute.AppendConnectRequest(nil, &jute.ConnectRequest{
			TimeoutMs: 5000, Password: make([]byte, 16), HasReadOnly: want.knows,
		}))
		require.NoError(t, err, name)
		frame, err := p.frame()
		require.NoError(t, err, name)
		require.Len(t, frame, want.bytes, name)
		w, err := jute.DecodeConnectResponse(frame)
		require.NoError(t, err, name)
		require.EqualValues(t, 5000, w.TimeoutMs, name)
		require.Len(t, w.Password, 16, name)
		require.Positive(t, w.Session, name)
		require.False(t, w.ReadOnly, name)
	}
}

func TestTimeoutsAreClamped(t *testing.T) {
	t.Parallel()
	s := start(t)
	for asked, got := range map[int32]int32{-1: 100, 0: 100, 1: 100, 1 << 30: 60_000} {
		w, err := s.dial().hello(&jute.ConnectRequest{TimeoutMs: asked, Password: make([]byte, 16)})
		require.NoError(t, err)
		require.Equal(t, got, w.TimeoutMs, "asked for %d", asked)
	}
}

func TestASessionMovesToANewerConnection(t *testing.T) {
	t.Parallel()
	s := start(t)
	first := s.connect()
	require.Zero(t, first.call(ephemeral("/e")).Err)
	second := s.reattach(first)
	first.ended()
	a := second.call(&jute.Call{Op: jute.OpExists, Path: "/e"})
	require.Zero(t, a.Err)
	require.Equal(t, second.session, a.Stat.EphemeralOwner)
	third := s.reattach(second)
	second.ended()
	require.Zero(t, third.call(set("/e", "y")).Err)
}

// A client may send requests right behind its handshake. That it has gone since
// must be seen behind them, or its attach would be renewed when another came
// before it, and take the session from a connection that is there.
func TestWhoHasGoneDoesNotTakeTheSessionFromWhoIsThere(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := s.connect()
	attach := jute.AppendConnectRequest(nil, &jute.ConnectRequest{TimeoutMs: 10_000, Session: p.session, Password: p.password})
	s.Log.Hold(true)
	there, gone := s.dial(), s.dial()
	for i, q := range []*peer{there, gone} {
		_, err := q.Write(attach)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return s.Log.Waiting() == i+1 }, waitLong, time.Millisecond)
	}
	_, err := gone.Write(jute.AppendCall(nil, 1, get("/", false)))
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	require.Eventually(t, func() bool { return s.Front.Stats().Connections == 2 }, waitLong/2, time.Millisecond)
	s.Log.Hold(false)

	_, err = there.frame()
	require.NoError(t, err)
	require.Zero(t, there.call(create("/a")).Err)
}

// A client learns that its session is no more by an answer with a timeout of 0;
// left without an answer it would try for ever.
func TestAnExpiredSessionIsToldSo(t *testing.T) {
	t.Parallel()
	s := start(t)
	p, closed := s.connect(), s.connect()
	require.Zero(t, closed.call(&jute.Call{Op: jute.OpCloseSession}).Err)
	closed.ended()
	const huge = 0x1_0000_0000_0000 // a zxid of a real ZooKeeper, which this cluster may never reach
	for name, r := range map[string]jute.ConnectRequest{
		"closed":                           {Session: closed.session, Password: closed.password},
		"of a wrong password":              {Session: p.session, Password: make([]byte, 16)},
		"of an empty password":             {Session: p.session},
		"of another cluster":               {Session: 0x100001fdad90000, Password: make([]byte, 16)},
		"of another cluster that is ahead": {Session: 0x100001fdad90000, Password: make([]byte, 16), LastZxid: huge},
	} {
		q := s.dial()
		r.TimeoutMs, r.HasReadOnly = 5000, true
		w, err := q.hello(&r)
		require.NoError(t, err, name)
		require.Equal(t, jute.ConnectResponse{Password: make([]byte, 16)}, w, name)
		q.ended()
	}
	require.Zero(t, p.call(create("/still")).Err, "who holds the session is not disturbed")
}

func TestAServerBehindItsClientsPastDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := s.connect()
	_, err := s.dial().hello(&jute.ConnectRequest{Session: p.session, Password: p.password, LastZxid: 1 << 40, TimeoutMs: 1000})
	require.ErrorIs(t, err, io.EOF)
}

// Its session is made after all that its client has seen in this cluster, so
// what it claims to have seen can only be of another.
func TestANewSessionAsksForNoPast(t *testing.T) {
	t.Parallel()
	w, err := start(t).dial().hello(&jute.ConnectRequest{LastZxid: 1 << 40, TimeoutMs: 1000, Password: make([]byte, 16)})
	require.NoError(t, err)
	require.Positive(t, w.Session)
}

func TestEphemeralsAreGoneByTheAnswerToClose(t *testing.T) {
	t.Parallel()
	s := start(t)
	p, other := s.connect(), s.connect()
	require.Zero(t, p.call(ephemeral("/e")).Err)
	require.Zero(t, other.call(&jute.Call{Op: jute.OpExists, Path: "/e", Watch: true}).Err)
	require.Zero(t, p.call(&jute.Call{Op: jute.OpCloseSession}).Err)
	require.EqualValues(t, noNode, other.callPast(get("/e", false)).Err)
	p.ended()
}

// callPast is call where an event may come before the answer.
func (p *peer) callPast(c *jute.Call) jute.Answer {
	p.t.Helper()
	p.send(c)
	for {
		event, answer := p.said(c.Op)
		if event == nil {
			return answer
		}
	}
}

func TestAnExpiredSessionsConnectionIsClosed(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := s.connect()
	s.Expire(uint64(p.session), "a test")
	p.ended()
	w, err := s.dial().hello(&jute.ConnectRequest{Session: p.session, Password: p.password, TimeoutMs: 1000})
	require.NoError(t, err)
	require.Zero(t, w.Session)
}

func TestNoSessionBeginsWhereNoneIsServed(t *testing.T) {
	t.Parallel()
	var g gate
	s := start(t, func(c *config) { c.front.Serving = g.serving })
	p := s.connect()
	g.closed.Store(true)
	for _, r := range []jute.ConnectRequest{{}, {Session: p.session, Password: p.password}} {
		_, err := s.dial().hello(&r)
		require.ErrorIs(t, err, io.EOF)
	}
}

func TestAConnectionTooManyIsClosed(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config) { c.front.MaxConnections = 1 })
	p := s.connect()
	_, err := s.dial().hello(&jute.ConnectRequest{TimeoutMs: 1000})
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "imok", s.ask("ruok"), "but it may ask how the server is")
	require.Zero(t, p.call(create("/a")).Err)
}

func TestAFrameBeyondTheBoundCostsTheConnectionAndNotTheSession(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, length := range []uint32{jute.MaxFrame + 1, 1 << 31, 1<<32 - 1} {
		p := s.connect()
		require.Zero(t, p.call(ephemeral("/e")).Err)
		_, err := p.Write(binary.BigEndian.AppendUint32(nil, length))
		require.NoError(t, err)
		p.ended()
		q := s.reattach(p)
		require.Zero(t, q.call(get("/e", false)).Err)
		require.Zero(t, q.call(&jute.Call{Op: jute.OpDelete, Path: "/e", Version: -1}).Err)
	}
}

func TestAMillionBytesOfDataPass(t *testing.T) {
	t.Parallel()
	p := start(t).connect()
	c := create("/big")
	c.Data = make([]byte, 1_000_000)
	require.Zero(t, p.call(c).Err)
	require.Len(t, p.call(get("/big", false)).Data, 1_000_000)
}

func TestAnOnlookerReadsWhileThereIsNoQuorumAndGoesWhenThereIs(t *testing.T) {
	t.Parallel()
	var g gate
	s := start(t, func(c *config) { c.front.Serving = g.serving })
	p := s.connect()
	require.Zero(t, p.call(create("/a")).Err)
	g.closed.Store(true)
	require.Equal(t, "ro", s.ask("isro"))

	ro := s.dial()
	w, err := ro.hello(&jute.ConnectRequest{TimeoutMs: 5000, ReadOnly: true, HasReadOnly: true, Password: make([]byte, 16)})
	require.NoError(t, err)
	require.True(t, w.ReadOnly)
	require.NotZero(t, w.Session)
	require.Equal(t, "x", string(ro.call(get("/a", true)).Data))
	require.EqualValues(t, notReadOnly, ro.call(set("/a", "y")).Err)
	require.EqualValues(t, notReadOnly, ro.call(&jute.Call{Op: jute.OpSync, Path: "/a"}).Err)

	again := s.dial() // by the id it was given
	w, err = again.hello(&jute.ConnectRequest{TimeoutMs: 5000, Session: ro.session, Password: ro.password, ReadOnly: true, HasReadOnly: true})
	require.NoError(t, err)
	require.Equal(t, ro.session, w.Session)
	own := s.dial() // with a session of the cluster
	w, err = own.hello(&jute.ConnectRequest{TimeoutMs: 5000, Session: p.session, Password: p.password, ReadOnly: true, HasReadOnly: true})
	require.NoError(t, err)
	require.Equal(t, p.session, w.Session)
	require.True(t, w.ReadOnly)
	for name, r := range map[string]jute.ConnectRequest{
		"a wrong password":     {Session: p.session, Password: make([]byte, 16)},
		"a session not known":  {Session: 99, Password: make([]byte, 16)},
		"a past that is ahead": {LastZxid: 1 << 40},
	} {
		r.ReadOnly, r.HasReadOnly = true, true
		_, err := s.dial().hello(&r)
		require.ErrorIs(t, err, io.EOF, name)
	}
	require.Zero(t, again.call(&jute.Call{Op: jute.OpCloseSession}).Err)
	again.ended()

	g.closed.Store(false)
	ro.ended()
	own.ended()
	require.Equal(t, "rw", s.ask("isro"))
	s.reattach(p)
	s.Core.View(func(m *state.Machine) { require.Equal(t, 1, m.Sessions().Len()) })
}
