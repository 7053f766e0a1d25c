package client

import (
	"context"
	"fmt"
	"io"
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

// Types of Sessions.
type (
	SessionQuery = protocol.SessionQuery
	SessionPage  = protocol.SessionPage
	LiveSession  = protocol.LiveSession
)

// Sessions tells of live sessions and where the client of each is: of one, or
// of a page of all, by rising id. Paths are those of the server, whatever the chroot. Which of them a server holds that does not
// answer is not told; the page names it. It wants the superuser's identity, but
// for one's own session.
func (c *Client) Sessions(ctx context.Context, q SessionQuery) (*SessionPage, error) {
	body := protocol.AppendSessionQuery(nil, &q)
	var m protocol.Message
	var err error
	if q.Session != 0 && q.Session == uint64(c.Session().ID()) { // asked of the server that holds it, which answers at once
		cl := c.newCall(protocol.OpSessions)
		cl.setBody(body)
		m, err = c.do(ctx, cl)
	} else {
		m, err = c.answerAside(ctx, protocol.OpSessions, body)
	}
	if err != nil {
		return nil, opError("sessions", "", err)
	}
	if m.More == nil || m.More.Sessions == nil {
		return nil, &Error{Op: "sessions", Err: ErrProtocol}
	}
	return m.More.Sessions, nil
}

// ExpireSession ends any session as if its timeout had passed; its client is
// told the cause, which is "killed by an administrator" if it is empty. It wants
// the superuser's identity.
func (c *Client) ExpireSession(ctx context.Context, id SessionID, cause string) error {
	body := protocol.AppendExpireSession(nil, uint64(id), cause)
	return c.changeAside(ctx, protocol.OpExpireSession, body, id.String())
}

// Snapshot writes an image of the server's whole state, as it is at one
// instant, and returns its size. It goes over a connection of its own, so that
// a slow writer holds up nothing else, and ends only with ctx, not with the
// request timeout. It wants the superuser's identity. After an error what was
// written is worthless.
func (c *Client) Snapshot(ctx context.Context, to io.Writer) (bytes int64, err error) {
	err = c.aside(ctx, func(l *link) (err error) {
		bytes, err = l.receiveSnapshot(to)
		return err
	})
	if err != nil {
		return bytes, opError("snapshot", "", err)
	}
	return bytes, nil
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
		m, err := l.hear(protocol.OpSnapshot, xid)
		switch {
		case err != nil:
			return written, err
		case m.Code != protocol.OK:
			return written, replyError(m)
		case m.Partial && len(m.Data) == 0:
			return written, fmt.Errorf("%s: %w: an empty piece of a snapshot", l.addr, ErrProtocol)
		}
		n, err := to.Write(m.Data)
		if written += int64(n); err != nil {
			return written, err
		}
		if m.Partial {
			continue
		}
		if m.More == nil || m.More.Count != written {
			return written, fmt.Errorf("%s: %w: a snapshot of another length than announced", l.addr, ErrProtocol)
		}
		return written, nil
	}
}
