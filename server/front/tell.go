package front

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/lycaon-io/lycaon/server/internal/rawnet"
)

const tlsRecord = 0x16 // first byte of a TLS client

var errForeign = errors.New("another protocol")

// tell finds out what the client speaks, by its first byte or the first within
// TLS.
func (c *Conn) tell() bool {
	first, err := c.r.Peek(1)
	if err == nil && first[0] == tlsRecord {
		if err = c.startTLS(); err == nil {
			first, err = c.r.Peek(1)
		}
	}
	if err != nil {
		c.HandshakeFailed(err)
		return false
	}
	for _, p := range c.front.protocols {
		if p.Begins(first[0]) {
			c.speaker = p.Speak(c)
			c.speaks.Store(&c.speaker)
			return true
		}
	}
	c.Foreign()
	return false
}

// HandshakeFailed counts a connection that ends in its handshake.
func (c *Conn) HandshakeFailed(err error) {
	c.front.counts.HandshakesFailed.Add(1)
	c.front.cfg.Logger.Debug("no handshake", "peer", c.RemoteAddr(), "err", err)
}

// Foreign tells who speaks another protocol what this port speaks.
func (c *Conn) Foreign() {
	c.HandshakeFailed(errForeign)
	c.front.counts.foreign.Add(1)
	names := make([]string, len(c.front.protocols))
	for i, p := range c.front.protocols {
		names[i] = p.Name()
	}
	c.nc.SetWriteDeadline(time.Now().Add(farewellTimeout))
	c.nc.Write([]byte("lycaon: this port speaks " + strings.Join(names, " and ") + " only\n"))
}

// readAhead is a connection whose first bytes have been read already.
type readAhead struct {
	net.Conn
	head []byte
}

func (a *readAhead) Read(p []byte) (int, error) {
	if len(a.head) == 0 {
		return a.Conn.Read(p)
	}
	n := copy(p, a.head)
	a.head = a.head[n:]
	return n, nil
}

// CloseWrite lets tls.Conn half-close what is below it.
func (a *readAhead) CloseWrite() error {
	if half, ok := a.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}

func (c *Conn) startTLS() error {
	if c.front.cfg.TLS == nil {
		return errors.New("a TLS client, but this server has no certificate")
	}
	head, err := c.r.Peek(c.r.Buffered())
	if err != nil {
		return err
	}
	rawnet.WhenFull(c.nc, nil) // TLS writes while it reads too, without the pen
	secure := tls.Server(&readAhead{c.nc, bytes.Clone(head)}, c.front.cfg.TLS)
	c.nc.SetDeadline(time.Now().Add(HandshakeTimeout))
	if err := secure.Handshake(); err != nil {
		return err
	}
	c.nc, c.tells = secure, false
	c.r.Reset(countingReader{c})
	return nil
}
