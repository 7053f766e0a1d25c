package main

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol/jute"
)

// zkClient speaks to a ZooKeeper, one request after another.
type zkClient struct {
	t    testing.TB
	conn net.Conn
	xid  int32
}

// dialZK opens a session, with the identities of the credentials.
func dialZK(t testing.TB, addr string, credentials ...string) *zkClient {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	z := &zkClient{t: t, conn: conn}
	z.send(jute.AppendConnectRequest(nil, &jute.ConnectRequest{TimeoutMs: 60_000, Password: make([]byte, 16), HasReadOnly: true}))
	r, err := jute.DecodeConnectResponse(z.receive())
	require.NoError(t, err)
	require.NotZero(t, r.Session)
	for _, c := range credentials {
		z.send(jute.AppendAuth(nil, &jute.Auth{Scheme: "digest", Data: []byte(c)}))
		h, err := jute.DecodeReplyHeader(z.receive())
		require.NoError(t, err)
		require.Zero(t, h.Err, c)
	}
	return z
}

func (z *zkClient) send(frame []byte) {
	require.NoError(z.t, z.conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err := z.conn.Write(frame)
	require.NoError(z.t, err)
}

func (z *zkClient) receive() []byte {
	var length [4]byte
	_, err := io.ReadFull(z.conn, length[:])
	require.NoError(z.t, err)
	frame := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err = io.ReadFull(z.conn, frame)
	require.NoError(z.t, err)
	return frame
}

// call sends a request and returns its answer, which may be an error.
func (z *zkClient) call(c jute.Call) jute.Answer {
	z.t.Helper()
	z.xid++
	z.send(jute.AppendCall(nil, z.xid, &c))
	a, err := jute.DecodeAnswer(z.receive(), c.Op)
	require.NoError(z.t, err)
	require.Equal(z.t, z.xid, a.Xid)
	return a
}

// must is a call that succeeds.
func (z *zkClient) must(c jute.Call) jute.Answer {
	z.t.Helper()
	a := z.call(c)
	require.Zero(z.t, a.Err, "%d %s", c.Op, c.Path)
	for i, r := range a.Results {
		require.Zero(z.t, r.Err, "operation %d of a multi: %s", i, c.Calls[i].Path)
	}
	return a
}

// close ends the session.
func (z *zkClient) close() { z.must(jute.Call{Op: jute.OpCloseSession}) }
