package native

import (
	"bufio"
	"encoding/binary"
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
	"github.com/lycaon-io/lycaon/server/pipeline"
	"github.com/lycaon-io/lycaon/znode"
)

// conn is one connection: pipeline.Sink of its lane. Fields without a note
// are the reader's.
type conn struct {
	front   *Front
	raw     net.Conn // what was accepted; closing it ends everything
	nc      net.Conn // the same, or TLS over it after the handshake
	ip      netip.Addr
	refusal string // why it is one too many

	r        *bufio.Reader
	frame    []byte
	req      protocol.Request
	ids      []znode.Identity // of the hello
	admin    bool             // may use the administrative requests
	guest    bool             // has no session
	timeout  time.Duration
	readBy   time.Time
	requests uint64 // not yet added to the front's count

	lane       atomic.Pointer[pipeline.Lane]
	out        outbox
	page       []byte    // of who holds the pen, as is the next
	writeBy    time.Time // the write deadline set
	once       sync.Once
	gone       chan struct{} // closed by kill
	drained    chan struct{} // closed when the reader reads no more
	undertaker *time.Timer   // kills a connection whose goodbye takes too long
}

func newConn(f *Front, nc net.Conn) *conn {
	c := &conn{front: f, raw: nc, nc: nc, ip: addrOf(nc), gone: make(chan struct{}), drained: make(chan struct{})}
	c.out.init(f.cfg.MaxOutboxBytes)
	c.undertaker = time.AfterFunc(time.Hour, c.kill)
	c.undertaker.Stop()
	return c
}

func addrOf(nc net.Conn) netip.Addr {
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// serve is the life of the connection, on its reader's goroutine.
func (c *conn) serve() {
	defer c.kill()
	defer c.contain()
	if !c.handshake() {
		return
	}
	writer := make(chan struct{})
	go func() {
		defer close(writer)
		c.write()
	}()
	defer func() {
		if c.out.farewell() == nil {
			c.kill() // nothing is to be said, so the writer may go
		}
		close(c.drained)
		<-writer
	}()
	c.read()
	c.front.counts.requests.Add(c.requests)
	if c.out.farewell() == nil {
		return
	}
	io.Copy(io.Discard, c.nc) // until the writer has said goodbye; it has set a deadline
}

// setLane takes the lane over, or lets it go again if the connection ended
// meanwhile.
func (c *conn) setLane(l *pipeline.Lane) {
	c.lane.Store(l)
	select {
	case <-c.gone:
		l.Detach()
	default:
	}
}

// contain keeps a bug that one connection set off from ending the others. A
// panic under Core's lock is not contained: the state could not be trusted.
func (c *conn) contain() {
	if v := recover(); v != nil {
		c.front.counts.panics.Add(1)
		c.front.cfg.Logger.Error("panic on a connection, which is closed", "panic", v, "peer", c.raw.RemoteAddr().String(), "stack", string(debug.Stack()))
		c.out.abandonPen()
		c.kill()
	}
}

// countingReader counts what comes in.
type countingReader struct{ *conn }

func (c countingReader) Read(p []byte) (int, error) {
	n, err := c.nc.Read(p)
	c.front.counts.bytesIn.Add(uint64(n))
	return n, err
}

// read takes requests until the connection ends.
func (c *conn) read() {
	for {
		frame, err := c.nextFrame()
		if c.out.setBusy(true) {
			return
		}
		switch tooLarge := (*protocol.FrameTooLargeError)(nil); {
		case err == nil:
			err = c.request(frame)
		case errors.As(err, &tooLarge):
			err = c.refuseFrame(tooLarge)
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.front.counts.idle.Add(1)
			c.Close(protocol.Closing, "nothing was heard of the client for its session's timeout")
			return
		}
		if err != nil {
			c.endWith(err)
			return
		}
		if c.out.depth() >= writeBufferSize {
			c.flush()
		}
	}
}

// endWith says goodbye to a client whose bytes make no sense any more; a
// connection that broke gets none.
func (c *conn) endWith(err error) {
	if errors.Is(err, protocol.ErrMarshalling) || errors.Is(err, znode.ErrTooLarge) {
		c.front.counts.badRequests.Add(1)
		c.Close(protocol.CodeOf(err), err.Error())
	}
}

// nextFrame reads one frame. Before it waits for the socket, what there is to
// say is said.
func (c *conn) nextFrame() ([]byte, error) {
	if !c.wholeFrame() {
		c.rest()
		c.front.counts.requests.Add(c.requests)
		c.requests = 0
		if err := c.refreshDeadline(); err != nil {
			return nil, err
		}
	}
	frame, err := protocol.ReadFrame(c.r, c.frame, c.front.cfg.Limits.MaxFrame)
	if c.frame = frame; cap(frame) > keptFrame {
		c.frame = nil
	}
	return frame, err
}

// wholeFrame tells whether the next frame is in the buffer already.
func (c *conn) wholeFrame() bool {
	n := c.r.Buffered()
	if n < 4 {
		return false
	}
	head, err := c.r.Peek(4)
	return err == nil && uint64(binary.BigEndian.Uint32(head))+4 <= uint64(n)
}

// refreshDeadline lets the socket wait for a session timeout, or up to an
// eighth more, so as not to set a deadline for each read.
func (c *conn) refreshDeadline() error {
	now := time.Now()
	if c.readBy.Sub(now) > c.timeout {
		return nil
	}
	c.readBy = now.Add(c.timeout + c.timeout/8)
	return c.nc.SetReadDeadline(c.readBy)
}
