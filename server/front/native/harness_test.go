package native_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/front"
	"github.com/lycaon-io/lycaon/server/front/fronttest"
	"github.com/lycaon-io/lycaon/server/front/native"
	"github.com/lycaon-io/lycaon/server/pipeline"
	"github.com/lycaon-io/lycaon/znode"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long is waited for what takes no time on a machine at rest.
const patience = 30 * time.Second

// server is a Front with the native protocol.
type server struct {
	t     testing.TB
	core  *pipeline.Core
	log   *fronttest.Log
	front *front.Front
	addr  string
}

const (
	adminToken  = "the token of the data directory"
	superDigest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=" // super:test
)

type (
	frontConfig  = front.Config
	nativeConfig = native.Config
)

type config struct {
	frontConfig
	nativeConfig
}

func testConfig() config {
	return config{
		frontConfig{
			Limits:            protocol.DefaultLimits(),
			MinSessionTimeout: 100 * time.Millisecond, MaxSessionTimeout: time.Minute,
			SuperDigest: superDigest, AdminToken: protocol.Secret(adminToken),
			Logger: slog.New(slog.DiscardHandler),
		},
		nativeConfig{
			ServerID: 1, Server: "lycaon test",
			Status: func() protocol.Status { return protocol.Status{ServerID: 1, Role: "leader", Ready: true} },
		},
	}
}

func start(t testing.TB, change ...func(*config)) *server {
	t.Helper()
	return startCore(t, pipeline.Config{Origin: 1}, change...)
}

func startCore(t testing.TB, core pipeline.Config, change ...func(*config)) *server {
	t.Helper()
	cfg := testConfig()
	var f *fronttest.Server
	cfg.ExpireSession = func(_ context.Context, id uint64, cause string) error {
		f.Expire(id, cause)
		return nil
	}
	for _, change := range change {
		change(&cfg)
	}
	f = fronttest.Start(t, cfg.frontConfig, core, native.New(cfg.nativeConfig))
	return &server{t: t, core: f.Core, log: f.Log, front: f.Front, addr: f.Addr}
}

func (s *server) open(opts ...client.Option) *client.Client {
	s.t.Helper()
	c, err := client.Open(s.t.Context(), []string{s.addr}, opts...)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// raw is a connection that a test drives frame by frame.
type raw struct {
	t testing.TB
	net.Conn
	r *frameReader
}

func (s *server) dial() *raw {
	s.t.Helper()
	nc, err := net.Dial("tcp", s.addr)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { nc.Close() })
	return &raw{t: s.t, Conn: nc, r: newFrameReader(nc)}
}

func (r *raw) hello(h protocol.Hello) protocol.Welcome {
	r.t.Helper()
	if h.MaxVersion == 0 {
		h.MinVersion, h.MaxVersion = 1, 1
	}
	_, err := r.Write(protocol.AppendHello(protocol.Magic[:], &h))
	require.NoError(r.t, err)
	frame, err := r.r.next()
	require.NoError(r.t, err)
	w, err := protocol.DecodeWelcome(frame)
	require.NoError(r.t, err)
	return w
}

func (r *raw) send(reqs ...protocol.Request) {
	r.t.Helper()
	var b []byte
	for i := range reqs {
		b = protocol.AppendRequest(b, &reqs[i])
	}
	_, err := r.Write(b)
	require.NoError(r.t, err)
}

func (r *raw) receive() (protocol.Message, error) {
	frame, err := r.r.next()
	if err != nil {
		return protocol.Message{}, err
	}
	return protocol.DecodeMessage(frame)
}

func (r *raw) mustReceive() protocol.Message {
	r.t.Helper()
	m, err := r.receive()
	require.NoError(r.t, err)
	return m
}

// awaitEnd reads until the server closes, and returns the last message.
func (r *raw) awaitEnd() (last protocol.Message) {
	r.t.Helper()
	r.SetReadDeadline(time.Now().Add(patience))
	for {
		m, err := r.receive()
		if err != nil {
			require.ErrorIs(r.t, err, io.EOF)
			return last
		}
		last = m
	}
}

func createRequest(xid uint64, path, data string) protocol.Request {
	op := znode.CreateOp{Path: path, Data: []byte(data), ACL: znode.OpenACL}
	return protocol.Request{Op: protocol.OpCreate, Xid: xid, Arg: xid, Body: protocol.AppendCreate(nil, &op)}
}

func getRequest(xid uint64, path string) protocol.Request {
	return protocol.Request{Op: protocol.OpGet, Xid: xid, Read: protocol.Read{Path: path}}
}
