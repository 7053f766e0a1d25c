package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/lycaon-io/lycaon/protocol"
)

// What may take long goes over a guest's connection of its own, since a server
// answers the requests of one connection in their order, and this client would
// take a server for gone that says nothing meanwhile.

// aside lets f use such a connection, which is closed when either context ends.
func (c *Client) aside(ctx context.Context, f func(*link) error) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.wg.Done()
	l, err := c.connectAside(ctx)
	if err != nil {
		return err
	}
	defer l.conn.Close()
	defer context.AfterFunc(ctx, func() { l.conn.Close() })()
	defer context.AfterFunc(c.ctx, func() { l.conn.Close() })()
	err = f(l)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case c.ctx.Err() != nil:
		return context.Cause(c.ctx)
	}
	return err
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

// connectAside finds a server that takes a guest, trying each once.
func (c *Client) connectAside(ctx context.Context) (*link, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	c.mu.Lock()
	servers := c.pool.all()
	c.pool.shuffle(servers, c.now())
	c.mu.Unlock()
	var failures []error
	for len(servers) > 0 && ctx.Err() == nil {
		conn, addr, err := c.dialAny(ctx, servers, func(string) {})
		if err != nil {
			failures = append(failures, err)
			break
		}
		var l *link
		err = c.within(ctx, c.welcomePatience(addr), conn, func() (err error) {
			l, err = c.greetAside(conn, addr)
			return err
		})
		if err == nil {
			return l, nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", addr, err))
		servers = slices.DeleteFunc(servers, func(a string) bool { return a == addr })
	}
	return nil, errors.Join(failures...)
}

func (c *Client) greetAside(conn net.Conn, addr string) (*link, error) {
	hello := c.hello(protocol.HelloGuest, addr)
	if _, err := conn.Write(protocol.AppendHello(protocol.Magic[:], hello)); err != nil {
		return nil, err
	}
	l := newLink(c, conn, addr)
	w, err := readWelcome(l.r)
	if err != nil {
		return nil, err
	}
	if w.Code != protocol.OK {
		return nil, &farewellError{code: w.Code, detail: w.Detail}
	}
	if err := checkGrant(w); err != nil {
		return nil, err
	}
	l.limit = w.Limits.MaxFrame
	return l, nil
}

// askAside sends one request and takes its answer. It is not sent again when
// the connection breaks: sent tells whether the server may have had it.
func (c *Client) askAside(ctx context.Context, op protocol.Op, body []byte) (m *protocol.Message, sent bool, err error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	err = c.aside(ctx, func(l *link) (err error) {
		sent = true
		m, err = l.ask(op, body)
		return err
	})
	return m, sent, err
}

// answerAside is askAside for what changes nothing.
func (c *Client) answerAside(ctx context.Context, op protocol.Op, body []byte) (protocol.Message, error) {
	m, _, err := c.askAside(ctx, op, body)
	if err != nil {
		return protocol.Message{}, err
	}
	if m.Code != protocol.OK {
		return *m, replyError(m)
	}
	return *m, nil
}

func (l *link) ask(op protocol.Op, body []byte) (*protocol.Message, error) {
	const xid = 1
	if _, err := l.conn.Write(protocol.AppendRequest(nil, &protocol.Request{Op: op, Xid: xid, Body: body})); err != nil {
		return nil, err
	}
	m, err := l.hear(op, xid)
	if err == nil && m.Partial {
		err = fmt.Errorf("%s: %w: a part of an answer to %v", l.addr, ErrProtocol, op)
	}
	return m, err
}

// hear takes an answer to the only request of a connection.
func (l *link) hear(op protocol.Op, xid uint64) (*protocol.Message, error) {
	m := new(protocol.Message)
	err := l.receive(m)
	switch {
	case err != nil:
	case m.Kind == protocol.Goodbye:
		err = goodbyeError(m)
	case m.Kind != protocol.Reply || m.Op != op || m.Xid != xid:
		err = fmt.Errorf("%w: an answer to %v %d, awaited was %v %d", ErrProtocol, m.Op, m.Xid, op, xid)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.addr, err)
	}
	return m, nil
}

// changeAside is askAside for what answers nothing but that it was done.
func (c *Client) changeAside(ctx context.Context, op protocol.Op, body []byte, what string) error {
	m, sent, err := c.askAside(ctx, op, body)
	switch {
	case err != nil:
		return opError(op.String(), what, &Error{Err: err, Maybe: sent})
	case m.Code != protocol.OK:
		return opError(op.String(), what, replyError(m))
	}
	return nil
}
