package memnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/internal/memnet"
)

// bubble runs a test with two hosts and a connection between them, in virtual
// time.
func bubble(t *testing.T, f func(t *testing.T, n *memnet.Net, a, b net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		l, err := n.Host("b").Listen("b:1")
		require.NoError(t, err)
		defer l.Close()
		a, err := n.Host("a").Dial(t.Context(), "b:1")
		require.NoError(t, err)
		b, err := l.Accept()
		require.NoError(t, err)
		f(t, n, a, b)
		a.Close()
		b.Close()
		require.Zero(t, n.Conns("a")+n.Conns("b"))
	})
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	n, err := c.Write([]byte(text))
	require.NoError(t, err)
	require.Len(t, text, n)
}

func receive(t *testing.T, c net.Conn, text string) {
	t.Helper()
	b := make([]byte, len(text))
	_, err := io.ReadFull(c, b)
	require.NoError(t, err)
	require.Equal(t, text, string(b))
}

func TestBytesArriveInOrderAndTheEndAfterThem(t *testing.T) {
	bubble(t, func(t *testing.T, _ *memnet.Net, a, b net.Conn) {
		send(t, a, "one")
		send(t, a, "two")
		require.NoError(t, a.Close())
		receive(t, b, "onet")
		receive(t, b, "wo")
		_, err := b.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		_, err = a.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
		require.Equal(t, a.LocalAddr().String(), b.RemoteAddr().String())
	})
}

func TestOneWayIsCutAndHealed(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Net, a, b net.Conn) {
		n.Cut("a", "b")
		send(t, a, "late")
		send(t, b, "soon")
		receive(t, a, "soon")
		b.SetReadDeadline(time.Now().Add(time.Hour))
		_, err := b.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.True(t, err.(net.Error).Timeout())
		b.SetReadDeadline(time.Time{})
		n.Heal("a", "b")
		receive(t, b, "late")
	})
}

func TestACutWayBackHoldsAcknowledgements(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Net, a, b net.Conn) {
		n.Cut("b", "a")
		a.SetWriteDeadline(time.Now().Add(time.Second))
		sent, err := a.Write(make([]byte, 1<<20))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		receive(t, b, string(make([]byte, sent)))
		a.SetWriteDeadline(time.Now().Add(time.Second))
		_, err = a.Write([]byte{1})
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		n.HealAll()
		a.SetWriteDeadline(time.Now().Add(time.Second))
		send(t, a, "x")
		receive(t, b, "x")
	})
}

func TestABlockedWriterGoesOnWhenRead(t *testing.T) {
	bubble(t, func(t *testing.T, _ *memnet.Net, a, b net.Conn) {
		big := make([]byte, 3<<20)
		done := make(chan error)
		go func() { _, err := a.Write(big); done <- err }()
		synctest.Wait()
		_, err := io.ReadFull(b, make([]byte, len(big)))
		require.NoError(t, err)
		require.NoError(t, <-done)
	})
}

func TestBytesTakeTheirDelay(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Net, a, b net.Conn) {
		n.Delay("a", "b", 40*time.Millisecond)
		start := time.Now()
		send(t, a, "x")
		n.Delay("a", "b", 0)
		send(t, a, "y") // does not overtake
		receive(t, b, "xy")
		require.Equal(t, 40*time.Millisecond, time.Since(start))
	})
}

func TestAClosedEndResetsWhoWritesToIt(t *testing.T) {
	bubble(t, func(t *testing.T, _ *memnet.Net, a, b net.Conn) {
		require.NoError(t, b.Close())
		send(t, a, "into the void")
		_, err := a.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

func TestClosingWithUnreadBytesResets(t *testing.T) {
	bubble(t, func(t *testing.T, _ *memnet.Net, a, b net.Conn) {
		send(t, a, "unread")
		require.NoError(t, b.Close())
		_, err := a.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

func TestAHalfIsClosed(t *testing.T) {
	bubble(t, func(t *testing.T, _ *memnet.Net, a, b net.Conn) {
		require.NoError(t, a.(interface{ CloseWrite() error }).CloseWrite())
		_, err := b.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		send(t, b, "still")
		receive(t, a, "still")
		_, err = a.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.EPIPE)
	})
}

func TestAResetIsHeardWhenTheWayIsOpen(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Net, a, b net.Conn) {
		n.Cut("a", "b")
		n.Reset("a")
		_, err := a.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		failed := make(chan error, 1)
		go func() { _, err := b.Read(make([]byte, 1)); failed <- err }()
		time.Sleep(time.Hour)
		require.Empty(t, failed)
		n.Heal("a", "b")
		require.ErrorIs(t, <-failed, syscall.ECONNRESET)
	})
}

func TestAPausedHostHangsAndMissesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Net, a, b net.Conn) {
		n.Pause("b")
		send(t, a, "gathers")
		b.SetReadDeadline(time.Now().Add(time.Second))
		start := time.Now()
		time.AfterFunc(time.Minute, func() { n.Resume("b") })
		_, err := b.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(start))
		b.SetReadDeadline(time.Time{})
		receive(t, b, "gathers")
	})
}

func TestDialsAreRefusedHeldBackAndGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a := n.Host("10.0.0.1")
		_, err := a.Dial(t.Context(), "10.0.0.2:1")
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		l, err := n.Host("10.0.0.2").Listen("10.0.0.2:1")
		require.NoError(t, err)
		defer l.Close()
		_, err = n.Host("10.0.0.2").Listen("10.0.0.2:1")
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		_, err = a.Listen("10.0.0.2:1")
		require.ErrorIs(t, err, syscall.EADDRNOTAVAIL)

		n.Refuse("10.0.0.1", "10.0.0.2", true)
		_, err = a.Dial(t.Context(), "10.0.0.2:1")
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		n.Refuse("10.0.0.1", "10.0.0.2", false)

		n.Cut("10.0.0.2", "10.0.0.1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = a.Dial(ctx, "10.0.0.2:1")
		require.ErrorIs(t, err, context.DeadlineExceeded)

		time.AfterFunc(time.Minute, n.HealAll)
		c, err := a.Dial(t.Context(), "10.0.0.2:1")
		require.NoError(t, err)
		require.IsType(t, &net.TCPAddr{}, c.RemoteAddr())
		require.NoError(t, l.Close())
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		_, err = l.Accept()
		require.True(t, errors.Is(err, net.ErrClosed))
		require.NoError(t, c.Close())
	})
}

func TestACrashedHostLivesAnewUnderItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a, former := n.Host("a"), n.Host("b")
		l, err := former.Listen("b:1")
		require.NoError(t, err)
		c, err := a.Dial(t.Context(), "b:1")
		require.NoError(t, err)
		served, err := l.Accept()
		require.NoError(t, err)
		waiting, err := a.Dial(t.Context(), "b:1")
		require.NoError(t, err)

		n.Crash("b")
		for _, end := range []net.Conn{c, served, waiting} {
			_, err = end.Read(make([]byte, 1))
			require.ErrorIs(t, err, syscall.ECONNRESET)
			require.NoError(t, end.Close())
		}
		_, err = l.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = former.Listen("b:1")
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = former.Dial(t.Context(), "a:1")
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = a.Dial(t.Context(), "b:1")
		require.ErrorIs(t, err, syscall.ECONNREFUSED)

		l, err = n.Host("b").Listen("b:1")
		require.NoError(t, err)
		c, err = a.Dial(t.Context(), "b:1")
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.NoError(t, l.Close())
		require.Zero(t, n.Conns("a")+n.Conns("b"))
	})
}
