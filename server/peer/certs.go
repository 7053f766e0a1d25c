package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// The role that the certificate of a server carries, in either of two places.
// Without it every client certificate of the same authority could speak raft.
const (
	RoleURI  = "lycaon:server"
	RoleUnit = "lycaon-server"
)

// certificates are the files of a TLSConfig as they were when last read. They
// are read at every handshake, which are few, so that no watch can miss a
// change; files that cannot be used leave the former ones in force.
type certificates struct {
	cfg TLSConfig
	log *slog.Logger

	reading sync.Mutex // held over a look at the files, which guards content
	content [3][]byte  // newest seen, good or not

	mu     sync.Mutex // guards what follows; never held over I/O
	good   *material
	failed uint64
}

type material struct {
	pair tls.Certificate
	pool *x509.CertPool
}

// Check tells what Open would say of the files, before anything is opened.
func (cfg TLSConfig) Check() error {
	_, err := openCertificates(cfg, slog.New(slog.DiscardHandler))
	return err
}

func openCertificates(cfg TLSConfig, log *slog.Logger) (*certificates, error) {
	c := &certificates{cfg: cfg, log: log}
	content, err := c.read()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTLS, err)
	}
	if c.good, err = parse(content); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrTLS, cfg.CertFile, err)
	}
	c.content = content
	c.good.tell(log, "certificate of the peer port")
	return c, nil
}

func (c *certificates) read() (content [3][]byte, err error) {
	for i, name := range []string{c.cfg.CertFile, c.cfg.KeyFile, c.cfg.CAFile} {
		if content[i], err = os.ReadFile(name); err != nil {
			return content, err
		}
	}
	return content, nil
}

// current takes changed files over, and tells of each change once.
func (c *certificates) current() *material {
	c.reading.Lock()
	defer c.reading.Unlock()
	content, err := c.read()
	if err != nil {
		content = [3][]byte{[]byte(err.Error())}
	}
	if slices.EqualFunc(content[:], c.content[:], bytes.Equal) {
		return c.inForce()
	}
	c.content = content
	var fresh *material
	if err == nil {
		fresh, err = parse(content)
	}
	if err != nil {
		c.mu.Lock()
		c.failed++
		c.mu.Unlock()
		c.log.Error("certificate files changed and cannot be used; the former stay in force", "file", c.cfg.CertFile, "error", err)
		return c.inForce()
	}
	c.mu.Lock()
	c.good = fresh
	c.mu.Unlock()
	fresh.tell(c.log, "certificate of the peer port renewed")
	return fresh
}

func (c *certificates) inForce() *material {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.good
}

func (m *material) tell(log *slog.Logger, what string) {
	leaf := m.pair.Leaf
	level := slog.LevelInfo
	switch left := time.Until(leaf.NotAfter); {
	case left <= 0:
		level, what = slog.LevelError, what+" has expired: other servers refuse it"
	case left < expiryWarning:
		level, what = slog.LevelWarn, what+" expires soon"
	}
	log.Log(context.Background(), level, what, "subject", leaf.Subject.String(), "expires", leaf.NotAfter)
}

func (c *certificates) stats() (expires time.Time, failed uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.good.pair.Leaf.NotAfter, c.failed
}

// parse refuses files with which every peer would refuse us. An expired
// certificate is none of them: it may be renewed while the server runs.
func parse(content [3][]byte) (*material, error) {
	pair, err := tls.X509KeyPair(content[0], content[1])
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content[2]) {
		return nil, errors.New("the CA file holds no certificate")
	}
	if err := hasRole(pair.Leaf); err != nil {
		return nil, err
	}
	return &material{pair: pair, pool: pool}, verifyOwn(pair, pool)
}

// verifyOwn asks of our certificate what others will ask: an accepted stream
// shows it as a server's and a dialed one as a client's.
func verifyOwn(pair tls.Certificate, pool *x509.CertPool) error {
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if cert, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(cert)
		}
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage}})
		if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
			continue
		}
		if err != nil {
			return fmt.Errorf("as %s: %w", map[x509.ExtKeyUsage]string{
				x509.ExtKeyUsageServerAuth: "a server's (extended key usage serverAuth)",
				x509.ExtKeyUsageClientAuth: "a dialer's (extended key usage clientAuth)",
			}[usage], err)
		}
	}
	return nil
}

// hasRole refuses a certificate that is no server's.
func hasRole(cert *x509.Certificate) error {
	for _, u := range cert.URIs {
		if u.String() == RoleURI {
			return nil
		}
	}
	if slices.Contains(cert.Subject.OrganizationalUnit, RoleUnit) {
		return nil
	}
	return Refuse(ErrNoRole, "the certificate of %q has neither the alternative name URI:%s nor OU=%s", cert.Subject.String(), RoleURI, RoleUnit)
}

// forAccepting verifies the dialer's chain; its role is asked for after the
// handshake, so that the refusal can be told. Sessions are not resumed: each
// handshake verifies anew.
func (c *certificates) forAccepting() *tls.Config {
	m := c.current()
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{m.pair},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: m.pool, SessionTicketsDisabled: true,
	}
}

// forDialing verifies the chain, the role and the name that was dialed, which
// must be among the alternative names: nothing is looked up in reverse.
func (c *certificates) forDialing(addr string) (*tls.Config, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	m := c.current()
	return &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: m.pool, ServerName: host,
		// Shown whatever authorities the other side names, so that it says no itself.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &m.pair, nil },
		VerifyConnection:     func(s tls.ConnectionState) error { return hasRole(s.PeerCertificates[0]) },
	}, nil
}
