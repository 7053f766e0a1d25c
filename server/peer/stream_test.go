package peer_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/peer"
)

func TestKindsShareThePortAndReachTheirListeners(t *testing.T) {
	a, b := open(t, 1), open(t, 2)
	for _, k := range []peer.Kind{peer.Raft, peer.Forward, peer.Touch} {
		l := b.Listener(k)
		c, err := a.Dial(brief(t), k, target(b, 2))
		require.NoError(t, err)
		require.Equal(t, identity(2), c.Remote)
		other, err := l.Accept()
		require.NoError(t, err)
		require.Equal(t, identity(1), other.(*peer.Conn).Remote)
		_, err = other.Write([]byte{byte(k)})
		require.NoError(t, err)
		first := make([]byte, 1)
		_, err = c.Read(first)
		require.NoError(t, err)
		require.Equal(t, byte(k), first[0])
		require.Equal(t, 1, b.Stats().Accepted[k])
		require.Equal(t, 1, a.Stats().Dialed[k])
		require.NoError(t, c.Close())
		require.NoError(t, other.Close())
		require.Zero(t, b.Stats().Accepted[k])
		require.Zero(t, a.Stats().Dialed[k])
	}
}

func TestAStreamNobodyListensToIsNotReady(t *testing.T) {
	a, b := open(t, 1), open(t, 2)
	_, err := a.Dial(brief(t), peer.Raft, target(b, 2))
	require.ErrorIs(t, err, peer.ErrNotReady)
	l := b.Listener(peer.Raft)
	_, err = a.Dial(brief(t), peer.Raft, target(b, 2))
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = a.Dial(brief(t), peer.Raft, target(b, 2))
	require.ErrorIs(t, err, peer.ErrNotReady)
	refusedFor(t, b, "not-ready", 2)
}

func TestANewListenerEndsTheStreamsOfTheFormer(t *testing.T) {
	a, b := open(t, 1), open(t, 2)
	first := b.Listener(peer.Raft)
	taken, err := a.Dial(brief(t), peer.Raft, target(b, 2))
	require.NoError(t, err)
	_, err = first.Accept()
	require.NoError(t, err)
	queued, err := a.Dial(brief(t), peer.Raft, target(b, 2))
	require.NoError(t, err)

	second := b.Listener(peer.Raft)
	_, err = first.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	ended(t, taken)
	ended(t, queued)
	require.NoError(t, first.Close(), "closing the former leaves the new one")
	echo(t, second)
	c, err := a.Dial(brief(t), peer.Raft, target(b, 2))
	require.NoError(t, err)
	bounce(t, c)
}

func TestCloseEndsEverything(t *testing.T) {
	a, b := open(t, 1), open(t, 2)
	l := b.Listener(peer.Touch)
	c, err := a.Dial(brief(t), peer.Touch, target(b, 2))
	require.NoError(t, err)
	silent := dialTCP(t, b)
	require.Eventually(t, func() bool { return b.Stats().Handshakes == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, b.Close())
	require.NoError(t, b.Close())
	ended(t, c)
	ended(t, silent)
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = b.Listener(peer.Raft).Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = b.Dial(brief(t), peer.Touch, target(a, 1))
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestStreamsOfWhoIsNoMemberAnyMoreEnd(t *testing.T) {
	member := true
	b := open(t, 2, func(c *peer.Config) {
		c.Admit = func(k peer.Kind, remote peer.Identity) error {
			if !member && remote.ID == 1 {
				return peer.Refuse(peer.ErrNotMember, "server %d was removed", remote.ID)
			}
			return nil
		}
	})
	echo(t, b.Listener(peer.Forward))
	a, other := open(t, 1), open(t, 3)
	removed, err := a.Dial(brief(t), peer.Forward, target(b, 2))
	require.NoError(t, err)
	stays, err := other.Dial(brief(t), peer.Forward, target(b, 2))
	require.NoError(t, err)
	b.Recheck()
	bounce(t, removed)
	member = false
	b.Recheck()
	ended(t, removed)
	bounce(t, stays)
	_, err = a.Dial(brief(t), peer.Forward, target(b, 2))
	require.ErrorIs(t, err, peer.ErrNotMember)
	require.ErrorContains(t, err, "server 1 was removed")
}

func TestThePortIsLoopbackWithoutTLS(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
		_, err := peer.Open(peer.Config{Self: identity(1), Addr: addr})
		require.ErrorIs(t, err, peer.ErrExposed, addr)
	}
	for _, addr := range []string{"127.0.0.1:0", "localhost:0"} {
		m, err := peer.Open(peer.Config{Self: identity(1), Addr: addr})
		require.NoError(t, err, addr)
		require.NoError(t, m.Close())
	}
	log, text := logTo()
	m, err := peer.Open(peer.Config{Self: identity(1), Addr: "0.0.0.0:0", Insecure: true, Logger: log})
	require.NoError(t, err)
	require.Contains(t, text(), "level=WARN")
	require.Contains(t, text(), "without TLS")
	require.NoError(t, m.Close())
}

func TestAMuxHasAnID(t *testing.T) {
	_, err := peer.Open(peer.Config{Addr: "127.0.0.1:0"})
	require.Error(t, err)
}
