package peer

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"time"
)

// begin starts the handshake of an accepted connection. Too many of them end
// the oldest: it is a peer that says nothing, since an honest one is through
// in milliseconds.
func (m *Mux) begin(raw net.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		raw.Close()
		return
	}
	if len(m.handshakes) >= maxHandshakes {
		m.handshakes[0].Close()
		m.handshakes = m.handshakes[1:]
		m.figures.refused[reasonEvicted]++
	}
	m.handshakes = append(m.handshakes, raw)
	m.workers.Go(func() { m.receive(raw) })
}

// ended takes a handshake off the list; false: it was evicted.
func (m *Mux) ended(raw net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.Index(m.handshakes, raw)
	if i < 0 {
		return false
	}
	m.handshakes = slices.Delete(m.handshakes, i, i+1)
	return true
}

// receive makes a stream of an accepted connection, or refuses it. No panic of
// ours may reach the process from here.
func (m *Mux) receive(raw net.Conn) {
	defer func() {
		if p := recover(); p != nil {
			m.panicked("handshake", p)
			m.ended(raw)
			raw.Close()
		}
	}()
	raw.SetDeadline(time.Now().Add(handshakeTime))
	c, err := m.welcome(raw)
	if err != nil {
		m.refused(raw, err)
		m.linger(raw)
		raw.Close()
		m.ended(raw)
		return
	}
	if !m.ended(raw) {
		c.Close()
		return
	}
	raw.SetDeadline(time.Time{})
	if c.kind == Admin {
		m.serveCall(c)
	} else if !c.owner.offer(c) {
		c.Close()
	}
}

// welcome goes through the handshake as the one that was dialed.
func (m *Mux) welcome(raw net.Conn) (*Conn, error) {
	conn := raw
	var verified *tls.Conn
	if m.certs != nil {
		verified = tls.Server(raw, m.certs.forAccepting())
		if err := verified.HandshakeContext(m.ctx); err != nil {
			return nil, errors.Join(tlsError(err), sayPlainly(raw, err))
		}
		conn = verified
	}
	kind, err := readKind(conn)
	if err != nil {
		return nil, err
	}
	h, err := readHello(conn)
	if err != nil {
		return nil, err
	}
	c := &Conn{Conn: conn, Remote: h.Identity, mux: m, raw: raw, kind: kind}
	if err := m.judge(c, verified, h); err != nil {
		return nil, errors.Join(err, say(conn, answer{Error: *crossing(err)}))
	}
	if err := say(conn, answer{Identity: m.identity()}); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// judge decides whether a stream may begin, and takes its place.
func (m *Mux) judge(c *Conn, verified *tls.Conn, h hello) error {
	if verified != nil {
		if err := hasRole(verified.ConnectionState().PeerCertificates[0]); err != nil {
			return err
		}
	}
	if err := checkHello(c.kind, m.identity(), h); err != nil {
		return err
	}
	if m.cfg.Admit != nil {
		if err := m.cfg.Admit(c.kind, h.Identity); err != nil {
			return err
		}
	}
	if c.kind != Admin {
		m.mu.Lock()
		c.owner = m.listeners[c.kind]
		m.mu.Unlock()
		if c.owner == nil {
			return Refuse(ErrNotReady, "nothing listens to %v streams", c.kind)
		}
	}
	return m.enter(c)
}

// checkHello compares what a dialer is, and whom it means, with what we are.
func checkHello(k Kind, self Identity, h hello) error {
	switch {
	case h.ID == 0:
		return Refuse(ErrBadRequest, "a server has an id")
	case k == Admin && (h.Cluster == "" || self.Cluster == ""):
	case self.Cluster == "":
		return Refuse(ErrNotReady, "server %d does not know its cluster yet", self.ID)
	case h.Cluster != self.Cluster:
		return Refuse(ErrForeignCluster, "server %d is of cluster %q and server %d of %q", self.ID, self.Cluster, h.ID, h.Cluster)
	}
	switch {
	case h.ToID == 0 && k != Admin:
		return Refuse(ErrBadRequest, "a stream of kind %v names whom it is for", k)
	case h.ToID != 0 && h.ToID != self.ID:
		return Refuse(ErrWrongID, "this is server %d, not %d", self.ID, h.ToID)
	case h.ID == self.ID && h.Data != self.Data:
		return Refuse(ErrWrongID, "two servers call themselves %d", self.ID)
	case h.ToData != "" && h.ToData != self.Data:
		return Refuse(ErrOtherData, "server %d has other data than is known of it: it was wiped or replaced", self.ID)
	}
	return nil
}

func say(conn net.Conn, a answer) error {
	b, err := appendAnswer(a)
	if err != nil {
		return err
	}
	_, err = conn.Write(b)
	return err
}

// sayPlainly answers a dialer that does not speak TLS in its own words.
func sayPlainly(raw net.Conn, err error) error {
	if record, ok := errors.AsType[tls.RecordHeaderError](err); !ok || record.Conn == nil {
		return nil
	}
	return say(raw, answer{Error: *Refuse(ErrBadRequest, "this peer port wants TLS")})
}

// linger lets a refused dialer read why: closing with unread bytes would reset
// the connection under the answer.
func (m *Mux) linger(raw net.Conn) {
	half, ok := raw.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	raw.SetDeadline(time.Now().Add(lingerTime))
	io.CopyN(io.Discard, raw, lingerBytes)
}
