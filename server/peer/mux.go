package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/server/internal/rawnet"
)

// Mux is the peer port of one server.
type Mux struct {
	cfg     Config
	network Network
	certs   *certificates // nil: plain
	socket  net.Listener
	log     *slog.Logger

	ctx     context.Context // ends with Close; handlers run under it
	stop    context.CancelFunc
	workers sync.WaitGroup

	mu         sync.Mutex // guards what follows; never held over I/O
	closed     bool
	self       Identity
	listeners  map[Kind]*listener
	handlers   map[string]Handler
	conns      map[*Conn]struct{}
	handshakes []net.Conn // accepted ones under way, the oldest first
	figures    figures
}

// Open binds the port and accepts. Kinds without a listener are refused as not
// ready.
func Open(cfg Config) (*Mux, error) {
	m := &Mux{
		cfg: cfg, network: cfg.Network, log: cfg.Logger, self: cfg.Self,
		listeners: map[Kind]*listener{}, handlers: map[string]Handler{}, conns: map[*Conn]struct{}{},
		figures: newFigures(),
	}
	if m.network == nil {
		m.network = tcp{}
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if cfg.Self.ID == 0 {
		return nil, errors.New("peer: a server has an id")
	}
	if cfg.TLS != nil {
		var err error
		if m.certs, err = openCertificates(*cfg.TLS, m.log); err != nil {
			return nil, err
		}
	}
	if err := m.listen(); err != nil {
		return nil, err
	}
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.workers.Go(m.accept)
	return m, nil
}

func (m *Mux) listen() error {
	socket := m.cfg.Listener
	if socket == nil {
		var err error
		if socket, err = m.network.Listen(m.cfg.Addr); err != nil {
			return fmt.Errorf("peer: listen: %w", err)
		}
	}
	if m.cfg.TLS == nil && !loopback(socket.Addr()) {
		if !m.cfg.Insecure {
			return errors.Join(fmt.Errorf("%w: %v", ErrExposed, socket.Addr()), socket.Close())
		}
		m.log.Warn("the peer port is open without TLS: who reaches it can read, change and stop this cluster", "address", socket.Addr().String())
	}
	m.socket = socket
	return nil
}

// loopback asks the bound address, so that a name counts as what it stands
// for. Addresses that are no IP are not of this machine's making and count as
// exposed.
func loopback(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return ok && t.IP.IsLoopback()
}

// Addr is the address listened on.
func (m *Mux) Addr() net.Addr { return m.socket.Addr() }

// SetSelf changes what is said to others from now on: a server that joins
// learns its cluster late.
func (m *Mux) SetSelf(id Identity) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.self = id
}

func (m *Mux) identity() Identity {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.self
}

// Listener gives the streams of one kind, as *Conn. A new one closes the
// former, and closing one closes the streams that it gave out: nothing of
// theirs may reach a successor's eyes through its predecessor.
func (m *Mux) Listener(k Kind) net.Listener {
	l := newListener(m, k)
	m.mu.Lock()
	former := m.listeners[k]
	if m.closed {
		l.closed = true
		close(l.done)
	} else {
		m.listeners[k] = l
	}
	m.mu.Unlock()
	if former != nil {
		former.Close()
	}
	return l
}

// Recheck asks Admit again about every accepted stream and closes those that
// it refuses now, for the time after a change of members.
func (m *Mux) Recheck() {
	if m.cfg.Admit == nil {
		return
	}
	for _, c := range m.streams(func(c *Conn) bool { return !c.dialed }) {
		if err := m.cfg.Admit(c.kind, c.Remote); err != nil {
			m.log.Info("stream of a former member closed", "kind", c.kind.String(), "server", c.Remote.ID, "reason", err.Error())
			c.Close()
		}
	}
}

// Close ends everything that was opened here and waits for the handlers, whose
// contexts have ended.
func (m *Mux) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	m.closed = true
	listeners, handshakes := m.listeners, slices.Clone(m.handshakes)
	m.listeners = nil
	m.mu.Unlock()

	m.stop()
	err := m.socket.Close()
	for _, l := range listeners {
		l.Close()
	}
	for _, raw := range handshakes {
		raw.Close()
	}
	for _, c := range m.streams(func(*Conn) bool { return true }) {
		c.Close()
	}
	m.workers.Wait()
	return err
}

// accept takes connections until the socket closes. Other errors are of the
// machine (no descriptors left) and pass.
func (m *Mux) accept() {
	var pause time.Duration
	for {
		raw, err := m.socket.Accept()
		switch {
		case err == nil:
			pause = 0
			m.begin(rawnet.Wrap(raw))
		case m.ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default:
			pause = min(max(2*pause, 5*time.Millisecond), maxAcceptPause)
			m.log.Error("peer port accepts no connections", "error", err, "again", pause)
			select {
			case <-time.After(pause):
			case <-m.ctx.Done():
				return
			}
		}
	}
}
