package zkclient

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/lycaon-io/lycaon/znode"
)

// fake is a server that echoes the path of a sync. hooks may change what it
// does with one connection.
type fake struct {
	net.Listener
	conns    atomic.Int32
	greeting func(r *jute.ConnectRequest) *jute.ConnectResponse // nil answer: turned away
	answer   func(conn int32, xid int32, op jute.OpCode) []byte // nil: closes
}

func serve(t *testing.T) *fake {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := &fake{Listener: l}
	f.greeting = func(*jute.ConnectRequest) *jute.ConnectResponse {
		return &jute.ConnectResponse{TimeoutMs: 30_000, Session: 1, Password: make([]byte, 16)}
	}
	f.answer = func(_, xid int32, op jute.OpCode) []byte {
		return jute.AppendReply(nil, &protocol.Message{Xid: jute.Tag(xid, op), Zxid: uint64(xid), Path: fmt.Sprint(xid)}, nil)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n := f.conns.Add(1)
			wg.Go(func() { f.speak(n, conn) })
		}
	})
	return f
}

func (f *fake) speak(n int32, conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	frame, err := protocol.ReadFrame(in, nil, jute.MaxFrame)
	if err != nil {
		return
	}
	hello, err := jute.DecodeConnectRequest(frame)
	if err != nil {
		return
	}
	welcome := f.greeting(&hello)
	if welcome == nil {
		return
	}
	conn.Write(jute.AppendConnectResponse(nil, welcome, false))
	for {
		frame, err := protocol.ReadFrame(in, nil, jute.MaxFrame)
		if err != nil {
			return
		}
		xid, op, _, err := jute.DecodeHeader(frame)
		if err != nil {
			return
		}
		answer := f.answer(n, xid, op)
		if answer == nil {
			return
		}
		conn.Write(answer)
	}
}

func open(t *testing.T, cfg Config) *Client {
	c, err := Open(within(t), cfg)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

var sync1 = jute.Call{Op: jute.OpSync, Path: "/"}

func TestRequestsOfManyGoroutinesShareTheConnections(t *testing.T) {
	t.Parallel()
	f := serve(t)
	c := open(t, Config{Servers: []string{f.Addr().String()}, Links: 3})
	var wg sync.WaitGroup
	var answered atomic.Int32
	for range 500 {
		wg.Go(func() {
			answers, err := c.Ask(within(t), sync1, sync1)
			if err == nil && len(answers) == 2 && answers[1].Xid == answers[0].Xid+1 && answers[0].Path == fmt.Sprint(answers[0].Xid) {
				answered.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 500, answered.Load())
	require.EqualValues(t, 3, f.conns.Load())
}

func TestARequestWhoseConnectionBreaksIsAskedAgain(t *testing.T) {
	t.Parallel()
	f := serve(t)
	healthy := f.answer
	var dead atomic.Bool
	f.answer = func(conn, xid int32, op jute.OpCode) []byte {
		if conn <= 2 || dead.Load() {
			return nil
		}
		return healthy(conn, xid, op)
	}
	c := open(t, Config{Servers: []string{f.Addr().String()}, Links: 2})
	_, err := c.Ask(within(t), sync1)
	require.NoError(t, err)

	dead.Store(true)
	_, err = c.Ask(within(t), sync1)
	require.ErrorIs(t, err, errLost, "not for ever")
}

func TestAServerThatAnswersWrongIsLeft(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]func(xid int32, op jute.OpCode) []byte{
		"another xid": func(xid int32, op jute.OpCode) []byte { return jute.AppendHeader(nil, xid+1, 1, 0) },
		"no record":   func(xid int32, op jute.OpCode) []byte { return jute.AppendHeader(nil, xid, 1, 0) },
		"expired": func(xid int32, op jute.OpCode) []byte {
			return jute.AppendHeader(nil, xid, 1, int32(protocol.SessionExpired))
		},
		"no header": func(int32, jute.OpCode) []byte { return []byte{0, 0, 0, 1, 9} },
		"a lie":     func(int32, jute.OpCode) []byte { return []byte{0xff, 0xff, 0xff, 0xff} },
	} {
		f := serve(t)
		healthy := f.answer
		f.answer = func(conn, xid int32, op jute.OpCode) []byte {
			if conn == 1 {
				return wrong(xid, op)
			}
			return healthy(conn, xid, op)
		}
		c := open(t, Config{Servers: []string{f.Addr().String()}, Links: 1})
		_, err := c.Ask(within(t), sync1)
		require.NoError(t, err, name)
		require.EqualValues(t, 2, f.conns.Load(), name)
	}
}

func TestAnEventIsPassedOver(t *testing.T) {
	t.Parallel()
	f := serve(t)
	healthy := f.answer
	f.answer = func(conn, xid int32, op jute.OpCode) []byte {
		event := jute.AppendEvent(nil, &protocol.Message{Event: protocol.EventCreated, Path: "/a"})
		return append(event, healthy(conn, xid, op)...)
	}
	_, err := open(t, Config{Servers: []string{f.Addr().String()}}).Ask(within(t), sync1)
	require.NoError(t, err)
}

func TestTheNextServerIsTriedWhereOneTurnsUsAway(t *testing.T) {
	t.Parallel()
	away, there := serve(t), serve(t)
	away.greeting = func(*jute.ConnectRequest) *jute.ConnectResponse { return nil }
	_, err := open(t, Config{Servers: []string{"127.0.0.1:1", away.Addr().String(), there.Addr().String()}}).Ask(within(t), sync1)
	require.NoError(t, err)

	ctx, giveUp := context.WithCancel(within(t))
	defer giveUp()
	closed := serve(t)
	closed.greeting = func(*jute.ConnectRequest) *jute.ConnectResponse {
		if closed.conns.Load() > 1 { // both have been tried
			giveUp()
		}
		return nil
	}
	_, err = Open(ctx, Config{Servers: []string{closed.Addr().String(), "127.0.0.1:1"}})
	require.ErrorContains(t, err, "127.0.0.1:1")
	require.ErrorContains(t, err, closed.Addr().String())
	require.ErrorContains(t, err, "turned us away")
}

func TestANewConnectionSaysHowFarTheOldOneHadSeen(t *testing.T) {
	t.Parallel()
	f := serve(t)
	var told atomic.Int64
	greeting := f.greeting
	f.greeting = func(r *jute.ConnectRequest) *jute.ConnectResponse {
		told.Store(r.LastZxid)
		return greeting(r)
	}
	var stop atomic.Bool
	f.answer = func(conn, xid int32, op jute.OpCode) []byte {
		if stop.CompareAndSwap(true, false) {
			return nil
		}
		return jute.AppendReply(nil, &protocol.Message{Xid: jute.Tag(xid, op), Zxid: 77}, nil)
	}
	c := open(t, Config{Servers: []string{f.Addr().String()}, Links: 1})
	_, err := c.Ask(within(t), sync1)
	require.NoError(t, err)
	require.Zero(t, told.Load())
	stop.Store(true)
	_, err = c.Ask(within(t), sync1)
	require.NoError(t, err)
	require.EqualValues(t, 77, told.Load())
}

func TestAWrongProofEndsItAtOnce(t *testing.T) {
	t.Parallel()
	f := serve(t)
	f.answer = func(_, xid int32, op jute.OpCode) []byte {
		return jute.AppendHeader(nil, xid, 0, int32(protocol.AuthFailed))
	}
	_, err := Open(within(t), Config{Servers: []string{f.Addr().String()}, Auth: []jute.Auth{{Scheme: "digest", Data: []byte("u:p")}}})
	require.ErrorIs(t, err, ErrAuthFailed)
	require.False(t, strings.Contains(err.Error(), "u:p"))
	require.EqualValues(t, 1, f.conns.Load())
}

func TestAFailureWrapsTheErrorOfItsNumber(t *testing.T) {
	t.Parallel()
	call := jute.Call{Op: jute.OpGetData, Path: "/a"}
	require.NoError(t, Failure(&call, &jute.Answer{}))
	err := Failure(&call, &jute.Answer{Header: jute.Header{Err: -101}})
	require.ErrorIs(t, err, znode.ErrNoNode)
	require.ErrorContains(t, err, "getData /a")
}

func TestXidsCountAgainFromOne(t *testing.T) {
	require.EqualValues(t, 1, after(0))
	require.EqualValues(t, 1, after(1<<31-1))
}

func TestTheContextEndsAWait(t *testing.T) {
	t.Parallel()
	f := serve(t)
	release := make(chan struct{})
	f.answer = func(int32, int32, jute.OpCode) []byte {
		<-release
		return nil
	}
	c := open(t, Config{Servers: []string{f.Addr().String()}, Links: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := c.Ask(ctx, sync1)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	close(release)
}
