package zkclient

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/protocol/jute"
)

// link is one connection with a session. A reader and a writer goroutine serve
// it until it breaks.
type link struct {
	client *Client
	conn   net.Conn
	in     *bufio.Reader
	write  chan struct{} // wakes the writer
	gone   chan struct{} // closed when it is broken
	heard  int32         // xid of the last answer; of the reader

	mu      sync.Mutex
	err     error  // why it is broken
	xid     int32  // of the last request
	out     []byte // not yet written
	waiting []*request
}

// request is a batch of calls under way; its answers come one after another.
type request struct {
	calls   []jute.Call
	answers []jute.Answer
	done    chan struct{}
}

// connect opens a session and proves who we are.
func (c *Client) connect(ctx context.Context, addr string) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	conn, err := c.cfg.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	l := &link{client: c, conn: conn, in: bufio.NewReader(conn), write: make(chan struct{}, 1), gone: make(chan struct{})}
	if err := l.greet(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	c.running.Go(l.reader)
	c.running.Go(l.writer)
	return l, nil
}

// greet does what comes before the requests.
func (l *link) greet(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { l.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	hello := jute.ConnectRequest{LastZxid: l.client.zxid.Load(), TimeoutMs: int32(sessionTimeout.Milliseconds()), Password: make([]byte, 16)}
	b := jute.AppendConnectRequest(nil, &hello)
	for i := range l.client.cfg.Auth {
		b = jute.AppendAuth(b, &l.client.cfg.Auth[i])
	}
	if _, err := l.conn.Write(b); err != nil {
		return err
	}
	frame, err := protocol.ReadFrame(l.in, nil, maxAnswer)
	if err != nil {
		return fmt.Errorf("the server turned us away: %w", err) // it has no quorum, or is behind what we have seen
	}
	welcome, err := jute.DecodeConnectResponse(frame)
	if err == nil && welcome.TimeoutMs == 0 {
		err = protocol.ErrSessionExpired
	}
	for i := 0; i < len(l.client.cfg.Auth) && err == nil; i++ {
		err = l.proved(&l.client.cfg.Auth[i])
	}
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	return err
}

func (l *link) proved(a *jute.Auth) error {
	frame, err := protocol.ReadFrame(l.in, nil, maxAnswer)
	if err != nil {
		return err
	}
	h, err := jute.DecodeReplyHeader(frame)
	switch {
	case err != nil:
		return err
	case h.Xid != jute.XidAuth:
		return fmt.Errorf("%w: an answer with xid %d to an auth", protocol.ErrMarshalling, h.Xid)
	case h.Err != 0:
		return fmt.Errorf("%w: scheme %q", ErrAuthFailed, a.Scheme)
	}
	return nil
}

func (l *link) broken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err != nil
}

// fail breaks the link; whoever waits for an answer asks elsewhere.
func (l *link) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = fmt.Errorf("%w: %w", errLost, err)
	close(l.gone)
	l.conn.Close()
}

// ask sends the calls and waits for all answers.
func (l *link) ask(ctx context.Context, calls []jute.Call) ([]jute.Answer, error) {
	r, err := l.send(calls)
	if err != nil {
		return nil, err
	}
	silent := time.NewTimer(answerWithin)
	defer silent.Stop()
	select {
	case <-r.done:
		return r.answers, nil
	case <-l.gone:
		return nil, l.err
	case <-silent.C:
		l.fail(errors.New("the server is silent"))
		return nil, l.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (l *link) send(calls []jute.Call) (*request, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	r := &request{calls: calls, answers: make([]jute.Answer, 0, len(calls)), done: make(chan struct{})}
	for i := range calls {
		l.xid = after(l.xid)
		l.out = jute.AppendCall(l.out, l.xid, &calls[i])
	}
	l.waiting = append(l.waiting, r)
	select {
	case l.write <- struct{}{}:
	default:
	}
	return r, nil
}

// after is the xid that follows: they count up from 1, again and again.
func after(xid int32) int32 {
	if xid == math.MaxInt32 {
		return 1
	}
	return xid + 1
}

// writer writes what has gathered, all at once.
func (l *link) writer() {
	var b []byte
	for {
		select {
		case <-l.write:
		case <-l.gone:
			return
		}
		l.mu.Lock()
		b, l.out = l.out, b[:0]
		l.mu.Unlock()
		if _, err := l.conn.Write(b); err != nil {
			l.fail(err)
			return
		}
	}
}

func (l *link) reader() {
	var frame []byte
	for {
		var err error
		if frame, err = protocol.ReadFrame(l.in, frame, maxAnswer); err == nil {
			err = l.receive(frame)
		}
		if err != nil {
			l.fail(err)
			return
		}
	}
}

// lost are the answers that speak of the connection and not of the call.
var lost = map[protocol.Code]bool{protocol.SessionExpired: true, protocol.SessionMoved: true, protocol.Throttled: true}

// receive takes the next answer, which is of the oldest call without one.
func (l *link) receive(frame []byte) error {
	h, err := jute.DecodeReplyHeader(frame)
	if err != nil || h.Xid < 0 {
		return err // nothing that we have asked for
	}
	r := l.oldest()
	if r == nil {
		return fmt.Errorf("%w: an answer to nothing", protocol.ErrMarshalling)
	}
	call := &r.calls[len(r.answers)]
	a, err := jute.DecodeAnswer(frame, call.Op)
	if err != nil {
		return fmt.Errorf("%v %s: %w", call.Op, call.Path, err)
	}
	if l.heard = after(l.heard); a.Xid != l.heard {
		return fmt.Errorf("%w: an answer with xid %d in place of %d", protocol.ErrMarshalling, a.Xid, l.heard)
	}
	if lost[protocol.Code(a.Err)] {
		return fmt.Errorf("the server ends it: %w", protocol.Code(a.Err).Err())
	}
	l.client.saw(a.Zxid)
	r.answers = append(r.answers, a)
	if len(r.answers) == len(r.calls) {
		l.answered()
		close(r.done)
	}
	return nil
}

func (l *link) oldest() *request {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		return nil
	}
	return l.waiting[0]
}

func (l *link) answered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
}

// close ends the session, so that the server need not wait for its timeout.
func (l *link) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	if !l.broken() {
		_, _ = l.ask(ctx, []jute.Call{{Op: jute.OpCloseSession}}) // it ends anyway
	}
	l.fail(errors.New("closed"))
}
