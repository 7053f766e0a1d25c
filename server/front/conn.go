package front

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/rawnet"
	"github.com/lycaon-io/lycaon/server/pipeline"
	"github.com/lycaon-io/lycaon/znode"
)

// Conn is one connection: pipeline.Sink of its lane. Its methods are for its
// Speaker, on the reader's goroutine, where nothing else is said. Fields
// without a note are the reader's.
type Conn struct {
	front   *Front
	raw     net.Conn // what was accepted; closing it ends everything
	nc      net.Conn // over the same, with TLS after the handshake
	ip      netip.Addr
	refusal string // why it is one too many
	began   time.Time

	r        *bufio.Reader
	speaker  Speaker
	speaks   atomic.Pointer[Speaker] // speaker, for others
	frame    []byte
	timeout  time.Duration
	readBy   time.Time
	doze     doze
	requests uint64        // not yet added to the counts
	received atomic.Uint64 // requests
	heard    atomic.Int64  // time.Duration after began: when bytes came last
	sent     atomic.Uint64 // messages

	lane       atomic.Pointer[pipeline.Lane]
	out        outbox
	page       []byte    // of who holds the pen, as are the next five
	writeBy    time.Time // the write deadline set
	scribing   bool      // a scribe writes
	turn       int       // bytes and fees since he began
	away       bool      // and waits for the socket, or may
	tells      bool      // the socket says when a write waits for it
	once       sync.Once
	gone       chan struct{}              // closed by kill
	undertaker atomic.Pointer[time.Timer] // kills a connection whose goodbye takes too long
}

func newConn(f *Front, nc net.Conn) *Conn {
	c := &Conn{front: f, raw: nc, nc: rawnet.Wrap(nc), ip: addrOf(nc), began: time.Now(), gone: make(chan struct{})}
	c.tells = rawnet.WhenFull(c.nc, c.waits)
	c.out.init(f.cfg.MaxOutboxBytes, &f.crowd, func() { f.scribes.call(c) })
	return c
}

func addrOf(nc net.Conn) netip.Addr {
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// Config, Core and Counts are the Front's.
func (c *Conn) Config() *Config { return &c.front.cfg }

// Core is the Front's.
func (c *Conn) Core() *pipeline.Core { return c.front.core }

// Counts are the Front's.
func (c *Conn) Counts() *Counters { return &c.front.counts }

// Front is the one that accepted the connection.
func (c *Conn) Front() *Front { return c.front }

// Reader gives what the client sends, to a handshake.
func (c *Conn) Reader() *bufio.Reader { return c.r }

// Write sends bytes before there is a lane.
func (c *Conn) Write(b []byte) error {
	c.nc.SetWriteDeadline(time.Now().Add(HandshakeTimeout))
	_, err := c.nc.Write(b)
	return err
}

// RemoteAddr is the client's, as text.
func (c *Conn) RemoteAddr() string { return c.raw.RemoteAddr().String() }

// Say sends the last words of a connection that never gets a lane, and gives the
// client a moment to read them: a socket closed with input unread resets the
// connection.
func (c *Conn) Say(b []byte) {
	if c.Write(b) != nil {
		return
	}
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		c.nc.SetReadDeadline(time.Now().Add(farewellTimeout))
		io.CopyN(io.Discard, c.nc, maxUnread)
	}
}

// Taking does what may take a while, for at most as long as the connection is
// there. The session does not expire meanwhile.
func (c *Conn) Taking(within time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-c.gone:
			cancel()
		case <-done:
		}
	}()
	return c.wait(func() error {
		return c.lane.Load().Aside(func() error { return do(ctx) })
	})
}

// AllKnow is that of the Config.
func (c *Conn) AllKnow(what int) bool {
	ask, all := c.Config().AllKnow, true
	if ask != nil {
		_ = c.Taking(knowWithin, func(ctx context.Context) error {
			all = ask(ctx, what)
			return nil
		})
	}
	return all
}

// Speaker is what the client speaks, nil before that is known. It may be asked
// for from any goroutine, as may all below.
func (c *Conn) Speaker() Speaker {
	if s := c.speaks.Load(); s != nil {
		return *s
	}
	return nil
}

// Began is when the connection was accepted.
func (c *Conn) Began() time.Time { return c.began }

// Heard is when the client last sent something.
func (c *Conn) Heard() time.Time { return c.began.Add(time.Duration(c.heard.Load())) }

// ResetTraffic has Traffic begin anew.
func (c *Conn) ResetTraffic() {
	c.received.Store(0)
	c.sent.Store(0)
}

// Traffic is how many requests and messages have come and gone.
func (c *Conn) Traffic() (received, sent uint64) { return c.received.Load(), c.sent.Load() }

// Refusal says why the connection is one too many, if it is: then it may be
// told so and not be served.
func (c *Conn) Refusal() string { return c.refusal }

// Gone is closed when the connection has ended.
func (c *Conn) Gone() <-chan struct{} { return c.gone }

// Lane is the connection's, once SetLane was called.
func (c *Conn) Lane() *pipeline.Lane { return c.lane.Load() }

// SetLane takes the lane over, or lets it go again if the connection ended
// meanwhile. The connection is closed when nothing was heard for timeout.
func (c *Conn) SetLane(l *pipeline.Lane, timeout time.Duration) {
	c.timeout = timeout
	c.lane.Store(l)
	select {
	case <-c.gone:
		l.Detach()
	default:
	}
}

// serve is the life of the connection, on its reader's goroutine.
func (c *Conn) serve() {
	defer c.kill()
	defer c.contain()
	c.nc.SetReadDeadline(time.Now().Add(HandshakeTimeout))
	c.r = readers.Get().(*bufio.Reader)
	c.r.Reset(countingReader{c})
	defer c.giveBack()
	if !c.tell() || !c.speaker.Handshake() || c.refreshDeadline() != nil {
		return
	}
	c.mayDoze()
	defer c.front.dozers.remove(c)
	c.out.open()
	err := c.read()
	c.countRequests()
	if c.out.bidden() && c.Flushed() == nil && err == nil {
		c.nc.SetReadDeadline(time.Now().Add(2 * farewellTimeout)) // that of an idle client has passed
		io.Copy(io.Discard, c.nc)                                 // until the client has heard the goodbye, or the undertaker comes
	}
}

// giveBack lets the next connection have the reader, once nobody reads any more.
func (c *Conn) giveBack() {
	r := c.r
	c.r = nil
	r.Reset(nil)
	readers.Put(r)
}

// readers are those of connections that have ended: their buffers are most of
// what a connection takes.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readBufferSize) }}

// contain keeps a bug that one connection set off from ending the others. A
// panic under Core's lock is not contained: the state could not be trusted.
func (c *Conn) contain() {
	if v := recover(); v != nil {
		c.front.counts.panics.Add(1)
		c.front.cfg.Logger.Error("panic on a connection, which is closed", "panic", v, "peer", c.RemoteAddr(), "stack", string(debug.Stack()))
		c.out.abandonPen()
		c.kill()
	}
}

// countingReader counts what comes in.
type countingReader struct{ *Conn }

func (c countingReader) Read(p []byte) (int, error) {
	n, err := c.nc.Read(p)
	if n > 0 {
		c.heard.Store(int64(time.Since(c.began)))
	}
	c.front.counts.bytesIn.Add(uint64(n))
	return n, err
}

// read takes requests until the connection ends. An error means that nothing more
// comes from the client.
func (c *Conn) read() error {
	most := c.speaker.MaxFrame()
	for {
		frame, err := c.nextFrame(most)
		ending, queued := c.out.getBusy()
		if ending {
			return ended(err)
		}
		switch {
		case queued > ownOutboxBytes: // who asks for more is not to be closed for a scribe's being at it
			_ = c.Flushed()
		case queued >= writeBufferSize:
			c.flush()
		}
		if err == nil {
			c.requests++
			err = c.speaker.Request(frame)
		} else {
			err = c.noFrame(err)
		}
		if err != nil {
			c.endWith(err)
			return ended(err)
		}
	}
}

// ended is err if a client has closed its end, or nil: it may be heard of still.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// noFrame makes what there is to be made of an error in place of a frame.
func (c *Conn) noFrame(err error) error {
	switch tooLarge := (*protocol.FrameTooLargeError)(nil); {
	case errors.As(err, &tooLarge):
		c.front.counts.tooLarge.Add(1)
		return c.speaker.TooLarge(tooLarge)
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.front.counts.idle.Add(1)
		c.Close(protocol.Closing, "nothing was heard of the client for its session's timeout")
	}
	return err
}

// endWith says goodbye to a client whose bytes make no sense any more; a
// connection that broke gets none.
func (c *Conn) endWith(err error) {
	if errors.Is(err, protocol.ErrMarshalling) || errors.Is(err, znode.ErrTooLarge) {
		c.front.counts.BadRequests.Add(1)
		c.Close(protocol.CodeOf(err), err.Error())
	}
}

// nextFrame returns one frame, good until the next call. Before it waits for the
// socket, what there is to say is said.
func (c *Conn) nextFrame(most uint32) ([]byte, error) {
	if frame, ok := protocol.BufferedFrame(c.r, most); ok {
		return frame, nil
	}
	c.rest()
	c.countRequests()
	if err := c.refreshDeadline(); err != nil {
		return nil, err
	}
	if c.r.Buffered() == 0 {
		if err := c.await(); err != nil {
			return nil, err
		}
		if frame, ok := protocol.BufferedFrame(c.r, most); ok {
			return frame, nil
		}
	}
	frame, err := protocol.ReadFrame(c.r, c.frame, most)
	if c.frame = frame; cap(frame) > keptFrame {
		c.frame = nil
	}
	return frame, err
}

func (c *Conn) countRequests() {
	c.front.counts.requests.Add(c.requests)
	c.received.Add(c.requests)
	c.requests = 0
}

// refreshDeadline lets the socket wait for a session timeout, or up to an
// eighth more, so as not to set a deadline for each read.
func (c *Conn) refreshDeadline() error {
	now := time.Now()
	if c.readBy.Sub(now) > c.timeout {
		return nil
	}
	c.readBy = now.Add(c.timeout + c.timeout/8)
	return c.nc.SetReadDeadline(c.readBy)
}

// Submit hands a request to the lane. It waits for credit only once everything
// known has been said: the client may need to hear it before it goes on.
func (c *Conn) Submit(r *protocol.Request) error {
	lane := c.lane.Load()
	if lane.TrySubmit(r) {
		return nil
	}
	return c.wait(func() error { return lane.Submit(r) })
}

// Answer completes a request with m, in its turn.
func (c *Conn) Answer(m *protocol.Message) error {
	return c.wait(func() error { return c.lane.Load().Answer(m) })
}

// Authorize answers m and adds identities for the requests after this one.
func (c *Conn) Authorize(m *protocol.Message, ids []znode.Identity) error {
	return c.wait(func() error { return c.lane.Load().Authorize(m, ids) })
}

// wait does what the reader may have to wait for, once what is known was said:
// others may wait for that.
func (c *Conn) wait(do func() error) error {
	c.rest()
	defer c.out.getBusy()
	return do()
}

// rest says what is known, before the reader waits for something.
func (c *Conn) rest() {
	c.out.beIdle()
	c.flush()
}

// Flushed returns when everything pushed has been written, or the connection
// has gone.
func (c *Conn) Flushed() error {
	for done := false; !done; done = c.out.awaitPen() {
		c.flush()
	}
	select {
	case <-c.gone:
		return net.ErrClosed
	default:
		return nil
	}
}

// secure is the TLS connection, if it is one.
func (c *Conn) secure() (*tls.Conn, bool) {
	secure, ok := c.nc.(*tls.Conn)
	return secure, ok
}
