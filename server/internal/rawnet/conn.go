//go:build linux && (amd64 || arm64) && !race

package rawnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// maxCall bounds one system call: until it returns, the collector of garbage
// may have to wait for it.
const maxCall = 64 << 10

// Wrap returns the connection, or one over the same socket that costs less if it
// is TCP. Under the race detector, which knows the calls of package syscall, it
// is always the connection itself.
func Wrap(nc net.Conn) net.Conn {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nc
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nc
	}
	c := &conn{TCPConn: tcp, raw: raw}
	c.in.try, c.out.try = c.recv, c.send
	return c
}

// conn has everything from TCPConn but Read and Write.
type conn struct {
	*net.TCPConn
	raw     syscall.RawConn
	in, out transfer
	last    bool   // the end goes out with what is being written; guarded by out.mu
	full    func() // nil, or called before a write waits for room
}

// transfer is one call of Read or Write under way. try is made once, since a
// closure for each call would be an allocation for each.
type transfer struct {
	mu    sync.Mutex
	p     []byte
	n     int
	errno syscall.Errno
	try   func(fd uintptr) (done bool)
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.do(&c.in, c.raw.Read, "read", p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return c.do(&c.out, c.raw.Write, "write", p)
}

// WhenFull has f called, on the writer's goroutine, whenever a write on a
// connection of Wrap's begins to wait for room in the socket. It is set before the
// first one; false means that such waits cannot be told.
func WhenFull(nc net.Conn, f func()) bool {
	c, ok := nc.(*conn)
	if ok {
		c.full = f
	}
	return ok
}

// WriteLast writes p, and then the end if the connection can be closed for
// writing alone; half tells whether it can. In a socket the end travels with what
// is before it, instead of in a packet that costs both sides as much again.
func WriteLast(nc net.Conn, p []byte) (n int, half bool, err error) {
	c, ok := nc.(*conn)
	if !ok || len(p) == 0 {
		return writeLast(nc, p)
	}
	c.out.mu.Lock()
	c.last = true
	c.out.mu.Unlock()
	n, err = c.Write(p)
	return n, true, err
}

// do has package net call t.try whenever the socket may be ready, until it is
// done. A deadline or a Close ends that, as it ends any Read or Write.
func (c *conn) do(t *transfer, attempt func(func(uintptr) bool) error, op string, p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.p, t.n, t.errno = p, 0, 0
	err := attempt(t.try)
	t.p = nil
	if wrapped, ok := err.(*net.OpError); ok {
		wrapped.Op = op
	}
	if err == nil && t.errno != 0 {
		err = &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, t.errno)}
	}
	return t.n, err
}

// recv takes what has come, and is done unless that is nothing.
func (c *conn) recv(fd uintptr) bool {
	t := &c.in
	n, errno := call(syscall.SYS_RECVFROM, fd, t.p, 0)
	if errno == syscall.EAGAIN {
		return false
	}
	t.n, t.errno = n, errno
	return true
}

// send gives the kernel as much as it takes, and is done when that was all.
func (c *conn) send(fd uintptr) bool {
	t := &c.out
	flags := uintptr(syscall.MSG_NOSIGNAL)
	if c.last {
		flags |= msgMore // the kernel keeps a part of a packet until the end comes
	}
	for t.n < len(t.p) {
		n, errno := call(syscall.SYS_SENDTO, fd, t.p[t.n:], flags)
		if errno == syscall.EAGAIN {
			if c.full != nil {
				c.full()
			}
			return false
		}
		if t.errno = errno; errno != 0 {
			return true
		}
		t.n += n
	}
	if c.last {
		_, _, t.errno = syscall.RawSyscall(syscall.SYS_SHUTDOWN, fd, syscall.SHUT_WR, 0)
	}
	return true
}

// msgMore is Linux's MSG_MORE, which package syscall does not name.
const msgMore = 0x8000

// call is one system call on a part of p, which is not empty. It cannot block,
// whatever the mode of the descriptor: the scheduler does not know that the
// thread is away.
func call(trap, fd uintptr, p []byte, flags uintptr) (int, syscall.Errno) {
	size := uintptr(min(len(p), maxCall))
	for {
		n, _, errno := syscall.RawSyscall6(trap, fd, uintptr(unsafe.Pointer(&p[0])), size, flags|syscall.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
