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
)

// Config is what an operator decides. Its keys are those of the command line.
type Config struct {
	ID             uint64 // of this server in its cluster, 1 to 254
	DataDir        string
	ClientAddr     string // host:port where clients connect
	PeerAddr       string // host:port where the other servers reach this one
	HTTPAddr       string // host:port for metrics and health, or "off"
	InitialCluster string // members of a new cluster, "1=host:port"; empty: this server alone

	MinSessionTimeout time.Duration
	MaxSessionTimeout time.Duration
	Tick              time.Duration // between looks for expired sessions

	SuperDigest    string // "super:BASE64SHA1", or none
	MaxConnections int    // 0 = no limit
	SnapshotBytes  int64  // of log between two snapshots

	ClientCert, ClientKey, ClientCA string // files

	Logger  *slog.Logger // nil logs nothing
	Version string       // product and version, told to clients
}

// DefaultConfig serves this machine alone, with its data in ./data.
func DefaultConfig() Config {
	return Config{
		ID: 1, DataDir: "data",
		ClientAddr: "127.0.0.1:2181", PeerAddr: "127.0.0.1:2888", HTTPAddr: "127.0.0.1:8080",
		MinSessionTimeout: time.Second, MaxSessionTimeout: time.Minute, Tick: 500 * time.Millisecond,
		SnapshotBytes: 64 << 20, Version: "lycaon",
	}
}

const (
	httpOff          = "off"
	maxServerID      = 254
	minTick          = 10 * time.Millisecond
	minSnapshotBytes = 1 << 20
	sha1Bytes        = 20
)

// Validate names the first setting that cannot be, and the rule it breaks.
func (c *Config) Validate() error {
	for _, check := range []func() error{c.checkIdentity, c.checkAddresses, c.checkTimes, c.checkSuper, c.checkFiles} {
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
		return fmt.Errorf("max-connections %d: want 0 for no limit, or more", c.MaxConnections)
	case c.SnapshotBytes < minSnapshotBytes:
		return fmt.Errorf("snapshot-bytes %d: want at least %d", c.SnapshotBytes, minSnapshotBytes)
	}
	return c.checkCluster()
}

// checkCluster takes no cluster but this server alone.
func (c *Config) checkCluster() error {
	if c.InitialCluster == "" {
		return nil
	}
	id, addr, ok := strings.Cut(c.InitialCluster, "=")
	switch n, err := strconv.ParseUint(id, 10, 64); {
	case !ok || err != nil:
		return fmt.Errorf("initial-cluster %q: want ID=HOST:PORT", c.InitialCluster)
	case strings.Contains(addr, ","):
		return fmt.Errorf("initial-cluster %q: this version runs clusters of one voter", c.InitialCluster)
	case n != c.ID:
		return fmt.Errorf("initial-cluster %q does not name this server, id %d", c.InitialCluster, c.ID)
	case addr != c.PeerAddr:
		return fmt.Errorf("initial-cluster %q: want the peer-addr of this server, %s", c.InitialCluster, c.PeerAddr)
	}
	return nil
}

func (c *Config) checkAddresses() error {
	addresses := map[string]string{"client-addr": c.ClientAddr, "peer-addr": c.PeerAddr}
	if c.HTTPAddr != httpOff {
		addresses["http-addr"] = c.HTTPAddr
	}
	for _, key := range []string{"client-addr", "peer-addr", "http-addr"} {
		addr, given := addresses[key]
		if !given {
			continue
		}
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return fmt.Errorf("%s %q: want HOST:PORT", key, addr)
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("%s %q: port %q is not 0 to 65535", key, addr, port)
		}
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

func (c *Config) checkFiles() error {
	if (c.ClientCert == "") != (c.ClientKey == "") {
		return fmt.Errorf("client-cert and client-key go together")
	}
	if c.ClientCA != "" && c.ClientCert == "" {
		return fmt.Errorf("client-ca wants client-cert and client-key")
	}
	_, err := c.tlsConfig()
	return err
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
