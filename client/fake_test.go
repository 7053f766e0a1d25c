package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lycaon-io/lycaon/protocol"
)

func TestMain(m *testing.M) {
	if os.Getenv(answererEnv) != "" {
		if err := answer(); err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	fakeSession = 77
	fakeTimeout = 9 * time.Second
)

// fake is a server that does what a test says, frame by frame.
type fake struct {
	t     *testing.T
	conns chan net.Conn
	cut   atomic.Bool // every dial fails

	mu    sync.Mutex
	dials []dialed
}

type dialed struct {
	addr string
	at   time.Duration
}

var errCut = errors.New("the cable is cut")

func newFake(t *testing.T) *fake { return &fake{t: t, conns: make(chan net.Conn, 16)} }

func (f *fake) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	f.mu.Lock()
	f.dials = append(f.dials, dialed{addr, time.Since(begin)})
	f.mu.Unlock()
	if f.cut.Load() {
		return nil, errCut
	}
	ours, theirs := net.Pipe()
	select {
	case f.conns <- dialedConn{theirs, addr}:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// dialedConn knows as whom it was dialled.
type dialedConn struct {
	net.Conn
	addr string
}

// begin is when every bubble's clock starts.
var begin = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// peer is one connection at the server's end.
type peer struct {
	t     *testing.T
	nc    net.Conn
	addr  string
	r     *bufio.Reader
	hello protocol.Hello
	zxid  uint64

	contact time.Duration     // told by pongs
	members []protocol.Member // told to who asks
}

// accept takes the next connection and its hello.
func (f *fake) accept() *peer {
	f.t.Helper()
	p, err := f.take()
	require.NoError(f.t, err)
	return p
}

// take is accept of a connection that its client may have given up by now.
func (f *fake) take() (*peer, error) {
	f.t.Helper()
	p := &peer{t: f.t, nc: <-f.conns}
	p.addr = p.nc.(dialedConn).addr
	p.r = bufio.NewReader(p.nc)
	var magic [4]byte
	if _, err := readFull(p.r, magic[:]); err != nil {
		return nil, err
	}
	require.Equal(f.t, protocol.Magic, magic)
	frame, err := protocol.ReadFrame(p.r, nil, protocol.PreHelloMaxFrame)
	if err != nil {
		return nil, err
	}
	p.hello, err = protocol.DecodeHello(frame)
	require.NoError(f.t, err)
	return p, nil
}

func readFull(r *bufio.Reader, p []byte) (int, error) {
	for i := range p {
		b, err := r.ReadByte()
		if err != nil {
			return i, err
		}
		p[i] = b
	}
	return len(p), nil
}

// serve is accept and a good welcome.
func (f *fake) serve(change ...func(*protocol.Welcome)) *peer {
	f.t.Helper()
	p := f.accept()
	w := protocol.Welcome{
		Version: 1, Session: fakeSession, Password: make([]byte, passwordSize), Generation: 1,
		TimeoutMs: fakeTimeout.Milliseconds(), Zxid: max(1, p.hello.LastZxid), Limits: protocol.DefaultLimits(),
	}
	for _, c := range change {
		c(&w)
	}
	p.zxid = w.Zxid
	p.write(protocol.AppendWelcome(nil, &w))
	return p
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	_, err := p.nc.Write(b)
	require.NoError(p.t, err)
}

// next returns the next request that the client makes for its caller: pings are
// answered, and that it asks for the members is, as by a server that knows none.
func (p *peer) next() protocol.Request {
	p.t.Helper()
	r, err := p.take()
	require.NoError(p.t, err)
	return r
}

func (p *peer) take() (protocol.Request, error) {
	for {
		r, err := p.hear()
		var m protocol.Message
		switch {
		case err != nil:
			return r, err
		case r.Op == protocol.OpPing:
			m = p.pongOf(r)
		case r.Op == protocol.OpMembers:
			m = protocol.Message{Op: r.Op, Xid: r.Xid, More: &protocol.More{Members: p.members}}
		default:
			return r, nil
		}
		if _, err := p.nc.Write(protocol.AppendMessage(nil, &m)); err != nil {
			return r, err
		}
	}
}

func (p *peer) pongOf(r protocol.Request) protocol.Message {
	return protocol.Message{Op: r.Op, Xid: r.Xid, More: &protocol.More{Count: p.contact.Milliseconds()}}
}

func (p *peer) pong(r protocol.Request) {
	p.t.Helper()
	m := p.pongOf(r)
	p.write(protocol.AppendMessage(nil, &m))
}

func (p *peer) hear() (protocol.Request, error) {
	frame, err := protocol.ReadFrame(p.r, nil, 64<<20)
	if err != nil {
		return protocol.Request{}, err
	}
	var r protocol.Request
	return r, protocol.DecodeRequest(frame, &r)
}

// answer replies to r.
func (p *peer) answer(r protocol.Request, change ...func(*protocol.Message)) {
	p.t.Helper()
	p.zxid++
	m := protocol.Message{Op: r.Op, Xid: r.Xid, Zxid: p.zxid}
	for _, c := range change {
		c(&m)
	}
	p.write(protocol.AppendMessage(nil, &m))
}

func (p *peer) event(e protocol.EventType, path string, zxid uint64) {
	p.t.Helper()
	p.zxid = max(p.zxid, zxid)
	p.write(protocol.AppendMessage(nil, &protocol.Message{Kind: protocol.Event, Event: e, Path: path, Zxid: zxid}))
}

// attend answers pings, and everything else with OK, until the connection
// ends; other requests are told to seen.
func (p *peer) attend(seen ...chan<- protocol.Request) {
	for {
		r, err := p.take()
		if err != nil {
			return
		}
		for _, to := range seen {
			to <- r
		}
		m := protocol.Message{Op: r.Op, Xid: r.Xid, Zxid: p.zxid}
		if _, err := p.nc.Write(protocol.AppendMessage(nil, &m)); err != nil {
			return
		}
		if r.Op == protocol.OpCloseSession {
			p.nc.Close()
			return
		}
	}
}

func (f *fake) open(opts ...Option) *Client {
	f.t.Helper()
	return f.openAt([]string{"a:1"}, opts...)
}

// openAt keeps to the servers, so that every request but pings is its caller's.
func (f *fake) openAt(servers []string, opts ...Option) *Client {
	f.t.Helper()
	return f.openLearning(servers, append([]Option{WithOnlyGivenServers()}, opts...)...)
}

func (f *fake) openLearning(servers []string, opts ...Option) *Client {
	f.t.Helper()
	c := OpenLazy(servers, append([]Option{WithDialer(f.dial), WithSessionTimeout(fakeTimeout), WithRequestTimeout(0)}, opts...)...)
	f.t.Cleanup(c.Abandon)
	return c
}

// swallow takes everything and says nothing, as a paused server whose kernel
// goes on.
func (p *peer) swallow() { io.Copy(io.Discard, p.nc) }

// bubble runs a test under a clock that moves only when everybody waits.
func bubble(t *testing.T, test func(t *testing.T, f *fake)) {
	synctest.Test(t, func(t *testing.T) { test(t, newFake(t)) })
}
