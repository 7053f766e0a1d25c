package front

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// chatter has one thing more to say by the time that one was written, most times.
type chatter struct {
	Speaker
	c     *Conn
	most  int
	said  int
	begin chan struct{}
}

func (h *chatter) Append(b []byte, _ *protocol.Message) []byte {
	<-h.begin
	if h.said++; h.said < h.most {
		h.c.Push(&protocol.Message{})
	}
	return append(b, '.')
}

func started() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func hears(t *testing.T, there net.Conn, words string) {
	t.Helper()
	there.SetReadDeadline(time.Now().Add(patience))
	heard := make([]byte, len(words))
	_, err := io.ReadFull(there, heard)
	require.NoError(t, err)
	require.Equal(t, words, string(heard))
}

func TestConnectionsThatAlwaysHaveMoreToBeToldHoldNobodyUp(t *testing.T) {
	t.Parallel()
	f := New(Config{MaxOutboxBytes: 1 << 30}, nil)
	t.Cleanup(f.scribes.close)
	for range runtime.GOMAXPROCS(0) {
		c, there := told(t, f, socket)
		c.speaker = &chatter{c: c, most: 1 << 40, begin: started()}
		go io.Copy(io.Discard, there)
		say(c, ".")
	}
	requireHeard(t, f)
}

// requireHeard: one more connection is told something.
func requireHeard(t *testing.T, f *Front) {
	t.Helper()
	c, there := told(t, f, socket)
	say(c, "heard")
	hears(t, there, "heard")
}

func TestATurnThatEndsIsFollowedByTheNext(t *testing.T) {
	t.Parallel()
	f := New(Config{}, nil)
	t.Cleanup(f.scribes.close)
	c, there := told(t, f, socket)
	h := &chatter{c: c, most: 10 * scribeTurn / writeFee, begin: started()}
	c.speaker = h
	say(c, ".")
	hears(t, there, strings.Repeat(".", h.most))
}

func TestFlushedOutlastsTheTurnsOfScribes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := New(Config{}, nil)
		t.Cleanup(f.scribes.close)
		c, there := told(t, f, pipe)
		h := &chatter{c: c, most: 10 * scribeTurn / writeFee, begin: make(chan struct{})}
		c.speaker = h
		go io.Copy(io.Discard, there)
		c.out.call = func() {} // no other scribe comes by
		say(c, ".")
		go c.scribe()
		synctest.Wait()
		flushed := make(chan error)
		go func() { flushed <- c.Flushed() }()
		synctest.Wait()
		close(h.begin)
		require.NoError(t, <-flushed)
		require.Equal(t, h.most, h.said)
		require.Zero(t, c.out.depth())
	})
}

// asks answers each request with as much as may wait.
type asks struct {
	silent
	answers int
}

func (a *asks) Request([]byte) error {
	a.answers++
	a.c.Push(&protocol.Message{Data: make([]byte, a.c.out.max)})
	return nil
}

func (a *asks) Append(b []byte, m *protocol.Message) []byte { return append(b, m.Data...) }

func TestWhoAsksForMuchWhileAScribeIsAtItIsNotClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most, requests = 1 << 20, 5
		f := New(Config{MaxOutboxBytes: most}, nil)
		t.Cleanup(f.scribes.close)
		c, there := told(t, f, pipe)
		a := &asks{silent: silent{c: c}}
		c.speaker, c.timeout = a, time.Hour
		c.r = bufio.NewReader(c.nc)
		c.Push(&protocol.Message{Data: make([]byte, most)})
		c.Wake()
		synctest.Wait() // a scribe is at it
		read := make(chan error)
		go func() { read <- c.read() }()
		_, err := there.Write(make([]byte, 4*requests)) // frames of nothing
		require.NoError(t, err)
		synctest.Wait()
		n, err := io.CopyN(io.Discard, there, (1+requests)*most)
		require.NoError(t, err, "%d bytes", n)
		there.Close()
		require.ErrorIs(t, <-read, io.EOF)
		require.Equal(t, requests, a.answers)
	})
}

// Whoever ends a connection may have to wait for Core's lock.
func TestConnectionsThatEndSlowlyHoldNobodyUp(t *testing.T) {
	t.Parallel()
	f := New(Config{}, nil)
	t.Cleanup(f.scribes.close)
	locked := make(chan struct{})
	var broken []*Conn
	for range 2*runtime.GOMAXPROCS(0) + 1 {
		c, there := told(t, f, socket)
		broken = append(broken, c)
		there.Close()
		c.raw.Close()
		ending := make(chan struct{})
		go c.once.Do(func() {
			close(ending)
			<-locked
			close(c.gone)
		})
		<-ending
	}
	t.Cleanup(func() { close(locked) }) // before any is killed
	for _, c := range broken {
		say(c, "not heard")
	}
	requireHeard(t, f)
}

func TestAWriteThatPanicsTakesNoScribesPlace(t *testing.T) {
	t.Parallel()
	f := New(Config{}, nil)
	t.Cleanup(f.scribes.close)
	c, _ := told(t, f, pipe)
	c.scribing = true
	require.Panics(t, func() { _ = c.write([]byte("."), func() (int, error) { panic("a bug") }) })
	require.False(t, c.away)
	require.Zero(t, f.scribes.active)
}

func certificate(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	plain := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, plain, plain, &key.PublicKey, key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TLS writes on the reader's goroutine too, which is no scribe whoever has the pen.
func TestAFullSocketUnderTLSTakesNoScribesPlace(t *testing.T) {
	t.Parallel()
	f := New(Config{TLS: &tls.Config{Certificates: []tls.Certificate{certificate(t)}}}, nil)
	t.Cleanup(f.scribes.close)
	c, there := told(t, f, socket)
	c.r = bufio.NewReader(countingReader{c})
	shaken := make(chan error, 1)
	go func() { shaken <- tls.Client(there, &tls.Config{InsecureSkipVerify: true}).Handshake() }()
	_, err := c.r.Peek(1)
	require.NoError(t, err)
	require.NoError(t, c.startTLS())
	require.NoError(t, <-shaken)
	c.scribing = true
	c.nc.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	_, err = c.nc.Write(make([]byte, 16<<20))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded) // it was full
	require.False(t, c.away)
}

// silent is a client's protocol in which nothing is ever said but goodbye.
type silent struct {
	parrot
	c *Conn
}

func (s silent) Begins(byte) bool       { return true }
func (s silent) Name() string           { return "silence" }
func (s silent) MaxFrame() uint32       { return 1 << 10 }
func (s silent) PingBytes() (int, bool) { return 0, true }
func (s silent) Speak(c *Conn) Speaker  { return silent{c: c} }

func (s silent) Handshake() bool {
	s.c.timeout = time.Second
	_, err := s.c.r.Discard(1)
	return err == nil
}

func (s silent) Append(b []byte, m *protocol.Message) []byte { return append(b, m.More.Detail...) }

// halves is a pipe that pretends to be closed for writing alone.
type halves struct{ net.Conn }

func (halves) CloseWrite() error { return nil }

func TestAnIdleClientHasTimeToHearTheGoodbye(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := New(Config{}, nil, silent{})
		t.Cleanup(f.scribes.close)
		here, there := net.Pipe()
		served := make(chan struct{})
		go func() {
			f.ServeConn(halves{here})
			close(served)
		}()
		_, err := there.Write([]byte("?"))
		require.NoError(t, err)
		hears(t, there, "nothing was heard of the client for its session's timeout")
		time.Sleep(farewellTimeout / 2) // of the bubble
		_, err = there.Write([]byte("a request on its way"))
		require.NoError(t, err)
		_, err = there.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		<-served
	})
}
