package peer

import (
	"context"
	"net"
	"time"
)

// Mux is the peer port of one server.
type Mux struct{}

// Conn is a stream after its handshake.
type Conn struct {
	net.Conn
	Remote Identity
}

// Handler answers one call. Its context ends with the caller's, or when the
// caller goes away.
type Handler = func(ctx context.Context, from Identity, body []byte) (any, error)

// Stats of a Mux.
type Stats struct {
	Accepted           map[Kind]int // streams open
	Dialed             map[Kind]int
	Handshakes         int               // under way, of accepted connections
	Refused            map[string]uint64 // accepted connections that did not become streams, by reason
	CertificateExpires time.Time         // zero without TLS
	ReloadsFailed      uint64            // certificate files that changed and could not be used
}

func Open(cfg Config) (*Mux, error)                                       { return nil, ErrNotReady }
func (m *Mux) Addr() net.Addr                                             { return nil }
func (m *Mux) SetSelf(id Identity)                                        {}
func (m *Mux) Listener(k Kind) net.Listener                               { return nil }
func (m *Mux) Dial(ctx context.Context, k Kind, to Target) (*Conn, error) { return nil, ErrNotReady }
func (m *Mux) Handle(method string, f Handler)                            {}
func (m *Mux) Call(ctx context.Context, to Target, method string, req, resp any) error {
	return ErrNotReady
}
func (m *Mux) Stats() Stats { return Stats{} }
func (m *Mux) Close() error { return nil }
