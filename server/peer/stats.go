package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"time"
)

// Stats of a Mux.
type Stats struct {
	Accepted   map[Kind]int // streams open
	Dialed     map[Kind]int
	Handshakes int               // under way, of accepted connections
	Refused    map[string]uint64 // accepted connections that did not become streams, by reason
	Calls      uint64            // answered
	Panics     uint64            // contained

	CertificateExpires time.Time // zero without TLS
	ReloadsFailed      uint64    // changes of the certificate files that could not be used
}

// Reasons of refusal beside the codes of Error.
const (
	reasonEvicted     = "evicted" // made room for a younger one
	reasonTimeout     = "timeout"
	reasonClosed      = "closed" // by the other side
	reasonNotTLS      = "not-tls"
	reasonNotPlain    = "not-plain" // TLS, to a port without
	reasonCertificate = "certificate"
	reasonTLS         = "tls"
	reasonNotPeer     = "not-peer" // no handshake of ours
	reasonBroken      = "broken"   // errors of the connection
)

type figures struct {
	accepted, dialed map[Kind]int
	refused          map[string]uint64
	logged           map[string]time.Time // when a reason was last logged
	calls, panics    uint64
}

func newFigures() figures {
	f := figures{accepted: map[Kind]int{}, dialed: map[Kind]int{}, refused: map[string]uint64{}, logged: map[string]time.Time{}}
	for _, k := range kinds {
		f.accepted[k], f.dialed[k] = 0, 0
	}
	return f
}

func (f *figures) of(c *Conn) map[Kind]int {
	if c.dialed {
		return f.dialed
	}
	return f.accepted
}

// Stats is a consistent copy.
func (m *Mux) Stats() Stats {
	m.mu.Lock()
	s := Stats{
		Accepted: maps.Clone(m.figures.accepted), Dialed: maps.Clone(m.figures.dialed),
		Handshakes: len(m.handshakes), Refused: maps.Clone(m.figures.refused),
		Calls: m.figures.calls, Panics: m.figures.panics,
	}
	m.mu.Unlock()
	if m.certs != nil {
		s.CertificateExpires, s.ReloadsFailed = m.certs.stats()
	}
	return s
}

// refused counts a connection that did not become a stream, and logs one of a
// reason now and then. Evicted ones were counted when they were.
func (m *Mux) refused(raw net.Conn, err error) {
	reason := reasonOf(err)
	m.mu.Lock()
	if m.closed || !slices.Contains(m.handshakes, raw) {
		m.mu.Unlock()
		return
	}
	m.figures.refused[reason]++
	now := time.Now()
	quiet := now.Sub(m.figures.logged[reason]) < logPause
	if !quiet {
		m.figures.logged[reason] = now
	}
	count := m.figures.refused[reason]
	m.mu.Unlock()
	level := slog.LevelWarn
	if reason == reasonClosed || reason == ErrNotReady.Code {
		level = slog.LevelDebug // a look at the port, or a server that starts
	}
	if quiet {
		return
	}
	m.log.Log(context.Background(), level, "connection to the peer port refused", "from", raw.RemoteAddr().String(), "reason", reason, "count", count, "error", err)
}

func reasonOf(err error) string {
	var (
		refusal *Error
		record  tls.RecordHeaderError
		invalid *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &refusal):
		return refusal.Code
	case errors.Is(err, errPlainHere):
		return reasonNotPlain
	case errors.As(err, &record):
		return reasonNotTLS
	case errors.As(err, &invalid):
		return reasonCertificate
	case errors.Is(err, os.ErrDeadlineExceeded):
		return reasonTimeout
	case errors.Is(err, errNoHello), errors.Is(err, errVersion), errors.Is(err, ErrTooLong), errors.Is(err, errTLSThere):
		return reasonNotPeer
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return reasonClosed
	case errors.Is(err, ErrTLS):
		return reasonTLS
	}
	return reasonBroken
}

// panicked contains a panic that input has brought about.
func (m *Mux) panicked(where string, p any) {
	m.mu.Lock()
	m.figures.panics++
	m.mu.Unlock()
	m.log.Error("panic contained on the peer port", "in", where, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
}
