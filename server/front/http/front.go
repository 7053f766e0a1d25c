package http

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	stdhttp "net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// ErrClosed is what Serve returns after Close.
var ErrClosed = errors.New("http: front closed")

// Bounds of what a peer may take. Nothing here serves more than a few
// scrapers, so all of them are small.
const (
	maxConnections    = 64
	maxScrapes        = 4 // at once
	maxHeaderBytes    = 16 << 10
	maxProfileSeconds = 300

	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second // of a profile: beside the seconds asked for
	idleTimeout   = 2 * time.Minute  // above the usual minute between two scrapes
)

// Config is what a Front shows.
type Config struct {
	Collectors []prometheus.Collector // besides those of Go and the process
	Ready      func() error           // nil error: ready; its text says why not
	Pprof      bool                   // on a loopback listener only
	Hosts      []string               // names it may be asked for by, besides addresses and localhost
	Logger     *slog.Logger           // nil logs nothing
}

// Front serves one listener.
type Front struct {
	cfg      Config
	registry *prometheus.Registry
	server   *stdhttp.Server
	counts   counters
	stop     context.CancelFunc // ends the profiles under way
}

// New returns a Front that serves nothing yet. It panics when two collectors
// describe one metric.
func New(cfg Config) *Front {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Ready == nil {
		cfg.Ready = func() error { return nil }
	}
	ctx, stop := context.WithCancel(context.Background())
	f := &Front{cfg: cfg, registry: prometheus.NewRegistry(), stop: stop}
	f.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	f.registry.MustRegister(cfg.Collectors...)
	f.server = &stdhttp.Server{
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		BaseContext:    func(net.Listener) context.Context { return ctx },
		ErrorLog:       slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
	}
	return f
}

// Serve answers requests until Close, when it returns ErrClosed, or until the
// listener fails. It closes the listener and may be called once.
func (f *Front) Serve(ln net.Listener) error {
	f.server.Handler = f.handler(ln.Addr())
	err := f.server.Serve(&boundedListener{Listener: ln, front: f})
	if errors.Is(err, stdhttp.ErrServerClosed) {
		return ErrClosed
	}
	return fmt.Errorf("http: %w", err)
}

// Close accepts no more, ends profiles early and lets other answers end. When
// ctx ends the sockets are closed at once.
func (f *Front) Close(ctx context.Context) error {
	f.stop()
	err := f.server.Shutdown(ctx)
	if err != nil {
		f.server.Close()
	}
	return err
}

// boundedListener closes connections beyond the bound at once, which a
// scraper sees as a failed scrape.
type boundedListener struct {
	net.Listener
	front *Front
}

func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		n := &l.front.counts
		if n.connections.Add(1) <= maxConnections {
			return &countedConn{Conn: nc, counts: n}, nil
		}
		n.connections.Add(-1)
		n.connectionsRefused.Add(1)
		nc.Close()
	}
}
