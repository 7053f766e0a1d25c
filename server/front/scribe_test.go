package front

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// parrot says the path of each message.
type parrot struct{ Speaker }

func (parrot) Append(b []byte, m *protocol.Message) []byte { return append(b, m.Path...) }

func pipe(*testing.T) (here, there net.Conn) { return net.Pipe() }

func socket(t *testing.T) (here, there net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	there, err = net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	here, err = l.Accept()
	require.NoError(t, err)
	return here, there
}

// told returns a connection of f whose reader waits for its client, and the
// client's end.
func told(t *testing.T, f *Front, pair func(*testing.T) (here, there net.Conn)) (*Conn, net.Conn) {
	here, there := pair(t)
	c := newConn(f, here)
	c.speaker = parrot{}
	c.out.open()
	c.out.beIdle()
	t.Cleanup(func() {
		there.Close()
		c.kill()
	})
	return c, there
}

func say(c *Conn, words string) {
	c.Push(&protocol.Message{Path: words})
	c.Wake()
}

const patience = 20 * time.Second // for what must come; nothing is late because of it

func TestClientsThatDoNotReadHoldNobodyUp(t *testing.T) {
	t.Parallel()
	tooMuch := string(make([]byte, 8<<20))
	for name, pair := range map[string]func(*testing.T) (here, there net.Conn){"over a pipe": pipe, "over a socket": socket} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := New(Config{MaxOutboxBytes: 1 << 30}, nil)
			t.Cleanup(f.scribes.close) // after the connections
			deaf := make([]net.Conn, 2*runtime.GOMAXPROCS(0)+1)
			for i := range deaf {
				c, there := told(t, f, pair)
				say(c, tooMuch)
				deaf[i] = there
			}
			c, there := told(t, f, pair)
			for range 2 { // the second one finds a scribe that has written before
				say(c, "heard")
				there.SetReadDeadline(time.Now().Add(patience))
				heard := make([]byte, 5)
				_, err := io.ReadFull(there, heard)
				require.NoError(t, err)
				require.Equal(t, "heard", string(heard))
			}
			for _, d := range deaf {
				d.SetReadDeadline(time.Now().Add(patience))
				n, err := io.CopyN(io.Discard, d, int64(len(tooMuch)))
				require.NoError(t, err)
				require.EqualValues(t, len(tooMuch), n)
			}
		})
	}
}

func TestThereAreNoMoreScribesThanCanRun(t *testing.T) {
	t.Parallel()
	f := New(Config{}, nil)
	t.Cleanup(f.scribes.close)
	var all []*Conn
	var ends []net.Conn
	for range 50 {
		c, there := told(t, f, socket)
		all, ends = append(all, c), append(ends, there)
	}
	for range 20 {
		for _, c := range all {
			say(c, ".")
		}
	}
	for _, there := range ends {
		there.SetReadDeadline(time.Now().Add(patience))
		_, err := io.CopyN(io.Discard, there, 20)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		f.scribes.mu.Lock()
		defer f.scribes.mu.Unlock()
		return f.scribes.active <= runtime.GOMAXPROCS(0) && f.scribes.idle == f.scribes.active
	}, patience, time.Millisecond)
}

func TestAPenThatWasTakenFromAScribeIsGivenToNobody(t *testing.T) {
	t.Parallel()
	var o outbox
	o.init(1<<20, &crowd{}, func() {})
	o.open()
	o.push(&protocol.Message{})
	batch, ok := o.takePen()
	require.True(t, ok)
	o.abandonPen() // of a reader that panicked
	o.end(&protocol.Message{Kind: protocol.Goodbye})
	_, ok = o.takePen()
	require.False(t, ok)
	_, ok = o.next(batch, false)
	require.False(t, ok)
}

// The runtime lowers GOMAXPROCS by itself when a container gets less of the machine.
func TestWhatIsToldArrivesWhenThereAreFewerProcessorsThanBefore(t *testing.T) {
	t.Parallel()
	const before = 4
	f := New(Config{}, nil)
	f.scribes.most.Store(before)
	t.Cleanup(f.scribes.close)
	var ends []net.Conn
	for range before { // each has a scribe of its own wait for it
		c, there := told(t, f, pipe)
		say(c, "one")
		ends = append(ends, there)
	}
	c, there := told(t, f, pipe)
	for _, bytes := range []int64{1, 2} { // when all have begun none has ended
		for _, end := range ends {
			_, err := io.CopyN(io.Discard, end, bytes)
			require.NoError(t, err)
		}
	}
	require.Eventually(t, func() bool {
		f.scribes.mu.Lock()
		defer f.scribes.mu.Unlock()
		return f.scribes.active == before && f.scribes.idle == before
	}, patience, time.Millisecond)
	f.scribes.most.Store(1)
	say(c, "heard")
	there.SetReadDeadline(time.Now().Add(patience))
	_, err := io.CopyN(io.Discard, there, 5)
	require.NoError(t, err)
}

func TestTheLastWordsArriveWhateverTheClientStillSends(t *testing.T) {
	t.Parallel()
	for name, closes := range map[string]bool{"to a client that sends": false, "to one that has closed its end": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := New(Config{}, nil)
			t.Cleanup(f.scribes.close)
			c, there := told(t, f, socket)
			_, err := there.Write(bytes.Repeat([]byte("unread"), 100))
			require.NoError(t, err)
			if closes {
				require.NoError(t, there.(*net.TCPConn).CloseWrite())
			}
			c.Push(&protocol.Message{Path: "last words"})
			c.Close(protocol.Closing, "")
			there.SetReadDeadline(time.Now().Add(patience))
			heard, err := io.ReadAll(there)
			require.NoError(t, err)
			require.Equal(t, "last words", string(heard))
			<-c.Gone() // the undertaker came
		})
	}
}

func TestReadersServeMoreThanOneConnectionAndEnd(t *testing.T) {
	t.Parallel()
	f := New(Config{}, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- f.Serve(l) }()
	for range 3 * keptReaders {
		nc, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		_, err = nc.Write([]byte("?"))
		require.NoError(t, err)
		nc.SetReadDeadline(time.Now().Add(patience))
		_, err = io.ReadAll(nc)
		require.NoError(t, err)
		nc.Close()
	}
	require.LessOrEqual(t, f.waiting.Load(), int32(keptReaders)+1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, f.Close(ctx))
	require.ErrorIs(t, <-served, ErrClosed)
}
