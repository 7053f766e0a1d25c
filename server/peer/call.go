package peer

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Handler answers one call. Its context ends at the caller's deadline, when
// the caller goes away and when the Mux closes. What it returns is sent as
// JSON; an error that is no *Error crosses as ErrFailed with its text.
type Handler = func(ctx context.Context, from Identity, body []byte) (any, error)

// request and response are the JSON of the two frames of a call.
type request struct {
	Method    string          `json:"method"`
	TimeoutMs int64           `json:"timeoutMs"`
	Body      json.RawMessage `json:"body,omitempty"`
}

type response struct {
	Error
	Body json.RawMessage `json:"body,omitempty"`
}

// Handle registers the handler of a method in place of a former one.
func (m *Mux) Handle(method string, f Handler) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handlers[method] = f
}

// Call asks a server and waits for its answer, on a stream of its own. A nil
// req sends nothing and a nil resp takes nothing. The error of the handler is
// an *Error; every other one leaves open whether the handler ran.
func (m *Mux) Call(ctx context.Context, to Target, method string, req, resp any) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, maxCallTime)
		defer cancel()
	}
	c, err := m.Dial(ctx, Admin, to)
	if err != nil {
		return err
	}
	defer c.Close()
	unhook := context.AfterFunc(ctx, func() { c.Close() })
	defer unhook()
	if err := call(ctx, c, method, req, resp); err != nil {
		if _, refused := errors.AsType[*Error](err); !refused && ctx.Err() != nil {
			err = errors.Join(context.Cause(ctx), err)
		}
		return fmt.Errorf("peer: call %q of server %d at %s: %w", method, to.ID, to.Addr, err)
	}
	return nil
}

func call(ctx context.Context, conn net.Conn, method string, req, resp any) error {
	deadline, _ := ctx.Deadline()
	body, err := encodeBody(req)
	if err != nil {
		return err
	}
	if err := writeFrame(conn, request{Method: method, TimeoutMs: max(time.Until(deadline).Milliseconds(), 1), Body: body}); err != nil {
		return err
	}
	var r response
	if err := readFrame(conn, &r); err != nil {
		return err
	}
	if r.Code != "" {
		return &r.Error
	}
	if resp == nil {
		return nil
	}
	return json.Unmarshal(r.Body, resp)
}

// serveCall answers the one request of an accepted stream.
func (m *Mux) serveCall(c *Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(callTransfer))
	var q request
	err := readFrame(c, &q)
	refusal, _ := errors.AsType[*Error](err)
	if err != nil && refusal == nil {
		m.log.Debug("call without a request", "server", c.Remote.ID, "error", err)
		return
	}
	var r response
	if refusal != nil {
		r.Error = *refusal
	} else {
		c.SetDeadline(time.Time{})
		r = m.answerCall(c, q)
	}
	c.SetDeadline(time.Now().Add(callTransfer))
	if err := writeFrame(c, r); err != nil {
		m.log.Debug("answer of a call not sent", "method", q.Method, "server", c.Remote.ID, "error", err)
		return
	}
	m.mu.Lock()
	m.figures.calls++
	m.mu.Unlock()
}

func (m *Mux) answerCall(c *Conn, q request) response {
	m.mu.Lock()
	f := m.handlers[q.Method]
	m.mu.Unlock()
	if f == nil {
		return response{Error: *Refuse(ErrNotReady, "nothing answers to %q yet", shorten(q.Method, 64))}
	}
	limit := maxCallTime
	if q.TimeoutMs > 0 && q.TimeoutMs < limit.Milliseconds() {
		limit = time.Duration(q.TimeoutMs) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(m.ctx, limit)
	defer cancel()
	result, err := m.attend(ctx, cancel, c, q, f)
	var body json.RawMessage
	if err == nil {
		body, err = encodeBody(result)
	}
	if err != nil {
		e := crossing(err)
		return response{Error: Error{Code: e.Code, Detail: shorten(e.Detail, callFrameBytes/8)}}
	}
	return response{Body: body}
}

// attend runs a handler as long as its caller is there. The caller sends
// nothing more, so that whatever ends the reading is its leaving; the deadline
// of the past ends the reading when the handler is done.
func (m *Mux) attend(ctx context.Context, cancel func(), c *Conn, q request, f Handler) (result any, err error) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		c.Read(make([]byte, 1))
		cancel()
	}()
	defer func() {
		if p := recover(); p != nil {
			m.panicked(q.Method, p)
			err = Refuse(ErrFailed, "the handler of %q panicked", q.Method)
		}
		c.SetReadDeadline(time.Unix(1, 0))
		<-gone
	}()
	return f(ctx, c.Remote, q.Body)
}

func encodeBody(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	b, err := json.Marshal(v)
	if err == nil && len(b) > maxCallBytes {
		err = fmt.Errorf("%w: %d bytes, the bound is %d", ErrTooLong, len(b), maxCallBytes)
	}
	return b, err
}

// A frame is a length and JSON.
func writeFrame(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(b)), uint32(len(b)))
	_, err = w.Write(append(frame, b...))
	return err
}

// readFrame grows its buffer with the bytes that come, not with those that
// are announced.
func readFrame(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	length := int64(binary.BigEndian.Uint32(head[:]))
	if length > maxCallBytes+callFrameBytes {
		return Refuse(ErrBadRequest, "a call of %d bytes, the bound is %d", length, maxCallBytes)
	}
	var body bytes.Buffer
	if _, err := io.CopyN(&body, r, length); err != nil {
		return err
	}
	if err := json.Unmarshal(body.Bytes(), v); err != nil {
		return Refuse(ErrBadRequest, "%v", err)
	}
	return nil
}
