package peer

import (
	"net"
)

// Conn is a stream after its handshake.
type Conn struct {
	net.Conn
	Remote Identity

	mux    *Mux
	raw    net.Conn // below TLS
	kind   Kind
	dialed bool
	owner  *listener
}

// Close drops the connection at once. Streams carry lengths, so TLS need not
// say that one is over, and would wait for a peer that does not read.
func (c *Conn) Close() error {
	if c.mux == nil {
		return c.Conn.Close()
	}
	c.mux.forget(c)
	return c.raw.Close()
}

// enter takes a place for a stream, or says which bound keeps it out.
func (m *Mux) enter(c *Conn) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return net.ErrClosed
	}
	if !c.dialed {
		if err := m.roomLocked(c.kind); err != nil {
			return err
		}
	}
	m.conns[c] = struct{}{}
	m.figures.of(c)[c.kind]++
	return nil
}

func (m *Mux) forget(c *Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.conns[c]; ok {
		delete(m.conns, c)
		m.figures.of(c)[c.kind]--
	}
}

func (m *Mux) streams(which func(*Conn) bool) []*Conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	var some []*Conn
	for c := range m.conns {
		if which(c) {
			some = append(some, c)
		}
	}
	return some
}

func (m *Mux) roomLocked(k Kind) error {
	total := 0
	for _, n := range m.figures.accepted {
		total += n
	}
	if total >= maxStreams {
		return Refuse(ErrBusy, "%d streams are open", total)
	}
	if n := m.figures.accepted[Admin]; k == Admin && n >= maxCalls {
		return Refuse(ErrBusy, "%d calls are under way", n)
	}
	return nil
}

// listener gives the streams of one kind.
type listener struct {
	mux    *Mux
	kind   Kind
	queue  chan *Conn
	done   chan struct{}
	closed bool // under mux.mu: no stream joins the queue after it
}

func newListener(m *Mux, k Kind) *listener {
	return &listener{mux: m, kind: k, queue: make(chan *Conn, maxWaiting), done: make(chan struct{})}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Addr() net.Addr { return l.mux.Addr() }

func (l *listener) Close() error {
	l.mux.mu.Lock()
	first := !l.closed
	l.closed = true
	if l.mux.listeners[l.kind] == l {
		delete(l.mux.listeners, l.kind)
	}
	l.mux.mu.Unlock()
	if !first {
		return nil
	}
	close(l.done)
	for _, c := range l.mux.streams(func(c *Conn) bool { return c.owner == l }) {
		c.Close()
	}
	return nil
}

// offer hands a stream over and never waits: who does not accept is as good as
// not there.
func (l *listener) offer(c *Conn) bool {
	l.mux.mu.Lock()
	defer l.mux.mu.Unlock()
	if l.closed {
		return false
	}
	select {
	case l.queue <- c:
		return true
	default:
		return false
	}
}
