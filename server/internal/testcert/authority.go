package testcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Authority signs certificates.
type Authority struct {
	t      testing.TB
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
}

// Spec is what a certificate says. The zero value is a client's, valid for an
// hour, without a name to be dialed by.
type Spec struct {
	Name     string
	Hosts    []string // names and addresses to be dialed by
	URI      string   // lycaon:server is a server's role
	Unit     string   // lycaon-server is a server's role too
	Lifetime time.Duration
	Usages   []x509.ExtKeyUsage // nil: of servers and of clients
}

// Server is the Spec of a server that is dialed by these names.
func Server(hosts ...string) Spec {
	return Spec{Name: "server", Hosts: hosts, URI: "lycaon:server"}
}

// Files are the PEM files of a certificate.
type Files struct{ Cert, Key, CA string }

// New makes an authority.
func New(t testing.TB) *Authority {
	a := &Authority{t: t}
	made := a.Issue(Spec{Name: "authority"})
	a.cert, a.key = made.Leaf, made.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// Issue signs a certificate. Its time is that of the caller, who may be in a
// bubble of testing/synctest.
func (a *Authority) Issue(s Spec) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := a.template(s)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
		template.ExtKeyUsage = nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(a.t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *Authority) template(s Spec) *x509.Certificate {
	a.serial++
	if s.Lifetime == 0 {
		s.Lifetime = time.Hour
	}
	if s.Usages == nil {
		s.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: s.Name, Organization: []string{"test"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(s.Lifetime),
		BasicConstraintsValid: true, ExtKeyUsage: s.Usages,
	}
	if s.Unit != "" {
		c.Subject.OrganizationalUnit = []string{s.Unit}
	}
	if s.URI != "" {
		u, err := url.Parse(s.URI)
		require.NoError(a.t, err)
		c.URIs = []*url.URL{u}
	}
	for _, h := range s.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, h)
		}
	}
	return c
}

// Pool trusts this authority alone.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// Write issues a certificate into the files of a directory, over former ones.
func (a *Authority) Write(dir string, s Spec) Files {
	a.t.Helper()
	made := a.Issue(s)
	key, err := x509.MarshalPKCS8PrivateKey(made.PrivateKey)
	require.NoError(a.t, err)
	f := Files{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), CA: filepath.Join(dir, "ca.pem")}
	a.write(f.Cert, "CERTIFICATE", made.Certificate[0])
	a.write(f.Key, "PRIVATE KEY", key)
	a.write(f.CA, "CERTIFICATE", a.cert.Raw)
	return f
}

func (a *Authority) write(name, kind string, der []byte) {
	a.t.Helper()
	require.NoError(a.t, os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}
