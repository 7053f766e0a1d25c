package server

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lycaon-io/lycaon/protocol"
	httpfront "github.com/lycaon-io/lycaon/server/front/http"
	"github.com/lycaon-io/lycaon/server/front/native"
	"github.com/lycaon-io/lycaon/server/pipeline"
	"github.com/lycaon-io/lycaon/server/raftlog"
	"github.com/lycaon-io/lycaon/server/replicate"
	"github.com/lycaon-io/lycaon/server/state"
)

// Server is one running server.
type Server struct {
	cfg     Config
	origin  origin
	log     *slog.Logger
	started time.Time
	clients net.Listener
	web     net.Listener // nil without HTTP

	dir    *dataDir
	disk   *raftlog.DiskGuard
	store  *raftlog.Store
	snaps  *raftlog.Snapshots
	core   *pipeline.Core
	node   *replicate.Node
	front  *native.Front
	http   *httpfront.Front
	fatal  chan error
	stop   chan struct{}
	wg     sync.WaitGroup
	closed sync.Once
}

// Bounds that are no setting yet: of one session's ephemeral nodes, and of the
// cluster's sessions, which are memory on every server.
const (
	maxEphemerals = 100_000
	maxSessions   = 1_000_000
)

// Open starts a server and returns when it serves clients. When it fails
// nothing runs any more, and a data directory that is not this server's is as
// it was. The order is from what damages least: settings, addresses, the data
// directory, its contents.
func Open(ctx context.Context, cfg Config) (_ *Server, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.withPeerAddr()
	s := &Server{cfg: cfg, origin: cfg.origin(), log: cfg.Logger, started: time.Now(), fatal: make(chan error, 1), stop: make(chan struct{})}
	defer func() {
		if err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpWait)
			defer cancel()
			err = errors.Join(storageError(err), s.Close(ctx))
		}
	}()
	for _, step := range []func() error{s.listen, s.openData, s.wire, s.open} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if err := s.awaitReady(ctx); err != nil {
		return nil, err
	}
	s.serve()
	return s, nil
}

// listen takes the addresses. Clients that come early wait in the backlog.
func (s *Server) listen() (err error) {
	if s.clients, err = listen("client-addr", s.cfg.ClientAddr); err != nil || s.cfg.HTTPAddr == httpOff {
		return err
	}
	s.web, err = listen("http-addr", s.cfg.HTTPAddr)
	return err
}

func listen(key, addr string) (net.Listener, error) {
	l, err := inherit(syscall.EADDRINUSE, func() (net.Listener, error) { return net.Listen("tcp", addr) })
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%w: %s %s", ErrPortInUse, key, addr)
	case err != nil:
		return nil, fmt.Errorf("%w: %s %s: %w", ErrConfig, key, addr, err)
	}
	return l, nil
}

func (s *Server) openData() (err error) {
	if s.dir, err = openDataDir(s.cfg.DataDir, s.cfg.ID, s.origin); err != nil {
		return err
	}
	s.core = pipeline.New(pipeline.Config{Origin: incarnation(), MaxSessions: maxSessions, Observer: observer{s}})
	// The guard and the snapshots ask each other.
	var snaps atomic.Pointer[raftlog.Snapshots]
	s.disk, err = raftlog.OpenDiskGuard(raftlog.DiskOptions{
		Dir: s.dir.path, Logger: s.log, OnChange: s.diskChanged,
		SnapshotBytes: func() int64 { return lastSnapshotBytes(snaps.Load()) },
	})
	if err != nil {
		return err
	}
	if s.snaps, err = openSnapshots(s.dir.join(snapshotsName), s.log, s.disk); err != nil {
		return err
	}
	snaps.Store(s.snaps)
	if err := s.disk.CheckStart(); err != nil {
		return err
	}
	s.store, err = inherit(raftlog.ErrLocked, func() (*raftlog.Store, error) {
		return raftlog.Open(raftlog.Options{Dir: s.dir.join(logName), Logger: s.log, Fatal: s.fail, Disk: s.disk})
	})
	if err != nil {
		return err
	}
	if err := s.dir.noteLog(); err != nil {
		return err
	}
	_, err = s.snaps.Usable(s.store)
	return err
}

func lastSnapshotBytes(s *raftlog.Snapshots) int64 {
	if s == nil {
		return 0
	}
	return s.Stats().LastBytes
}

func openSnapshots(dir string, log *slog.Logger, disk *raftlog.DiskGuard) (*raftlog.Snapshots, error) {
	return raftlog.OpenSnapshots(raftlog.SnapshotOptions{
		Dir: dir, Logger: log, Disk: disk,
		Verify: func(r io.Reader) error {
			_, err := state.VerifyImage(r)
			return err
		},
	})
}

// incarnation tells this run of the server from every other: answers to what
// an earlier run had asked for must not be taken for ours.
func incarnation() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:]) | 1
}

// observer is the node, which is made after the core that it observes.
type observer struct{ s *Server }

func (o observer) SessionOpened(id, generation uint64, timeoutMs int64) {
	o.s.node.SessionOpened(id, generation, timeoutMs)
}

func (o observer) SessionEnded(id uint64) { o.s.node.SessionEnded(id) }

func (s *Server) wire() error {
	s.node = replicate.New(replicate.Config{
		ID: s.cfg.ID, Address: s.peerAddr(), Logger: s.log, Tick: s.cfg.Tick,
		MinSessionTimeout: s.cfg.MinSessionTimeout, SnapshotBytes: s.cfg.SnapshotBytes,
	}, s.store, s.snaps)
	s.core.SetLog(s.node)
	tls, err := s.cfg.tlsConfig()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	s.front = native.New(native.Config{
		ServerID: s.cfg.ID, Server: s.cfg.Version, Limits: protocol.DefaultLimits(),
		MinSessionTimeout: s.cfg.MinSessionTimeout, MaxSessionTimeout: s.cfg.MaxSessionTimeout,
		MaxEphemerals: maxEphemerals, MaxConnections: s.cfg.MaxConnections,
		TLS: tls, SuperDigest: s.cfg.SuperDigest, AdminToken: protocol.Secret(s.dir.token),
		Status: s.Status, ExpireSession: s.ExpireSession, Logger: s.log,
	}, s.core)
	if s.web != nil {
		s.http = httpfront.New(httpfront.Config{
			Collectors: []prometheus.Collector{newCollector(s)},
			Ready:      s.condition, Pprof: true, Hosts: s.ownNames(), Logger: s.log,
		})
	}
	return nil
}

// peerAddr is where the other servers dial this one.
func (s *Server) peerAddr() string {
	if addr := s.cfg.advertisedPeer(); addr != "" {
		return addr
	}
	return s.cfg.PeerAddr
}

// condition says what keeps clients from being served, nil if nothing does.
func (s *Server) condition() error {
	select {
	case <-s.stop:
		return errors.New("stopping")
	default:
		return s.node.Condition()
	}
}

// ownNames are those under which HTTP is asked for beside localhost.
func (s *Server) ownNames() []string {
	configured, _, _ := net.SplitHostPort(s.cfg.HTTPAddr) // checked by Validate
	machine, err := os.Hostname()
	if err != nil {
		return []string{configured}
	}
	short, _, _ := strings.Cut(machine, ".")
	return []string{configured, machine, short}
}

// open starts raft, and HTTP before it, which tells how far a long start is.
func (s *Server) open() error {
	if s.http != nil {
		s.wg.Go(func() { s.note("http", s.http.Serve(s.web), httpfront.ErrClosed) })
	}
	return s.node.Open(s.core)
}

func (s *Server) awaitReady(ctx context.Context) error {
	select {
	case <-s.node.Ready():
		return nil
	case err := <-s.node.Fatal():
		return err
	case err := <-s.fatal:
		return err
	case <-ctx.Done():
		return fmt.Errorf("start: %w", context.Cause(ctx))
	}
}

func (s *Server) serve() {
	s.wg.Go(func() { s.note("clients", s.front.Serve(s.clients), native.ErrClosed) })
	s.wg.Go(func() {
		select {
		case err := <-s.node.Fatal():
			s.fail(err)
		case <-s.stop:
		}
	})
	s.warnOpen()
	s.log.Info("serving", "id", s.cfg.ID, "cluster", s.dir.meta.ClusterID, "clients", s.clients.Addr(), "data", s.dir.path,
		"zxid", s.core.Zxid(), "after", time.Since(s.started).Round(time.Millisecond))
}

// note takes an end of a front that nobody asked for as fatal.
func (s *Server) note(what string, err, expected error) {
	if !errors.Is(err, expected) {
		s.fail(fmt.Errorf("%s: %w", what, err))
	}
}

// warnOpen says loudly what an operator may not have meant.
func (s *Server) warnOpen() {
	if open(s.clients) {
		// With a certificate too: the port tells TLS by the first byte and goes
		// on serving those who do not speak it.
		s.log.Warn("CLIENTS BEYOND THIS MACHINE CAN CONNECT WITHOUT TLS: their passwords and data cross the network in clear, and no client certificate is asked of them",
			"addr", s.clients.Addr(), "tls", s.cfg.ClientCert != "")
	}
	if s.web != nil && open(s.web) {
		s.log.Warn("metrics can be read from beyond this machine", "addr", s.web.Addr())
	}
}

// open tells whether other machines can reach a listener.
func open(l net.Listener) bool {
	addr, ok := l.Addr().(*net.TCPAddr)
	return ok && !addr.IP.IsLoopback()
}

// diskChanged refuses writes while space is short, long before the log is in
// danger, and stops the server before it is.
func (s *Server) diskChanged(_, to raftlog.DiskLevel, free uint64) {
	switch to {
	case raftlog.DiskOK:
		s.core.RefuseWrites(protocol.OK, "")
	case raftlog.DiskSoft:
		s.core.RefuseWrites(protocol.DiskFull, fmt.Sprintf("%d bytes are free; writes go on when there is more", free))
	case raftlog.DiskHard:
		s.fail(fmt.Errorf("%w: %d bytes are free in %s", ErrDiskFull, free, s.dir.path))
	}
}

func (s *Server) fail(err error) {
	select {
	case s.fatal <- storageError(err):
	default: // the first one counts
	}
}

// Fatal gives the error after which the server must be closed.
func (s *Server) Fatal() <-chan error { return s.fatal }

// ClientAddr is where clients connect.
func (s *Server) ClientAddr() net.Addr { return s.clients.Addr() }

// HTTPAddr is where metrics and health are, nil if they are off.
func (s *Server) HTTPAddr() net.Addr {
	if s.web == nil {
		return nil
	}
	return s.web.Addr()
}

// DropConnections cuts every client off as a broken network would.
func (s *Server) DropConnections() { s.front.DropConnections() }

// ExpireSession ends a session as if its client had been silent.
func (s *Server) ExpireSession(ctx context.Context, id uint64, cause string) error {
	err := s.node.ExpireSession(ctx, id, cause)
	if errors.Is(err, replicate.ErrNoSession) {
		return fmt.Errorf("%w: %w", protocol.ErrSessionExpired, err)
	}
	return err
}
