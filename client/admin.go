package client

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// ServerStatus is how the server that holds the connection is.
type ServerStatus = protocol.Status

// Status asks the server how it is. Anybody may.
func (c *Client) Status(ctx context.Context) (*ServerStatus, error) {
	m, err := c.do(ctx, c.newCall(protocol.OpStatus))
	if err != nil {
		return nil, opError("status", "", err)
	}
	if m.More == nil || m.More.Status == nil {
		return nil, &Error{Op: "status", Err: ErrProtocol}
	}
	return m.More.Status, nil
}

// ExpireSession ends any session as if its timeout had passed; its client is
// told the cause. It wants the superuser's identity.
func (c *Client) ExpireSession(ctx context.Context, id SessionID, cause string) error {
	cl, room := c.newWrite(protocol.OpExpireSession)
	cl.setBody(protocol.AppendExpireSession(room, uint64(id), cause))
	if _, err := c.do(ctx, cl); err != nil {
		return opError("expireSession", id.String(), err)
	}
	return nil
}

// Snapshot writes an image of the server's whole state, as it is at one
// instant, and returns its size. It goes over a connection of its own, so that
// a slow writer holds up nothing else, and ends only with ctx, not with the
// request timeout. It wants the superuser's identity. After an error what was
// written is worthless.
func (c *Client) Snapshot(ctx context.Context, to io.Writer) (bytes int64, err error) {
	if err := c.enter(); err != nil {
		return 0, opError("snapshot", "", err)
	}
	defer c.wg.Done()
	l, err := c.connectAside(ctx)
	if err != nil {
		return 0, opError("snapshot", "", err)
	}
	defer l.conn.Close()
	stop := context.AfterFunc(ctx, func() { l.conn.Close() })
	defer stop()
	stopToo := context.AfterFunc(c.ctx, func() { l.conn.Close() })
	defer stopToo()
	bytes, err = l.receiveSnapshot(to)
	if err == nil {
		return bytes, nil
	}
	if c.ctx.Err() != nil {
		err = context.Cause(c.ctx)
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return bytes, opError("snapshot", "", err)
}

// enter lets Close wait for work that the caller does on its own goroutine.
// While the client is not ended the group is never empty, so that it may grow.
func (c *Client) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	c.wg.Add(1)
	return nil
}

// connectAside makes a guest's connection beside the client's own.
func (c *Client) connectAside(ctx context.Context) (*link, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	conn, err := c.dialAny(ctx, 0)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	l, err := c.greetAside(conn)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return l, nil
}

func (c *Client) greetAside(conn net.Conn) (*link, error) {
	hello := c.hello(protocol.HelloGuest)
	if _, err := conn.Write(protocol.AppendHello(protocol.Magic[:], hello)); err != nil {
		return nil, err
	}
	l := newLink(c, conn)
	w, err := readWelcome(l.r)
	if err != nil {
		return nil, err
	}
	if w.Code != protocol.OK {
		return nil, &farewellError{code: w.Code, detail: w.Detail}
	}
	l.limit = w.Limits.MaxFrame
	return l, nil
}

func (l *link) receiveSnapshot(to io.Writer) (written int64, err error) {
	const xid = 1
	req := protocol.AppendRequest(nil, &protocol.Request{Op: protocol.OpSnapshot, Xid: xid})
	if _, err := l.conn.Write(req); err != nil {
		return 0, err
	}
	for {
		if err := l.conn.SetReadDeadline(time.Now().Add(snapshotPatience)); err != nil {
			return written, err
		}
		m, err := l.receive()
		switch {
		case err != nil:
			return written, err
		case m.Kind == protocol.Goodbye:
			return written, goodbyeError(m)
		case m.Kind != protocol.Reply || m.Op != protocol.OpSnapshot || m.Xid != xid:
			return written, fmt.Errorf("%w: %v %d amid a snapshot", ErrProtocol, m.Op, m.Xid)
		case m.Code != protocol.OK:
			return written, replyError(m)
		}
		n, err := to.Write(m.Data)
		if written += int64(n); err != nil {
			return written, err
		}
		if m.Partial {
			continue
		}
		if m.More == nil || m.More.Count != written {
			return written, fmt.Errorf("%w: a snapshot of another length than announced", ErrProtocol)
		}
		return written, nil
	}
}
