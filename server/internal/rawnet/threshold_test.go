package rawnet

import (
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func thresholdOf(t *testing.T, nc net.Conn) *Threshold {
	t.Helper()
	th := ThresholdOf(nc)
	if th == nil {
		t.Skip("a socket has no threshold on " + runtime.GOOS)
	}
	return th
}

func held(t *testing.T, th *Threshold, want int) {
	t.Helper()
	require.Eventually(t, func() bool { return th.Held() == want }, 20*time.Second, time.Millisecond)
}

func TestWhatIsNotTCPHasNoThreshold(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	require.Nil(t, ThresholdOf(a))
}

// TestBelowTheThresholdNobodyIsWoken tells who was woken by what the read returns.
func TestBelowTheThresholdNobodyIsWoken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		then func(t *testing.T, wrapped net.Conn, other *net.TCPConn)
		want string
	}{
		"but for more bytes": {func(t *testing.T, _ net.Conn, other *net.TCPConn) {
			_, err := other.Write([]byte("de"))
			require.NoError(t, err)
		}, "abcde"},
		"but for the end": {func(t *testing.T, _ net.Conn, other *net.TCPConn) {
			require.NoError(t, other.CloseWrite())
		}, "abc"},
		"but for a reset": {func(t *testing.T, _ net.Conn, other *net.TCPConn) {
			require.NoError(t, other.SetLinger(0))
			require.NoError(t, other.Close())
		}, "abc"},
		"until it is lowered to what there is": {func(t *testing.T, wrapped net.Conn, _ *net.TCPConn) {
			require.True(t, ThresholdOf(wrapped).Set(1))
		}, "abc"},
		"until its time is over, and then reads what there is": {func(t *testing.T, wrapped net.Conn, _ *net.TCPConn) {
			require.NoError(t, wrapped.SetReadDeadline(time.Unix(1, 0)))
		}, "abc"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wrapped, other := pair(t)
			th := thresholdOf(t, wrapped)
			require.True(t, th.Set(5))
			type result struct {
				text string
				err  error
			}
			read := make(chan result, 1)
			begun := make(chan struct{})
			go func() {
				b := make([]byte, 16)
				close(begun)
				n, err := wrapped.Read(b)
				if ne, ok := err.(net.Error); ok && ne.Timeout() {
					wrapped.SetReadDeadline(time.Time{})
					n, err = wrapped.Read(b)
				}
				read <- result{string(b[:n]), err}
			}()
			<-begun
			// The first byte may still be read by the attempt before the wait: then
			// it is no case of this test.
			_, err := other.Write([]byte("abc"))
			require.NoError(t, err)
			select {
			case r := <-read:
				require.Equal(t, "abc", r.text)
				t.Skip("read before it waited")
			case <-time.After(50 * time.Millisecond):
			}
			held(t, th, 3)
			c.then(t, wrapped, other.(*net.TCPConn))
			r := <-read
			require.Equal(t, c.want, r.text)
			require.NoError(t, r.err)
		})
	}
}

func TestAThresholdThatIsTakenAwayWakesAgain(t *testing.T) {
	t.Parallel()
	wrapped, other := pair(t)
	th := thresholdOf(t, wrapped)
	require.True(t, th.Set(5))
	require.True(t, th.Set(1))
	_, err := other.Write([]byte("a"))
	require.NoError(t, err)
	n, err := wrapped.Read(make([]byte, 16))
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func TestAClosedConnectionHoldsNothing(t *testing.T) {
	t.Parallel()
	wrapped, _ := pair(t)
	th := thresholdOf(t, wrapped)
	wrapped.Close()
	require.False(t, th.Set(5))
	require.Zero(t, th.Held())
}

func TestLookingAtASocketAllocatesNothing(t *testing.T) {
	wrapped, _ := pair(t)
	th := thresholdOf(t, wrapped)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		th.Set(5)
		th.Held()
	}))
}

func BenchmarkLook(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer l.Close()
	other, err := net.Dial("tcp", l.Addr().String())
	require.NoError(b, err)
	defer other.Close()
	nc, err := l.Accept()
	require.NoError(b, err)
	defer nc.Close()
	th := ThresholdOf(nc)
	for b.Loop() {
		th.Held()
	}
}
