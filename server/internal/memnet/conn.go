package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// maxUnacknowledged bytes of one direction are under way or unread; more of
// them block the writer.
const maxUnacknowledged = 256 << 10

// conn is one end of a connection.
type conn struct {
	net           *Net
	host          *Host
	local, remote net.Addr
	in, out       *pipe
	moved         *sync.Cond // on the network's lock: this end has news

	closed      bool // here
	reset       bool // the other end said so, or this host was reset
	finished    bool // nothing more is written here
	read, write deadline
}

// deadline of one kind of call.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (c *conn) Read(b []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, c.fail("read", net.ErrClosed)
		case c.host.paused:
		case c.read.passed():
			return 0, c.fail("read", os.ErrDeadlineExceeded)
		case len(b) == 0:
			return 0, nil
		case len(c.in.arrived) > 0:
			return c.in.take(b), nil
		case c.reset:
			return 0, c.fail("read", syscall.ECONNRESET)
		case c.in.ended:
			return 0, io.EOF
		}
		c.moved.Wait()
	}
}

func (c *conn) Write(b []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	written := 0
	for {
		switch {
		case written > 0 && written == len(b):
			return written, nil
		case c.closed:
			return written, c.fail("write", net.ErrClosed)
		case c.host.paused:
		case c.write.passed():
			return written, c.fail("write", os.ErrDeadlineExceeded)
		case c.reset:
			return written, c.fail("write", syscall.ECONNRESET)
		case c.finished:
			return written, c.fail("write", syscall.EPIPE)
		case len(b) == 0:
			return 0, nil
		case c.out.size < maxUnacknowledged:
			some := min(len(b)-written, maxUnacknowledged-c.out.size)
			c.out.send(segment{data: append([]byte(nil), b[written:written+some]...)})
			written += some
			continue
		}
		c.moved.Wait()
	}
}

// CloseWrite says that nothing more comes.
func (c *conn) CloseWrite() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.finish()
	return nil
}

func (c *conn) finish() {
	if !c.finished {
		c.finished = true
		c.out.send(segment{fin: true})
	}
}

// Close leaves what was written on its way. Unread bytes make a reset of it.
func (c *conn) Close() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	if len(c.in.arrived) > 0 {
		c.abort()
	} else {
		c.finish()
	}
	c.closed = true
	c.leave()
	c.moved.Broadcast()
	return nil
}

// abort breaks the connection: this end at once, the other when the news come
// through.
func (c *conn) abort() {
	if !c.reset {
		c.reset = true
		c.out.send(segment{rst: true})
		c.moved.Broadcast()
	}
}

// leave frees what only an open end needs. The pipes live on while the other
// end does, since bytes may be under way.
func (c *conn) leave() {
	for _, d := range []*deadline{&c.read, &c.write} {
		if d.timer != nil {
			d.timer.Stop()
		}
	}
	delete(c.net.conns, c)
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error      { return c.set(t, &c.read, &c.write) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.set(t, &c.read) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.set(t, &c.write) }

func (c *conn) set(t time.Time, which ...*deadline) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.fail("set deadline", net.ErrClosed)
	}
	for _, d := range which {
		if d.timer != nil {
			d.timer.Stop()
			d.timer = nil
		}
		d.at = t
		if wait := time.Until(t); !t.IsZero() && wait > 0 {
			d.timer = time.AfterFunc(wait, c.wake)
		}
	}
	c.moved.Broadcast()
	return nil
}

func (c *conn) wake() {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.moved.Broadcast()
}

func (c *conn) fail(op string, err error) error {
	if errno, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}
