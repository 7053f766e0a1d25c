package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lycaon-io/lycaon/server"
)

const serveLong = `Run one server until SIGINT, SIGTERM or SIGHUP.

Every option is also an environment variable (--data-dir is LYCAON_DATA_DIR) and a
key of the --config file, which is YAML with one "key: value" a line. What is typed
beats the environment, which beats the file.

One server is a whole cluster. For several give each the same --initial-cluster, its own
--id and the files of --peer-cert; any majority of them, once up, serves. To enlarge a
running cluster see member add and --join.

Clients talk to --client-addr: native frames or ZooKeeper's protocol, with TLS on the same
port if there is a certificate (a connection's first bytes tell). Clients without TLS are served all
the same, also beside --client-ca. /metrics, /livez and /readyz are on --http-addr,
and /debug/pprof/ if that is loopback. The data directory belongs to one server: its
first start writes the id into it, and a lock keeps a second process out. It holds
admin.token, the secret for snapshot save and other administration.

Exit codes: 0 after a clean stop, 2 a setting is wrong, 10 an address is in use, 11 the
data directory cannot be written, 12 it is locked by another process, 13 it belongs to
another id or cluster, 14 it is of a newer format, 15 data on disk is damaged (the
message names the file and the repair), 16 the disk is full, 17 this server was removed
from its cluster, 18 its cluster does not admit it (see member replace), 1 anything else.`

// gcPercent is how much garbage may gather beside what lives. Most of a
// server's memory is a tree that lives long, so half as much is half the
// collector's default at hardly more of its work. Collections that take long begin
// as early, with more room until they must have ended (earlygc.go).
const gcPercent = 50

// unusedHeapBytes are allocated and never touched: they are no memory, but count
// as live for the collector. Half of the little that lives in a server with few
// nodes would have it collect thirty times a second under load. A GOMEMLIMIT
// counts them too.
const unusedHeapBytes = 32 << 20

// stopWithin bounds a clean stop.
const stopWithin = 4500 * time.Millisecond

// serveFlags are the settings of a server as they are typed.
type serveFlags struct {
	config    string
	logLevel  string
	logFormat string
	server    server.Config
}

func (s *serveFlags) add(f *pflag.FlagSet) {
	c := &s.server
	*c = server.DefaultConfig()
	for _, g := range s.groups() {
		own := pflag.NewFlagSet(g.title, pflag.ContinueOnError)
		g.add(own)
		f.AddFlagSet(own)
	}
}

// flagGroup is some of the flags under a title of their own in the help.
type flagGroup struct {
	title string
	add   func(f *pflag.FlagSet)
}

func (s *serveFlags) groups() []flagGroup {
	c := &s.server
	return []flagGroup{
		{"This server", func(f *pflag.FlagSet) {
			f.StringVar(&s.config, "config", "", "YAML `FILE` with any of these options")
			f.Uint64Var(&c.ID, "id", c.ID, "number of this server in its cluster, 1 to 254")
			f.StringVar(&c.DataDir, "data-dir", c.DataDir, "`DIR` for log, snapshots and identity; made if absent")
			f.StringVar(&s.logLevel, "log-level", "info", "log what is this grave or graver: `debug|info|warn|error`")
			f.StringVar(&s.logFormat, "log-format", "text", "form of a log line: `text|json`")
			f.StringVar(&c.HTTPAddr, "http-addr", c.HTTPAddr, "`H:P` for metrics and health, or off")
			f.Int64Var(&c.SnapshotBytes, "snapshot-bytes", c.SnapshotBytes, "take a snapshot after this many bytes of log")
		}},
		{"Clients", func(f *pflag.FlagSet) {
			f.StringVar(&c.ClientAddr, "client-addr", c.ClientAddr, "`H:P` where clients connect")
			f.StringVar(&c.AdvertiseClientAddr, "advertise-client-addr", c.AdvertiseClientAddr, "`H:P` that clients of the other servers are told; default is --client-addr")
			f.DurationVar(&c.MinSessionTimeout, "min-session-timeout", c.MinSessionTimeout, "shortest session timeout a client gets")
			f.DurationVar(&c.MaxSessionTimeout, "max-session-timeout", c.MaxSessionTimeout, "longest session timeout a client gets")
			f.DurationVar(&c.Tick, "tick", c.Tick, "how often expired sessions are looked for: they end so much late at most")
			f.IntVar(&c.MaxConnections, "max-connections", c.MaxConnections, "client connections at once; 0 = as many as files may be open, but for those that the server needs")
			f.IntVar(&c.MaxConnectionsPerIP, "max-connections-per-ip", c.MaxConnectionsPerIP, "client connections of one address at once, as ZooKeeper's maxClientCnxns; 0 = no bound")
			f.StringVar(&c.ZooKeeper, "zookeeper", c.ZooKeeper, "`on|off`: serve ZooKeeper's clients on the same port")
			f.StringVar(&c.FourLetterWords, "four-letter-words", c.FourLetterWords, "`all|WORD,WORD`: those of ZooKeeper's four-letter words that are answered")
			f.StringVar(&c.SASLUsers, "sasl-users", c.SASLUsers, "`FILE` with name:password lines, of mode 0600, for ZooKeeper's SASL DIGEST-MD5; read again when it changes")
			f.StringVar(&c.SuperDigest, "super-digest", c.SuperDigest, "`NAME:BASE64` of the superuser: the SHA-1 of NAME:PASSWORD in base64, as in ZooKeeper")
			f.StringVar(&c.ClientCert, "client-cert", c.ClientCert, "certificate `FILE` for TLS on the client port")
			f.StringVar(&c.ClientKey, "client-key", c.ClientKey, "key `FILE` of that certificate")
			f.StringVar(&c.ClientCA, "client-ca", c.ClientCA, "`FILE` of authorities; clients with TLS must then show a certificate of theirs")
		}},
		{"The other servers", func(f *pflag.FlagSet) {
			f.StringVar(&c.InitialCluster, "initial-cluster", c.InitialCluster, "all members of a new cluster with their peer addresses, `1=H:P,2=H:P,3=H:P`, the same on each; default is this server alone")
			f.StringVar(&c.Join, "join", c.Join, "peer addresses `H:P,H:P` of a running cluster to which member add has added this server")
			f.StringVar(&c.PeerAddr, "peer-addr", c.PeerAddr, "`H:P` to listen on for the other servers; default is as in --initial-cluster, else as at the last start, else 127.0.0.1:2888")
			f.StringVar(&c.AdvertisePeerAddr, "advertise-peer-addr", c.AdvertisePeerAddr, "`H:P` that the other servers dial; default is as in --initial-cluster, else --peer-addr")
			f.StringVar(&c.PeerCert, "peer-cert", c.PeerCert, "certificate `FILE` to show to the other servers, with the role of a server in it; read again when it changes")
			f.StringVar(&c.PeerKey, "peer-key", c.PeerKey, "key `FILE` of that certificate")
			f.StringVar(&c.PeerCA, "peer-ca", c.PeerCA, "`FILE` of the authority that signs the servers' certificates")
			f.BoolVar(&c.InsecurePeers, "insecure-peers", c.InsecurePeers, "let servers talk across the network without TLS: whoever reaches the peer port can then change everything")
		}},
	}
}

func newServe(e *env) *cobra.Command {
	var s serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a server",
		Long:  serveLong,
		Example: "  lycaon serve --data-dir /var/lib/lycaon\n" +
			"  lycaon serve --id 1 --data-dir data/1 --client-addr 127.0.0.1:2181 --http-addr 127.0.0.1:8081 \\\n" +
			"    --initial-cluster 1=127.0.0.1:2881,2=127.0.0.1:2882,3=127.0.0.1:2883",
		GroupID: groupServer,
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			config := s.config
			if config == "" {
				config = e.getenv(envName("config"))
			}
			if err := applySettings(cmd.Flags(), e.getenv, config); err != nil {
				return err
			}
			return serve(cmd.Context(), e, &s)
		},
	}
	cmd.Flags().SortFlags = false
	s.add(cmd.Flags())
	cmd.SetUsageFunc(s.usage)
	return cmd
}

// usage lists the options group by group.
func (s *serveFlags) usage(cmd *cobra.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage:\n  %s\n\nExamples:\n%s\n", cmd.UseLine(), cmd.Example)
	fresh := serveFlags{server: server.DefaultConfig()}
	for _, g := range fresh.groups() {
		f := pflag.NewFlagSet(g.title, pflag.ContinueOnError)
		f.SortFlags = false
		g.add(f)
		fmt.Fprintf(&b, "\n%s:\n%s", g.title, f.FlagUsagesWrapped(helpColumns))
	}
	_, err := io.WriteString(cmd.OutOrStderr(), b.String())
	return err
}

// helpColumns is how wide help is, on any screen.
const helpColumns = 100

func serve(ctx context.Context, e *env, s *serveFlags) error {
	log, err := newLogger(e.errw, s.logLevel, s.logFormat)
	if err != nil {
		return err
	}
	if noSlack != nil {
		log.Debug("timers without slack: waiting for the disk costs more CPU", "err", noSlack)
	}
	go shedSlack(ctx, lessSlack)
	s.server.Logger, s.server.Version = log, version()
	if e.getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
		defer runtime.KeepAlive(make([]byte, unusedHeapBytes))
		s.server.Loading = collectLater
		go newCollections().attend(ctx)
	}
	defer restOnOne(ctx, e)()
	srv, err := openUnlessStopped(ctx, func() (*server.Server, error) { return server.Open(ctx, s.server) })
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		log.Info("stopped while starting")
		return nil
	}
	if err != nil {
		return err
	}
	if err = attend(ctx, e.out, srv, s); err != nil {
		log.Error("stopping", "err", err)
	} else {
		log.Info("stopping")
	}
	stop, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	if closeErr := srv.Close(stop); err == nil {
		err = closeErr
	}
	return err
}

// leaveWithin is how long a start that is to stop may take to end by itself: one that
// waits for an election does so at once. Tests have more patience.
var leaveWithin = 250 * time.Millisecond

// openUnlessStopped opens a server. If ctx ends first it returns soon although a long log may still
// be read: the process ends then, which a data directory bears at any moment.
func openUnlessStopped(ctx context.Context, open func() (*server.Server, error)) (*server.Server, error) {
	type opened struct {
		srv *server.Server
		err error
	}
	done := make(chan opened, 1)
	go func() {
		srv, err := open()
		done <- opened{srv, err}
	}()
	select {
	case o := <-done:
		return o.srv, o.err
	case <-ctx.Done():
	}
	select {
	case o := <-done:
		return o.srv, o.err
	case <-time.After(leaveWithin):
	}
	select {
	case o := <-done: // in this moment: it may serve, and wants its farewell
		return o.srv, o.err
	default:
		return nil, ctx.Err()
	}
}

// attend greets once clients are served, and returns when the server is to
// stop, or must.
func attend(ctx context.Context, out printer, srv *server.Server, s *serveFlags) error {
	ready := srv.Ready()
	select {
	case <-ready:
	default: // one of several
		out.line("%s: server %d is up and looks for the others, its data in %s", version(), s.server.ID, s.server.DataDir)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-srv.Fatal():
			return err
		case <-ready:
			greet(out, srv, s)
			ready = nil
		}
	}
}

// greet says what runs, where, and what to type next.
func greet(out printer, srv *server.Server, s *serveFlags) {
	addr := srv.ClientAddr().String()
	out.line("%s: server %d is ready, its data in %s", version(), s.server.ID, s.server.DataDir)
	line := "clients: " + addr
	if http := srv.HTTPAddr(); http != nil {
		line += "   metrics and health: http://" + http.String() + "/metrics"
	}
	out.line("%s", line)
	typed := os.Args[0]
	if addr != "127.0.0.1:2181" {
		typed += " -s " + addr
	}
	out.line("try: %s create /a hello && %s get /a   or: %s shell   (Ctrl-C stops)", typed, typed, typed)
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(strings.ToLower(level))); err != nil {
		return nil, usageError{fmt.Errorf("configuration: log-level %q: want debug, info, warn or error", level)}
	}
	opts := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, usageError{fmt.Errorf("configuration: log-format %q: want text or json", format)}
}
