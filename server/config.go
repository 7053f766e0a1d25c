package server

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/lycaon-io/lycaon/server/front/zk"
	"github.com/lycaon-io/lycaon/server/front/zk/digestmd5"
	"github.com/lycaon-io/lycaon/server/peer"
)

// Config is what an operator decides. Its keys are those of the command line.
type Config struct {
	ID         uint64 // of this server in its cluster, 1 to 254
	DataDir    string
	ClientAddr string // host:port where clients connect
	PeerAddr   string // host:port to listen on for the other servers; empty: as in InitialCluster, else as at the last start, else 127.0.0.1:2888
	HTTPAddr   string // host:port for metrics and health, or "off"

	InitialCluster string // the members of a new cluster, "1=host:port,2=host:port"; empty: this server alone
	Join           string // peer addresses of a cluster of which this server is to become a member, "host:port,host:port"

	AdvertiseClientAddr string // where clients reach this server, if not at ClientAddr
	AdvertisePeerAddr   string // where the other servers reach this one, if not as in InitialCluster or at PeerAddr

	MinSessionTimeout time.Duration
	MaxSessionTimeout time.Duration
	Tick              time.Duration // between looks for expired sessions

	ZooKeeper       string // "on" or "off": whether ZooKeeper's clients are served
	FourLetterWords string // of ZooKeeper's, that are answered: "all" or "WORD,WORD"
	SASLUsers       string // file of "name:password" lines for SASL DIGEST-MD5, or none

	SuperDigest         string // "super:BASE64SHA1", or none
	MaxConnections      int    // 0 = as many as there may be files open
	MaxConnectionsPerIP int    // of one address; 0 = no bound of their own
	SnapshotBytes       int64  // of log between two snapshots

	ClientCert, ClientKey, ClientCA string // files
	PeerCert, PeerKey, PeerCA       string // files; without them PeerAddr must be loopback
	InsecurePeers                   bool   // lets servers talk across the network without TLS

	// Loading, unless nil, is called before Open loads a snapshot, and what it returns afterwards. Most of what is
	// allocated meanwhile is the tree.
	Loading func() (loaded func())

	Logger  *slog.Logger // nil logs nothing
	Version string       // product and version, told to clients

	hooks hooks
}

// DefaultConfig serves this machine alone, with its data in ./data.
func DefaultConfig() Config {
	return Config{
		ID: 1, DataDir: "data",
		ClientAddr: "127.0.0.1:2181", HTTPAddr: "127.0.0.1:8080",
		MinSessionTimeout: time.Second, MaxSessionTimeout: time.Minute, Tick: 500 * time.Millisecond,
		ZooKeeper: zooKeeperOn, FourLetterWords: zk.DefaultWords,
		SnapshotBytes: 64 << 20, Version: "lycaon",
	}
}

const (
	httpOff          = "off"
	zooKeeperOn      = "on"
	zooKeeperOff     = "off"
	defaultPeerAddr  = "127.0.0.1:2888"
	maxServerID      = 254
	minTick          = 10 * time.Millisecond
	minSnapshotBytes = 1 << 20
	sha1Bytes        = 20
)

// Validate names the first setting that cannot be, and the rule it breaks.
func (c *Config) Validate() error {
	for _, check := range []func() error{c.checkIdentity, c.checkAddresses, c.checkTimes, c.checkSuper, c.checkZooKeeper, c.checkFiles} {
		if err := check(); err != nil {
			return fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	return nil
}

func (c *Config) checkIdentity() error {
	switch {
	case c.ID < 1 || c.ID > maxServerID:
		return fmt.Errorf("id %d: want 1 to %d", c.ID, maxServerID)
	case c.DataDir == "":
		return fmt.Errorf("data-dir is not set")
	case c.MaxConnections < 0:
		return fmt.Errorf("max-connections %d: want 1 or more, or 0 for as many as files may be open", c.MaxConnections)
	case c.MaxConnectionsPerIP < 0:
		return fmt.Errorf("max-connections-per-ip %d: want 1 or more, or 0 for no bound", c.MaxConnectionsPerIP)
	case c.SnapshotBytes < minSnapshotBytes:
		return fmt.Errorf("snapshot-bytes %d: want at least %d", c.SnapshotBytes, minSnapshotBytes)
	}
	return c.checkCluster()
}

func (c *Config) checkAddresses() error {
	taken := map[string]string{}
	for _, a := range []struct {
		key, addr string
		optional  bool
	}{
		{"client-addr", c.ClientAddr, false},
		{"peer-addr", c.PeerAddr, true},
		{"http-addr", c.HTTPAddr, c.HTTPAddr == httpOff},
	} {
		if a.optional && (a.addr == "" || a.addr == httpOff) {
			continue
		}
		_, port, err := net.SplitHostPort(a.addr)
		if err != nil {
			return fmt.Errorf("%s %q: want HOST:PORT", a.key, a.addr)
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("%s %q: port %q is not 0 to 65535", a.key, a.addr, port)
		}
		if other, is := taken[a.addr]; is && port != "0" {
			return fmt.Errorf("%s and %s are both %s: each wants a port of its own", other, a.key, a.addr)
		}
		taken[a.addr] = a.key
	}
	return c.checkAdvertised()
}

// checkAdvertised wants what others are told to be what they can dial. Clients
// are told nothing that they cannot; servers must be told something.
func (c *Config) checkAdvertised() error {
	for _, a := range []struct{ key, addr string }{{"advertise-client-addr", c.AdvertiseClientAddr}, {"advertise-peer-addr", c.AdvertisePeerAddr}} {
		if a.addr == "" {
			continue
		}
		if err := checkReachable(a.addr); err != nil {
			return fmt.Errorf("%s %q: %w", a.key, a.addr, err)
		}
	}
	if host, _, _ := net.SplitHostPort(c.PeerAddr); c.PeerAddr != "" && unspecified(host) && c.advertisedPeer() == "" {
		return fmt.Errorf("peer-addr %q is every address of this machine: advertise-peer-addr HOST:PORT must say where the other servers reach it", c.PeerAddr)
	}
	return nil
}

func (c *Config) checkTimes() error {
	switch {
	case c.MinSessionTimeout <= 0:
		return fmt.Errorf("min-session-timeout %s: want more than 0", c.MinSessionTimeout)
	case c.MaxSessionTimeout < c.MinSessionTimeout:
		return fmt.Errorf("max-session-timeout %s is below min-session-timeout %s", c.MaxSessionTimeout, c.MinSessionTimeout)
	case c.Tick < minTick:
		return fmt.Errorf("tick %s: want at least %s", c.Tick, minTick)
	case c.Tick > c.MaxSessionTimeout:
		return fmt.Errorf("tick %s: want at most max-session-timeout (%s): sessions expire up to a tick late", c.Tick, c.MaxSessionTimeout)
	}
	return nil
}

func (c *Config) checkSuper() error {
	if c.SuperDigest == "" {
		return nil
	}
	user, hash, _ := strings.Cut(c.SuperDigest, ":")
	if sum, err := base64.StdEncoding.DecodeString(hash); err != nil || len(sum) != sha1Bytes || user == "" {
		return fmt.Errorf("super-digest: want NAME:BASE64 of the SHA-1 of NAME:PASSWORD")
	}
	return nil
}

func (c *Config) checkZooKeeper() error {
	if c.ZooKeeper != zooKeeperOn && c.ZooKeeper != zooKeeperOff {
		return fmt.Errorf("zookeeper %q: want on or off", c.ZooKeeper)
	}
	if _, err := zk.ParseWords(c.FourLetterWords); err != nil {
		return fmt.Errorf("four-letter-words: %w", err)
	}
	if c.SASLUsers == "" {
		return nil
	}
	if _, err := digestmd5.LoadUsers(c.SASLUsers); err != nil {
		return fmt.Errorf("sasl-users: %w", err)
	}
	return nil
}

func (c *Config) checkFiles() error {
	if (c.ClientCert == "") != (c.ClientKey == "") {
		return fmt.Errorf("client-cert and client-key go together")
	}
	if c.ClientCA != "" && c.ClientCert == "" {
		return fmt.Errorf("client-ca wants client-cert and client-key")
	}
	if err := c.checkPeerFiles(); err != nil {
		return err
	}
	_, err := c.tlsConfig()
	return err
}

// checkPeerFiles wants all three or none: servers always show a certificate to
// each other.
func (c *Config) checkPeerFiles() error {
	given := 0
	for _, file := range []string{c.PeerCert, c.PeerKey, c.PeerCA} {
		if file != "" {
			given++
		}
	}
	switch {
	case given == 0:
		return nil
	case given != 3:
		return fmt.Errorf("peer-cert, peer-key and peer-ca go together")
	case c.InsecurePeers:
		return fmt.Errorf("insecure-peers and peer-cert exclude each other")
	}
	return c.peerTLS().Check()
}

// peerTLS is nil without a certificate.
func (c *Config) peerTLS() *peer.TLSConfig {
	if c.PeerCert == "" {
		return nil
	}
	return &peer.TLSConfig{CertFile: c.PeerCert, KeyFile: c.PeerKey, CAFile: c.PeerCA}
}

// tlsConfig is nil without a certificate.
func (c *Config) tlsConfig() (*tls.Config, error) {
	if c.ClientCert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
	if err != nil {
		return nil, fmt.Errorf("client-cert %s, client-key %s: %w", c.ClientCert, c.ClientKey, err)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if c.ClientCA == "" {
		return conf, nil
	}
	pem, err := os.ReadFile(c.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("client-ca: %w", err)
	}
	conf.ClientAuth, conf.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	if !conf.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client-ca: %s holds no certificate", c.ClientCA)
	}
	return conf, nil
}
