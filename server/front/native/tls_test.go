package native_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
)

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	made := a.issue("ca")
	a.cert, a.key = made.Leaf, made.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

func (a *authority) issue(name string) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name, Organization: []string{"test"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: a.cert == nil, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(a.t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func TestTLSAndPlainClientsShareThePort(t *testing.T) {
	ca := newAuthority(t)
	s := start(t, func(c *config) { c.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue("server")}} })
	ctx := t.Context()
	secure := s.open(client.WithTLS(&tls.Config{RootCAs: ca.pool()}))
	_, err := secure.Create(ctx, "/a", make([]byte, 1<<20))
	require.NoError(t, err)
	n, err := s.open().Get(ctx, "/a")
	require.NoError(t, err)
	require.Len(t, n.Data, 1<<20)
	s.front.DropConnections()
	_, err = secure.Set(ctx, "/a", nil)
	require.NoError(t, err)

	err = s.neverOpens(client.WithTLS(&tls.Config{RootCAs: newAuthority(t).pool()}))
	require.ErrorContains(t, err, "certificate")
}

func TestAClientCertificateIsAnIdentity(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	s := start(t, func(c *config) {
		c.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue("server")}, ClientCAs: ca.pool(), ClientAuth: tls.RequireAndVerifyClientCert}
	})
	ctx := t.Context()
	conf := &tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{ca.issue("alice")}}
	ids, err := s.open(client.WithTLS(conf)).WhoAmI(ctx)
	require.NoError(t, err)
	require.Contains(t, ids, client.Identity{Scheme: "x509", ID: "CN=alice,O=test"})

	conf.Certificates = []tls.Certificate{stranger.issue("alice")}
	require.ErrorIs(t, s.neverOpens(client.WithTLS(conf)), client.ErrDisconnected)
}

func TestATLSClientOfAServerWithoutACertificateIsClosed(t *testing.T) {
	s := start(t)
	require.ErrorIs(t, s.neverOpens(client.WithTLS(&tls.Config{InsecureSkipVerify: true})), client.ErrDisconnected)
}

// neverOpens gives a client up when its second handshake has failed: by then it
// knows how the first one did.
func (s *server) neverOpens(opts ...client.Option) error {
	s.t.Helper()
	ctx, giveUp := context.WithCancel(s.t.Context())
	defer giveUp()
	failed := make(chan error, 1)
	enough := s.front.Stats().HandshakesFailed + 2
	go func() {
		_, err := client.Open(ctx, []string{s.addr}, append(opts, client.WithRequestTimeout(time.Minute))...)
		failed <- err
	}()
	require.Eventually(s.t, func() bool { return s.front.Stats().HandshakesFailed >= enough }, patience, time.Millisecond)
	giveUp()
	return <-failed
}

func TestGoodbyeArrivesOverTLSToo(t *testing.T) {
	ca := newAuthority(t)
	s := start(t, func(c *config) { c.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue("server")}} })
	nc, err := tls.Dial("tcp", s.addr, &tls.Config{RootCAs: ca.pool()})
	require.NoError(t, err)
	defer nc.Close()
	c := &raw{t: t, Conn: nc, r: newFrameReader(nc)}
	require.Equal(t, protocol.OK, c.hello(guestHello).Code)
	go s.front.Close(t.Context())
	require.Equal(t, protocol.Closing, c.awaitEnd().Code)
}
