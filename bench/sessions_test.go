package main

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// nativeReply is the answer to a request: its header, and behind the length what is
// said beside it.
func nativeReply(xid uint64, code int32) []byte {
	frame := make([]byte, 24)
	frame[0] = byte(protocol.Reply)
	binary.BigEndian.PutUint32(frame[4:], uint32(code))
	binary.BigEndian.PutUint64(frame[8:], xid)
	return zkBytes(nil, frame)
}

func zkReply(xid, code int32) []byte {
	frame := binary.BigEndian.AppendUint32(nil, uint32(xid))
	frame = binary.BigEndian.AppendUint64(frame, 7)
	return zkBytes(nil, binary.BigEndian.AppendUint32(frame, uint32(code)))
}

// answering is a server that hears what is said of a visit and answers so.
func answering(t *testing.T, v visit, answers ...[]byte) string {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	answer := func(nc net.Conn) {
		defer nc.Close()
		for i, a := range answers {
			heard := make([]byte, len(v.says[i]))
			if _, err := io.ReadFull(nc, heard); err != nil || string(heard) != string(v.says[i]) {
				return
			}
			for at := range a { // one byte at a time: an answer may come in pieces
				nc.Write(a[at : at+1])
			}
		}
		nc.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, nc) // a socket closed with something unread resets the connection
	}
	go func() {
		for nc, err := l.Accept(); err == nil; nc, err = l.Accept() {
			go answer(nc)
		}
	}()
	return l.Addr().String()
}

func TestShortSessionsAreCountedWhenTheServerHasAnsweredThrice(t *testing.T) {
	t.Parallel()
	welcome := protocol.AppendWelcome(nil, &protocol.Welcome{Version: protocol.Version, Session: 1, TimeoutMs: 10_000, Limits: protocol.DefaultLimits()})
	refusal := protocol.AppendWelcome(nil, &protocol.Welcome{Version: protocol.Version, Code: protocol.Throttled})
	zkWelcome := func(timeout uint32) []byte {
		frame := binary.BigEndian.AppendUint32(make([]byte, 4), timeout)
		return zkBytes(nil, append(frame, make([]byte, 29)...))
	}
	for name, tt := range map[string]struct {
		visit   func(path string) visit
		answers [][]byte
		fails   string
	}{
		"native":                         {nativeVisit, [][]byte{welcome, nativeReply(1, 0), nativeReply(2, 0)}, ""},
		"native, a goodbye at the end":   {nativeVisit, [][]byte{welcome, nativeReply(1, 0), append(nativeReply(2, 0), 0, 0, 0, 1, 9)}, ""},
		"native, a server that is full":  {nativeVisit, [][]byte{refusal}, "refused: Throttled"},
		"native, the node is refused":    {nativeVisit, [][]byte{welcome, nativeReply(1, int32(protocol.NodeExists))}, "NodeExists"},
		"native, an answer to another":   {nativeVisit, [][]byte{welcome, nativeReply(9, 0)}, "want the reply to xid 1"},
		"native, closed in the middle":   {nativeVisit, [][]byte{welcome, nativeReply(1, 0)}, "closed the connection at step 2"},
		"native, a frame without end":    {nativeVisit, [][]byte{{255, 255, 255, 255}}, "a frame of 4294967295 bytes"},
		"ZooKeeper's":                    {zkVisit, [][]byte{zkWelcome(10_000), zkReply(1, 0), zkReply(2, 0)}, ""},
		"ZooKeeper's, expired":           {zkVisit, [][]byte{zkWelcome(0)}, "expired"},
		"ZooKeeper's, the node is there": {zkVisit, [][]byte{zkWelcome(10_000), zkReply(1, zkNodeExists)}, "ZooKeeper's error -110"},
		"ZooKeeper's, another answer":    {zkVisit, [][]byte{zkWelcome(10_000), zkReply(4, 0)}, "not of request 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := answering(t, tt.visit("/bench/ephemeral-0"), tt.answers...)
			got, err := churn(1, []string{addr}, tt.visit, time.Now()) // over at once: one visit each
			if tt.fails != "" {
				require.ErrorContains(t, err, tt.fails)
				require.Empty(t, got.answered)
				return
			}
			require.NoError(t, err)
			require.Len(t, got.answered, 1)
		})
	}
}

func TestAnAnswerThatDoesNotComeSoonIsWaitedFor(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		if nc, err := l.Accept(); err == nil {
			<-time.After(3 * soon)
			nc.Close()
		}
	}()
	_, err = churn(1, []string{l.Addr().String()}, nativeVisit, time.Now())
	require.Error(t, err)
	require.NotErrorIs(t, err, errNoAnswer)
}

func TestShortSessionsAreSpreadOverTheServersUntilTheEnd(t *testing.T) {
	t.Parallel()
	answers := [][]byte{zkBytes(nil, append([]byte{0, 0, 0, 0, 0, 0, 1, 0}, make([]byte, 28)...)), zkReply(1, 0), zkReply(2, 0)}
	var addrs []string
	for _, path := range []string{"/bench/ephemeral-0", "/bench/ephemeral-1"} {
		addrs = append(addrs, answering(t, zkVisit(path), answers...))
	}
	began := time.Now()
	got, err := churn(2, addrs, zkVisit, began.Add(20*time.Millisecond))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(got.answered), 2)
	for _, s := range got.answered {
		require.False(t, s.due().Before(began.Round(0)))
	}
}

func TestAChurnThatWasBrokenOffIsNoHindranceToTheNext(t *testing.T) {
	t.Parallel()
	addr := answering(t, visit{}) // says nothing and hangs up, and would keep the nodes until the sessions expire
	v := here(1)
	v.members[0].addr = addr
	made := map[string]bool{}
	e := entrant{visit: func(path string) visit {
		made[path] = true
		return nativeVisit(path)
	}}
	for range 2 {
		_, err := churnSessions(v, e, 0)
		require.ErrorContains(t, err, "closed the connection at step 0")
	}
	require.Len(t, made, 2*churners)
}
