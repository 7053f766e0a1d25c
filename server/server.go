package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/front"
	httpfront "github.com/lycaon-io/lycaon/server/front/http"
	"github.com/lycaon-io/lycaon/server/front/native"
	"github.com/lycaon-io/lycaon/server/peer"
	"github.com/lycaon-io/lycaon/server/pipeline"
	"github.com/lycaon-io/lycaon/server/raftlog"
	"github.com/lycaon-io/lycaon/server/replicate"
	"github.com/lycaon-io/lycaon/server/state"
)

// modernizeInterval is between two looks at whether every member knows of generations.
const modernizeInterval = time.Second

// Server is one running server.
type Server struct {
	cfg     Config
	origin  origin
	log     *slog.Logger
	started time.Time

	clients  net.Listener
	peerPort net.Listener
	web      net.Listener // nil without HTTP

	mostClients int // that may connect

	dir     *dataDir
	cluster string             // "" of one that joins
	disk    *raftlog.DiskGuard // nil over a log in memory
	store   logStore
	snaps   snapshotStore
	ahead   ahead
	usable  func() error // whether the snapshots do for the log; nil over a log in memory
	core    *pipeline.Core
	peers   *peer.Mux
	node    *replicate.Node
	admits  atomic.Pointer[replicate.Node] // node, once all is wired, for the other servers and for HTTP
	front   *front.Front
	native  *native.Native
	http    *httpfront.Front

	short       shortage
	shortTurned chan struct{} // of its own disk, for watchShortage
	fatal       chan error
	ctx         context.Context // ends when the server begins to stop
	cancel      context.CancelFunc
	wg          sync.WaitGroup
	closed      sync.Once
}

// Bounds that are no setting yet: of one session's ephemeral nodes, and of the
// cluster's sessions, which are memory on every server.
const (
	maxEphemerals = 100_000
	maxSessions   = 1_000_000
)

// Open starts a server. One that is alone serves clients when Open returns, one
// of several when Ready is closed. When Open fails nothing runs any more, and a
// data directory that is not this server's is as it was. The order is from what
// damages least: settings, addresses, the data directory, its contents.
func Open(ctx context.Context, cfg Config) (_ *Server, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.withPeerAddr()
	s := &Server{cfg: cfg, origin: cfg.origin(), log: cfg.Logger, started: time.Now(), fatal: make(chan error, 1), shortTurned: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpWait)
			defer cancel()
			err = errors.Join(storageError(err), s.close(ctx)) // nobody else has s
		}
	}()
	for _, step := range []func() error{s.listen, s.serveHTTP, s.openData, s.openPeers, s.wire, s.open} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if s.alone() {
		if err := s.awaitReady(ctx); err != nil {
			return nil, err
		}
	}
	s.serve()
	return s, nil
}

// serveHTTP begins before the data is opened: a probe that hears nothing while a large log is read would have the
// server killed, and started anew, for ever. Until wire has ended only condition and collector may ask s for anything.
func (s *Server) serveHTTP() error {
	if s.web == nil {
		return nil
	}
	s.http = httpfront.New(httpfront.Config{
		Collectors: []prometheus.Collector{newCollector(s)},
		Ready:      s.condition, Pprof: true, Hosts: s.ownNames(), Logger: s.log,
	})
	s.wg.Go(func() { s.note("http", s.http.Serve(s.web), httpfront.ErrClosed) })
	return nil
}

func (s *Server) wire() error {
	s.node = replicate.New(replicate.Config{
		ID: s.cfg.ID, Address: s.peerAddr(), Logger: s.log, Tick: s.cfg.Tick,
		MinSessionTimeout: s.cfg.MinSessionTimeout, SnapshotBytes: s.cfg.SnapshotBytes,
		Cluster: s.cluster, Data: s.dir.meta.DataID, ClientAddr: s.announcedClientAddr(), Version: s.cfg.Version, Loading: s.cfg.Loading, Loaded: s.ahead.take,
		Together: s.dir.meta.together(), Initial: s.initial(), Join: s.origin.doors, Peers: s.peers, JoinedCluster: s.joined,
	}, s.store, s.snaps)
	s.core.SetLog(s.node)
	s.mostClients = s.maxConnections()
	tls, err := s.cfg.tlsConfig()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	s.native = native.New(native.Config{
		ServerID: s.cfg.ID, Server: s.cfg.Version, Contact: s.node.Contact, Status: s.Status, ExpireSession: s.ExpireSession,
		Members: s.Members, ClusterStatus: s.ClusterStatus, ChangeMember: s.ChangeMember, TransferLeader: s.TransferLeader,
		Sessions: s.Sessions,
	})
	protocols := []front.Protocol{s.native}
	if s.cfg.ZooKeeper == zooKeeperOn {
		z, err := s.zooKeeper()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrConfig, err)
		}
		protocols = append(protocols, z)
	}
	s.front = front.New(front.Config{
		Limits:            protocol.DefaultLimits(),
		MinSessionTimeout: s.cfg.MinSessionTimeout, MaxSessionTimeout: s.cfg.MaxSessionTimeout,
		MaxEphemerals: maxEphemerals, MaxConnections: s.mostClients, MaxConnectionsPerIP: s.cfg.MaxConnectionsPerIP,
		TLS: tls, SuperDigest: s.cfg.SuperDigest, AdminToken: protocol.Secret(s.dir.token),
		Serving: s.serving, AllKnow: s.node.AllKnow, Logger: s.log,
	}, s.core, protocols...)
	s.admits.Store(s.node)
	return nil
}

// condition says what keeps clients from being served, nil if nothing does.
func (s *Server) condition() error {
	node := s.admits.Load()
	switch {
	case s.ctx.Err() != nil:
		return errors.New("stopping")
	case node == nil:
		return fmt.Errorf("starting: reading the log and the newest snapshot, for %s", time.Since(s.started).Round(100*time.Millisecond))
	}
	return plain(node.Condition())
}

func (s *Server) serving() error { return plain(s.node.Serving()) }

// plain takes the name of a package off a text that goes to people.
func plain(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.TrimPrefix(err.Error(), "replicate: "))
}

// open starts raft.
func (s *Server) open() error {
	if s.usable != nil {
		if err := s.usable(); err != nil {
			return err
		}
	}
	defer s.ahead.drop() // who has no need of it is not to keep it
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
	s.wg.Go(func() { s.note("clients", s.front.Serve(s.clients), front.ErrClosed) })
	s.wg.Go(func() {
		select {
		case err := <-s.node.Fatal():
			s.fail(err)
		case <-s.ctx.Done():
		}
	})
	s.wg.Go(s.watchShortage)
	if s.store.FirstVersion() {
		s.wg.Go(s.modernizeLog)
	}
	s.wg.Go(func() {
		select {
		case <-s.node.Ready():
			s.log.Info("serving", "zxid", s.core.Zxid(), "after", time.Since(s.started).Round(time.Millisecond))
		case <-s.ctx.Done():
		}
	})
	s.warnOpen()
	s.log.Info("up", "id", s.cfg.ID, "cluster", s.cluster, "clients", s.clients.Addr(), "peers", s.peerAddr(), "data", s.dir.path)
}

// modernizeLog has a log that an earlier program wrote go on in today's form once no member's program is older: until then
// there is a way back to that program.
func (s *Server) modernizeLog() {
	again := time.NewTicker(modernizeInterval)
	defer again.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-again.C:
		}
		if s.condition() != nil || !s.node.AllKnow(s.ctx, state.KnowsGenerations) {
			continue
		}
		if err := s.store.Modernize(); err != nil {
			s.fail(err)
		}
		return
	}
}

// note takes an end of a front that nobody asked for as fatal.
func (s *Server) note(what string, err, expected error) {
	if !errors.Is(err, expected) {
		s.fail(fmt.Errorf("%s: %w", what, err))
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

// Ready is closed once this server has found its cluster, applied what was
// logged before its start, and serves clients.
func (s *Server) Ready() <-chan struct{} { return s.node.Ready() }

// Condition is nil while clients are served, and says why not otherwise.
func (s *Server) Condition() error { return s.condition() }

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
