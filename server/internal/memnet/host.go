package memnet

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// maxBacklog connections wait to be accepted; further dials wait.
const maxBacklog = 128

// Host opens sockets at one name.
type Host struct {
	net       *Net
	name      string
	paused    bool
	dead      bool // it has crashed
	port      int  // newest given to a dialer
	listeners map[int]*listener
}

// Name is the host part of this host's addresses.
func (h *Host) Name() string { return h.name }

// Listen binds a port of this host; port 0 takes a free one.
func (h *Host) Listen(addr string) (net.Listener, error) {
	host, port, err := split(addr)
	if err != nil {
		return nil, err
	}
	if host != h.name {
		return nil, fail("listen", syscall.EADDRNOTAVAIL, addr)
	}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if h.dead {
		return nil, fail("listen", net.ErrClosed, addr)
	}
	if port == 0 {
		h.port++
		port = h.port
	}
	if h.listeners[port] != nil {
		return nil, fail("listen", syscall.EADDRINUSE, addr)
	}
	l := &listener{host: h, port: port}
	h.listeners[port] = l
	return l, nil
}

// Dial connects to a listener of any host. It waits while either way is cut.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	host, port, err := split(addr)
	if err != nil {
		return nil, err
	}
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	defer n.wakeAt(ctx)()
	to := n.host(host)
	ready := time.Now().Add(n.link(h, to).delay + n.link(to, h).delay)
	defer time.AfterFunc(time.Until(ready), n.wake).Stop()
	for {
		to = n.host(host)
		there, back := n.link(h, to), n.link(to, h)
		l := to.listeners[port]
		switch {
		case h.dead:
			return nil, fail("dial", net.ErrClosed, addr)
		case h.paused:
		case ctx.Err() != nil:
			return nil, fail("dial", context.Cause(ctx), addr)
		case there.cut || back.cut || time.Now().Before(ready):
		case there.refuse || l == nil:
			return nil, fail("dial", syscall.ECONNREFUSED, addr)
		case len(l.queue) < maxBacklog:
			return n.connect(h, l), nil
		}
		n.moved.Wait()
	}
}

// connect makes both ends of a connection.
func (n *Net) connect(h *Host, l *listener) net.Conn {
	h.port++
	here, there := addressOf(h.name, h.port), addressOf(l.host.name, l.port)
	a := &conn{net: n, host: h, local: here, remote: there, moved: sync.NewCond(&n.mu)}
	b := &conn{net: n, host: l.host, local: there, remote: here, moved: sync.NewCond(&n.mu)}
	a.out = &pipe{net: n, from: a, to: b}
	b.out = &pipe{net: n, from: b, to: a}
	a.in, b.in = b.out, a.out
	n.conns[a], n.conns[b] = struct{}{}, struct{}{}
	l.queue = append(l.queue, b)
	n.moved.Broadcast()
	return a
}

func (n *Net) wake() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.moved.Broadcast()
}

func (n *Net) wakeAt(ctx context.Context) (undo func() bool) {
	return context.AfterFunc(ctx, n.wake)
}

// listener implements net.Listener.
type listener struct {
	host   *Host
	port   int
	queue  []*conn
	closed bool
}

func (l *listener) Accept() (net.Conn, error) {
	n := l.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		switch {
		case l.closed:
			return nil, fail("accept", net.ErrClosed, l.Addr().String())
		case l.host.paused:
		case len(l.queue) > 0:
			c := l.queue[0]
			l.queue = l.queue[1:]
			n.moved.Broadcast()
			return c, nil
		}
		n.moved.Wait()
	}
}

func (l *listener) Addr() net.Addr { return addressOf(l.host.name, l.port) }

func (l *listener) Close() error {
	n := l.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if l.closed {
		return fail("close", net.ErrClosed, l.Addr().String())
	}
	l.end()
	n.moved.Broadcast()
	return nil
}

// end refuses whom nobody has accepted yet.
func (l *listener) end() {
	l.closed = true
	delete(l.host.listeners, l.port)
	for _, c := range l.queue {
		c.abort()
		c.closed = true
		c.leave()
	}
	l.queue = nil
}

func split(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(text)
	return host, port, err
}

// fail makes the errors of the net package, as callers look into them.
func fail(op string, err error, addr string) error {
	if errno, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: "tcp", Addr: address{addr}, Err: fmt.Errorf("memnet: %w", err)}
}
