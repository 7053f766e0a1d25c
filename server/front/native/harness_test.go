package native_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/front"
	"github.com/lycaon-io/lycaon/server/front/native"
	"github.com/lycaon-io/lycaon/server/pipeline"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memLog orders transactions in memory and applies them on a goroutine.
type memLog struct {
	core *pipeline.Core
	mu   sync.Mutex
	more *sync.Cond
	txns []state.Txn
	held bool // nothing is applied
	done bool
}

func (l *memLog) Append(t *state.Txn) {
	kept := *t
	kept.IDs, kept.Body = bytes.Clone(t.IDs), bytes.Clone(t.Body)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.txns = append(l.txns, kept)
	l.more.Signal()
}

func (l *memLog) run() {
	for {
		l.mu.Lock()
		for !l.done && (len(l.txns) == 0 || l.held) {
			l.more.Wait()
		}
		txns := l.txns
		l.txns = nil
		done := l.done
		l.mu.Unlock()
		if done {
			return
		}
		entry := state.AppendBatchHeader(nil, time.Now().UnixMilli())
		for i := range txns {
			entry = state.AppendTxn(entry, &txns[i])
		}
		if err := l.core.Apply(entry); err != nil {
			panic(err)
		}
	}
}

func (l *memLog) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	l.more.Signal()
}

// server is a Front over a Core over a memLog.
type server struct {
	t     testing.TB
	core  *pipeline.Core
	log   *memLog
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
	s := &server{t: t, core: pipeline.New(core)}
	s.log = &memLog{core: s.core}
	s.log.more = sync.NewCond(&s.log.mu)
	s.core.SetLog(s.log)
	cfg := testConfig()
	cfg.ExpireSession = func(_ context.Context, id uint64, cause string) error {
		var generation uint64
		s.core.View(func(m *state.Machine) {
			if r, ok := m.Sessions().Get(id); ok {
				generation = r.Generation
			}
		})
		s.log.Append(&state.Txn{Kind: state.TxnExpire, Session: id, Generation: generation, Cause: cause})
		return nil
	}
	for _, f := range change {
		f(&cfg)
	}
	s.front = front.New(cfg.frontConfig, s.core, native.New(cfg.nativeConfig))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = ln.Addr().String()
	var wg sync.WaitGroup
	wg.Go(s.log.run)
	wg.Go(func() { s.front.Serve(ln) })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		require.NoError(t, s.front.Close(ctx))
		s.log.set(func() { s.log.done = true })
		wg.Wait()
	})
	return s
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
	r.SetReadDeadline(time.Now().Add(10 * time.Second))
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
