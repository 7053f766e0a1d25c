package rawnet

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pair returns both ends of a connection, the first one wrapped.
func pair(t *testing.T) (wrapped, other net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	other, err = net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	nc, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() {
		nc.Close()
		other.Close()
	})
	return Wrap(nc), other
}

func TestWhatIsNotTCPStaysAsItIs(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	require.Equal(t, a, Wrap(a))
}

// Eight megabytes are far more than a socket holds, so that both ends wait for each
// other again and again.
func TestEverythingArrivesInOrder(t *testing.T) {
	t.Parallel()
	sent := make([]byte, 8<<20)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range sent {
		sent[i] = byte(random.Uint32())
	}
	for name, send := range map[string]func(wrapped, other net.Conn) (from, to net.Conn){
		"written": func(wrapped, other net.Conn) (net.Conn, net.Conn) { return wrapped, other },
		"read":    func(wrapped, other net.Conn) (net.Conn, net.Conn) { return other, wrapped },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := send(pair(t))
			failed := make(chan error, 1)
			go func() {
				n, err := from.Write(sent)
				if err == nil && n != len(sent) {
					err = io.ErrShortWrite
				}
				failed <- errors.Join(err, from.Close())
			}()
			// No ReadAll on the connection itself: it has a way around Read.
			got, err := io.ReadAll(struct{ io.Reader }{to})
			require.NoError(t, err)
			require.NoError(t, <-failed)
			require.True(t, bytes.Equal(sent, got))
		})
	}
}

func TestErrorsAreThoseOfPackageNet(t *testing.T) {
	t.Parallel()
	one := make([]byte, 1)
	for name, c := range map[string]struct {
		do   func(wrapped, other net.Conn) error
		want error
	}{
		"a read that is late": {func(wrapped, _ net.Conn) error {
			wrapped.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, err := wrapped.Read(one)
			return err
		}, os.ErrDeadlineExceeded},
		"a write that is late": {func(wrapped, _ net.Conn) error {
			wrapped.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
			_, err := wrapped.Write(make([]byte, 64<<20))
			return err
		}, os.ErrDeadlineExceeded},
		"a read that the own end closes": {func(wrapped, _ net.Conn) error {
			time.AfterFunc(time.Millisecond, func() { wrapped.Close() })
			_, err := wrapped.Read(one)
			return err
		}, net.ErrClosed},
		"a write after that": {func(wrapped, _ net.Conn) error {
			wrapped.Close()
			_, err := wrapped.Write(one)
			return err
		}, net.ErrClosed},
		"the end": {func(wrapped, other net.Conn) error {
			other.Close()
			_, err := wrapped.Read(one)
			return err
		}, io.EOF},
		"a reset": {func(wrapped, other net.Conn) error {
			other.(*net.TCPConn).SetLinger(0)
			other.Close()
			_, err := wrapped.Read(one)
			return err
		}, syscall.ECONNRESET},
		"a write to nobody": {func(wrapped, other net.Conn) error {
			other.(*net.TCPConn).SetLinger(0)
			other.Close()
			wrapped.Read(one) // returns once the reset is here
			_, err := wrapped.Write(one)
			return err
		}, syscall.EPIPE},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wrapped, other := pair(t)
			err := c.do(wrapped, other)
			require.ErrorIs(t, err, c.want)
			if c.want != io.EOF {
				require.Contains(t, []string{"read", "write"}, err.(*net.OpError).Op)
			}
		})
	}
}

func TestTheLastWordsComeWholeAndThenTheEnd(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"nothing": 0, "a word": 7, "more than a socket holds": 8 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wrapped, other := pair(t)
			words := bytes.Repeat([]byte{'w'}, size)
			written := make(chan error, 1)
			go func() {
				n, half, err := WriteLast(wrapped, words)
				if err == nil && (n != size || !half) {
					err = io.ErrShortWrite
				}
				written <- err
			}()
			got, err := io.ReadAll(struct{ io.Reader }{other})
			require.NoError(t, err)
			require.NoError(t, <-written)
			require.True(t, bytes.Equal(words, got))
			_, err = other.Write([]byte("still heard"))
			require.NoError(t, err)
			b := make([]byte, 11)
			_, err = io.ReadFull(wrapped, b)
			require.NoError(t, err)
			_, err = wrapped.Write(b)
			require.ErrorIs(t, err, syscall.EPIPE)
		})
	}
}

func TestWhatCannotBeHalfClosedSaysSo(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer b.Close()
	go io.Copy(io.Discard, b)
	n, half, err := WriteLast(a, []byte("words"))
	require.NoError(t, err)
	require.Equal(t, 5, n)
	require.False(t, half)
}

func TestAWriteTellsThatItWaits(t *testing.T) {
	t.Parallel()
	wrapped, other := pair(t)
	waits := make(chan struct{}, 1)
	if !WhenFull(wrapped, func() {
		select {
		case waits <- struct{}{}:
		default:
		}
	}) {
		t.Skip("it cannot be told here")
	}
	_, err := wrapped.Write([]byte("a little"))
	require.NoError(t, err)
	require.Empty(t, waits)
	written := make(chan error, 1)
	go func() {
		_, err := wrapped.Write(make([]byte, 8<<20))
		written <- err
	}()
	<-waits
	_, err = io.CopyN(io.Discard, other, 8<<20+8)
	require.NoError(t, err)
	require.NoError(t, <-written)
}

func TestNothingIsNothing(t *testing.T) {
	t.Parallel()
	wrapped, _ := pair(t)
	for _, do := range []func([]byte) (int, error){wrapped.Read, wrapped.Write} {
		n, err := do(nil)
		require.Zero(t, n)
		require.NoError(t, err)
	}
}

func TestReadingAndWritingAllocatesNothing(t *testing.T) {
	wrapped, other := pair(t)
	b := make([]byte, 16)
	n := testing.AllocsPerRun(100, func() {
		_, err := wrapped.Write(b)
		require.NoError(t, err)
		_, err = io.ReadFull(other, b)
		require.NoError(t, err)
		_, err = other.Write(b)
		require.NoError(t, err)
		_, err = io.ReadFull(wrapped, b)
		require.NoError(t, err)
	})
	require.Zero(t, n)
}
