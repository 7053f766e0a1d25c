package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/lycaon-io/lycaon/server/internal/rawnet"
)

// Dial opens a stream to a server and returns when that server has accepted
// it. A refusal is an *Error, of theirs or ours.
func (m *Mux) Dial(ctx context.Context, k Kind, to Target) (*Conn, error) {
	c, err := m.dial(ctx, k, to)
	if err != nil {
		return nil, fmt.Errorf("peer: %v stream to server %d at %s: %w", k, to.ID, to.Addr, err)
	}
	return c, nil
}

func (m *Mux) dial(ctx context.Context, k Kind, to Target) (*Conn, error) {
	self := m.identity()
	switch {
	case m.ctx.Err() != nil:
		return nil, net.ErrClosed
	case to.ID == 0 && k != Admin:
		return nil, Refuse(ErrBadRequest, "the stream needs the id of its server")
	case self.Cluster == "" && k != Admin:
		return nil, Refuse(ErrNotReady, "the cluster is not known yet")
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)()
	c, err := m.connect(ctx, k, self, to)
	if m.ctx.Err() != nil {
		err = net.ErrClosed
	}
	if err == nil {
		err = m.enter(c)
	}
	if err != nil && c != nil {
		c.raw.Close()
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// connect dials and shakes hands until the context ends.
func (m *Mux) connect(ctx context.Context, k Kind, self Identity, to Target) (*Conn, error) {
	raw, err := m.network.Dial(ctx, to.Addr)
	if err != nil {
		return nil, err
	}
	raw = rawnet.Wrap(raw)
	unhook := context.AfterFunc(ctx, func() { raw.Close() })
	c, err := m.introduce(ctx, raw, k, self, to)
	if !unhook() {
		err = errors.Join(context.Cause(ctx), err)
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	return c, nil
}

// introduce goes through the handshake as the one that dials.
func (m *Mux) introduce(ctx context.Context, raw net.Conn, k Kind, self Identity, to Target) (*Conn, error) {
	conn := raw
	if m.certs != nil {
		conf, err := m.certs.forDialing(to.Addr)
		if err != nil {
			return nil, err
		}
		secure := tls.Client(raw, conf)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, tlsError(err)
		}
		conn = secure
	}
	b, err := appendHello(k, hello{Identity: self, ToID: to.ID, ToData: to.Data})
	if err != nil {
		return nil, err
	}
	// A peer that refuses before it reads may answer a write with a reset, and
	// its reason is still to be read.
	_, writeErr := conn.Write(b)
	a, err := readAnswer(conn)
	if err != nil {
		return nil, answerError(errors.Join(err, writeErr))
	}
	if a.Code != "" {
		return nil, &a.Error
	}
	if err := checkAnswer(k, self, to, a.Identity); err != nil {
		return nil, err
	}
	return &Conn{Conn: conn, Remote: a.Identity, mux: m, raw: raw, kind: k, dialed: true}, nil
}

// checkAnswer asks whether the right server has answered, as the other side
// has asked in its turn.
func checkAnswer(k Kind, self Identity, to Target, other Identity) error {
	switch {
	case other.ID == 0:
		return fmt.Errorf("%w: it has no id", ErrNotPeer)
	case other.Cluster != self.Cluster && !(k == Admin && (self.Cluster == "" || other.Cluster == "")):
		return Refuse(ErrForeignCluster, "server %d is of cluster %q and server %d of %q", other.ID, other.Cluster, self.ID, self.Cluster)
	case to.ID != 0 && other.ID != to.ID:
		return Refuse(ErrWrongID, "this is server %d, not %d", other.ID, to.ID)
	case to.Data != "" && other.Data != to.Data:
		return Refuse(ErrOtherData, "server %d has other data than is known of it: it was wiped or replaced", to.ID)
	}
	return nil
}

// answerError says what a silent or strange answer most likely means.
func answerError(err error) error {
	switch {
	case errors.Is(err, errTLSThere):
		return fmt.Errorf("%w: it wants TLS, which is not configured here", ErrNotPeer)
	case errors.Is(err, errNoHello), errors.Is(err, errVersion), errors.Is(err, ErrTooLong):
		return fmt.Errorf("%w: %w", ErrNotPeer, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("it hung up during the handshake: %w", err)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return tlsError(err) // TLS 1.3 tells a dialer of its certificate's refusal only now
	}
	return err
}

// tlsError marks errors of TLS, which an operator mends in the certificates,
// and leaves those of the connection.
func tlsError(err error) error {
	var (
		record tls.RecordHeaderError
		op     *net.OpError
	)
	switch {
	case errors.As(err, &record):
		return fmt.Errorf("%w: the other side does not speak it: %w", ErrTLS, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: the other side hung up; does it speak TLS?: %w", ErrTLS, err)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &op) && op.Op != "remote error":
		return err
	}
	return fmt.Errorf("%w: %w", ErrTLS, err)
}
