package zk_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/lycaon-io/lycaon/server/front"
	"github.com/lycaon-io/lycaon/server/front/fronttest"
	"github.com/lycaon-io/lycaon/server/front/zk"
	"github.com/lycaon-io/lycaon/server/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	superDigest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=" // super:test
	waitLong    = time.Minute
)

// server is a Front with ZooKeeper's protocol.
type server struct {
	*fronttest.Server
	t testing.TB
}

type config struct {
	front front.Config
	zk    zk.Config
}

func start(t testing.TB, change ...func(*config)) *server {
	t.Helper()
	all, err := zk.ParseWords(zk.AllWords)
	require.NoError(t, err)
	cfg := config{
		front: front.Config{
			Limits: protocol.DefaultLimits(), MinSessionTimeout: 100 * time.Millisecond, MaxSessionTimeout: time.Minute,
			SuperDigest: superDigest, Logger: slog.New(slog.DiscardHandler),
		},
		zk: zk.Config{
			Words:    all,
			Status:   func() protocol.Status { return protocol.Status{Role: "leader", Zxid: 7, Nodes: 4} },
			Settings: []zk.Setting{{Key: "clientPort", Value: "2181"}},
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	return &server{fronttest.Start(t, cfg.front, pipeline.Config{Origin: 1}, zk.New(cfg.zk)), t}
}

// gate is whether a server serves sessions.
type gate struct{ closed atomic.Bool }

func (g *gate) serving() error {
	if g.closed.Load() {
		return errors.New("no quorum")
	}
	return nil
}

// peer is a client that a test drives frame by frame.
type peer struct {
	t testing.TB
	net.Conn
	r        *bufio.Reader
	xid      int32
	session  int64
	password []byte
}

func (s *server) dial() *peer {
	s.t.Helper()
	nc, err := net.Dial("tcp", s.Addr)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(waitLong))
	return &peer{t: s.t, Conn: nc, r: bufio.NewReader(nc)}
}

// connect opens a session.
func (s *server) connect() *peer {
	s.t.Helper()
	p := s.dial()
	w, err := p.hello(&jute.ConnectRequest{TimeoutMs: 10_000, Password: make([]byte, 16)})
	require.NoError(s.t, err)
	require.Positive(s.t, w.TimeoutMs)
	return p
}

// reattach goes on with the session of former.
func (s *server) reattach(former *peer) *peer {
	s.t.Helper()
	p := s.dial()
	w, err := p.hello(&jute.ConnectRequest{TimeoutMs: 10_000, Session: former.session, Password: former.password})
	require.NoError(s.t, err)
	require.Equal(s.t, former.session, w.Session)
	p.xid = former.xid
	return p
}

func (p *peer) hello(r *jute.ConnectRequest) (jute.ConnectResponse, error) {
	p.t.Helper()
	_, err := p.Write(jute.AppendConnectRequest(nil, r))
	require.NoError(p.t, err)
	frame, err := p.frame()
	if err != nil {
		return jute.ConnectResponse{}, err
	}
	w, err := jute.DecodeConnectResponse(frame)
	require.NoError(p.t, err)
	p.session, p.password = w.Session, w.Password
	return w, nil
}

func (p *peer) frame() ([]byte, error) { return protocol.ReadFrame(p.r, nil, 64<<20) }

// send sends calls without waiting and returns the xid of the first.
func (p *peer) send(calls ...*jute.Call) (first int32) {
	p.t.Helper()
	var b []byte
	for _, c := range calls {
		p.xid++
		b = jute.AppendCall(b, p.xid, c)
	}
	_, err := p.Write(b)
	require.NoError(p.t, err)
	return p.xid - int32(len(calls)) + 1
}

// said is one frame of the server: an event or the answer to op.
func (p *peer) said(op jute.OpCode) (event *jute.Event, answer jute.Answer) {
	p.t.Helper()
	frame, err := p.frame()
	require.NoError(p.t, err)
	h, err := jute.DecodeReplyHeader(frame)
	require.NoError(p.t, err)
	if h.Xid == jute.XidEvent {
		e, err := jute.DecodeEvent(frame)
		require.NoError(p.t, err)
		return &e, jute.Answer{}
	}
	answer, err = jute.DecodeAnswer(frame, op)
	require.NoError(p.t, err)
	return nil, answer
}

// call sends one request and returns its answer, which comes without an event
// before it.
func (p *peer) call(c *jute.Call) jute.Answer {
	p.t.Helper()
	xid := p.send(c)
	event, answer := p.said(c.Op)
	require.Nil(p.t, event)
	require.Equal(p.t, xid, answer.Xid)
	return answer
}

func (p *peer) event() jute.Event {
	p.t.Helper()
	event, answer := p.said(0)
	require.NotNil(p.t, event, "an answer to %d instead of an event", answer.Xid)
	return *event
}

// ended reads until the server closes the connection.
func (p *peer) ended() {
	p.t.Helper()
	_, err := p.frame()
	require.ErrorIs(p.t, err, io.EOF)
}

var open = []jute.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}

func create(path string) *jute.Call {
	return &jute.Call{Op: jute.OpCreate, Path: path, Data: []byte("x"), ACL: open}
}

func ephemeral(path string) *jute.Call {
	c := create(path)
	c.Flags = 1
	return c
}

func set(path, data string) *jute.Call {
	return &jute.Call{Op: jute.OpSetData, Path: path, Data: []byte(data), Version: -1}
}

func get(path string, watch bool) *jute.Call {
	return &jute.Call{Op: jute.OpGetData, Path: path, Watch: watch}
}

// ask sends a four-letter word and returns all that is said.
func (s *server) ask(word string) string {
	s.t.Helper()
	p := s.dial()
	fmt.Fprint(p, word)
	text, err := io.ReadAll(p)
	require.NoError(s.t, err)
	return string(text)
}

// Numbers of ZooKeeper's errors and events.
const (
	noNode, noAuth, badVersion, nodeExists        = -101, -102, -103, -110
	authFailed, notReadOnly, noWatcher            = -115, -119, -121
	unimplemented, badArguments, notRun           = -6, -8, -2
	created, deleted, dataChanged, childrenChange = 1, 2, 3, 4
)
