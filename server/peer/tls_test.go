package peer_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/internal/testcert"
	"github.com/lycaon-io/lycaon/server/peer"
)

func TestServersWithTheRoleSpeakTLS(t *testing.T) {
	ca := testcert.New(t)
	byURI, byUnit := testcert.Server("127.0.0.1"), testcert.Spec{Name: "s", Hosts: []string{"127.0.0.1"}, Unit: "lycaon-server"}
	for name, spec := range map[string]testcert.Spec{"by URI": byURI, "by unit": byUnit} {
		t.Run(name, func(t *testing.T) {
			a := open(t, 1, secure(ca.Write(t.TempDir(), spec)))
			b := open(t, 2, secure(ca.Write(t.TempDir(), spec)), func(c *peer.Config) { c.Addr = "0.0.0.0:0" })
			echo(t, b.Listener(peer.Raft))
			to := target(b, 2)
			to.Addr = net.JoinHostPort("127.0.0.1", port(t, b))
			c, err := a.Dial(brief(t), peer.Raft, to)
			require.NoError(t, err)
			bounce(t, c)
			state := c.Conn.(*tls.Conn).ConnectionState()
			require.Equal(t, uint16(tls.VersionTLS13), state.Version)
			require.NoError(t, c.Close())
			require.WithinDuration(t, time.Now().Add(time.Hour), b.Stats().CertificateExpires, time.Minute)
		})
	}
}

func port(t *testing.T, m *peer.Mux) string {
	_, p, err := net.SplitHostPort(m.Addr().String())
	require.NoError(t, err)
	return p
}

// dialWith makes the TLS handshake of a stranger and then shows the poison.
func dialWith(t *testing.T, m *peer.Mux, conf *tls.Config) (net.Conn, error) {
	t.Helper()
	conf.InsecureSkipVerify = true
	c, err := tls.Dial("tcp", m.Addr().String(), conf)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.Close() })
	hello := map[string]any{"cluster": "pack", "id": 1, "data": "data1", "toId": 2, "toData": "data2"}
	_, err = c.Write(append(append([]byte{'R'}, message(t, hello)...), poison...))
	return c, err
}

func TestACertificateWithoutTheRoleIsRefused(t *testing.T) {
	ca, stranger := testcert.New(t), testcert.New(t)
	b := open(t, 2, secure(ca.Write(t.TempDir(), testcert.Server("127.0.0.1"))))
	l := b.Listener(peer.Raft)

	// A client's certificate of the same authority, with all that a stranger may know.
	c, err := dialWith(t, b, &tls.Config{Certificates: []tls.Certificate{ca.Issue(testcert.Spec{Name: "alice"})}})
	require.NoError(t, err)
	require.Contains(t, string(ended(t, c)), "no-role")
	refusedFor(t, b, "no-role", 1)

	cases := map[string]struct {
		conf   *tls.Config
		reason string
	}{
		"of another authority": {&tls.Config{Certificates: []tls.Certificate{stranger.Issue(testcert.Server("127.0.0.1"))}}, "certificate"},
		"expired": {&tls.Config{Certificates: []tls.Certificate{
			ca.Issue(testcert.Spec{Name: "old", URI: peer.RoleURI, Lifetime: -time.Minute})}}, "certificate"},
		"for servers alone": {&tls.Config{Certificates: []tls.Certificate{
			ca.Issue(testcert.Spec{Name: "half", URI: peer.RoleURI, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})}}, "certificate"},
		"none":        {&tls.Config{}, "tls"},
		"old version": {&tls.Config{MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{ca.Issue(testcert.Server("127.0.0.1"))}}, "tls"},
	}
	for name, k := range cases {
		t.Run(name, func(t *testing.T) {
			before := b.Stats().Refused[k.reason]
			if c, err := dialWith(t, b, k.conf); err == nil {
				require.Empty(t, ended(t, c))
			}
			refusedFor(t, b, k.reason, before+1)
		})
	}
	require.Zero(t, b.Stats().Accepted[peer.Raft])
	requireNothing(t, l)
}

func TestTheDialerRefusesAServerThatIsNone(t *testing.T) {
	ca, stranger := testcert.New(t), testcert.New(t)
	a := open(t, 1, secure(ca.Write(t.TempDir(), testcert.Server("127.0.0.1"))))
	cases := map[string]struct {
		cert tls.Certificate
		want string
	}{
		"of another authority": {stranger.Issue(testcert.Server("127.0.0.1")), "unknown authority"},
		"without the role":     {ca.Issue(testcert.Spec{Name: "alice", Hosts: []string{"127.0.0.1"}}), "no-role"},
		"by another name":      {ca.Issue(testcert.Server("127.0.0.2")), "127.0.0.2"},
		"named in the subject": {ca.Issue(testcert.Spec{Name: "127.0.0.1", URI: peer.RoleURI}), "SAN"},
		"expired":              {ca.Issue(testcert.Spec{Hosts: []string{"127.0.0.1"}, URI: peer.RoleURI, Lifetime: -time.Minute}), "expired"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{c.cert}})
			require.NoError(t, err)
			defer l.Close()
			got := make(chan []byte, 1)
			go func() {
				conn, err := l.Accept()
				if err == nil {
					got <- ended(t, conn)
					conn.Close()
				}
			}()
			_, err = a.Dial(brief(t), peer.Raft, peer.Target{ID: 2, Addr: l.Addr().String()})
			require.ErrorContains(t, err, c.want)
			require.Empty(t, <-got, "it was told who dials")
		})
	}
}

func TestTLSAndPlainDoNotMix(t *testing.T) {
	ca := testcert.New(t)
	plain, tlsed := open(t, 1), open(t, 2, secure(ca.Write(t.TempDir(), testcert.Server("127.0.0.1"))))
	plain.Listener(peer.Raft)
	tlsed.Listener(peer.Raft)

	_, err := plain.Dial(brief(t), peer.Raft, target(tlsed, 2))
	require.ErrorIs(t, err, peer.ErrBadRequest)
	require.ErrorContains(t, err, "wants TLS")
	refusedFor(t, tlsed, "not-tls", 1)

	_, err = tlsed.Dial(brief(t), peer.Raft, target(plain, 1))
	require.ErrorIs(t, err, peer.ErrTLS)
	require.ErrorContains(t, err, "does it speak TLS?")
	refusedFor(t, plain, "not-plain", 1)

	raw := dialTCP(t, tlsed)
	_, err = raw.Write(poison)
	require.NoError(t, err)
	ended(t, raw)
	refusedFor(t, tlsed, "not-tls", 2)
}

func TestCertificatesAreRenewedWithoutARestart(t *testing.T) {
	old, fresh := testcert.New(t), testcert.New(t)
	spec := testcert.Server("127.0.0.1")
	dirs := []string{t.TempDir(), t.TempDir()}
	log, text := logTo()
	a := open(t, 1, secure(old.Write(dirs[0], spec)))
	b := open(t, 2, secure(old.Write(dirs[1], spec)), func(c *peer.Config) { c.Logger = log })
	echo(t, b.Listener(peer.Raft))
	lives, err := a.Dial(brief(t), peer.Raft, target(b, 2))
	require.NoError(t, err)

	// One side alone: they do not trust each other, and the open stream lives on.
	spec.Lifetime = 2 * time.Hour
	files := fresh.Write(dirs[1], spec)
	_, err = a.Dial(brief(t), peer.Raft, target(b, 2))
	require.ErrorIs(t, err, peer.ErrTLS)
	bounce(t, lives)
	require.WithinDuration(t, time.Now().Add(2*time.Hour), b.Stats().CertificateExpires, time.Minute)

	fresh.Write(dirs[0], spec)
	c, err := a.Dial(brief(t), peer.Raft, target(b, 2))
	require.NoError(t, err)
	bounce(t, c)

	// Files that cannot be used leave the former in force and are told of once.
	for _, broken := range []func(){
		func() { require.NoError(t, os.WriteFile(files.Key, []byte("half a k"), 0o600)) },
		func() { require.NoError(t, os.Remove(files.Cert)) },
		func() { fresh.Write(dirs[1], testcert.Spec{Name: "no role", Hosts: []string{"127.0.0.1"}}) },
	} {
		failed := b.Stats().ReloadsFailed
		broken()
		for range 3 {
			c, err := a.Dial(brief(t), peer.Raft, target(b, 2))
			require.NoError(t, err)
			bounce(t, c)
		}
		require.Equal(t, failed+1, b.Stats().ReloadsFailed)
	}
	require.Contains(t, text(), "renewed")
	require.Contains(t, text(), "the former stay in force")
	require.NotContains(t, text(), "half a k")
}

func TestCertificatesThatNobodyWouldAcceptKeepTheServerFromStarting(t *testing.T) {
	ca, stranger := testcert.New(t), testcert.New(t)
	dir := t.TempDir()
	good := ca.Write(dir, testcert.Server("127.0.0.1"))
	foreign := stranger.Write(t.TempDir(), testcert.Server("127.0.0.1"))
	role := ca.Write(t.TempDir(), testcert.Spec{Name: "s", Hosts: []string{"127.0.0.1"}})
	half := ca.Write(t.TempDir(), testcert.Spec{Name: "s", URI: peer.RoleURI, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	cases := map[string]struct {
		files testcert.Files
		want  string
	}{
		"no file":              {testcert.Files{Cert: dir + "/none", Key: good.Key, CA: good.CA}, "no such file"},
		"of another authority": {testcert.Files{Cert: good.Cert, Key: good.Key, CA: foreign.CA}, "unknown authority"},
		"another's key":        {testcert.Files{Cert: good.Cert, Key: foreign.Key, CA: good.CA}, "does not match"},
		"no authority":         {testcert.Files{Cert: good.Cert, Key: good.Key, CA: good.Key}, "CA file"},
		"no role":              {role, "no-role"},
		"for servers alone":    {half, "clientAuth"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := peer.Open(peer.Config{Self: identity(1), Addr: "127.0.0.1:0",
				TLS: &peer.TLSConfig{CertFile: c.files.Cert, KeyFile: c.files.Key, CAFile: c.files.CA}})
			require.ErrorIs(t, err, peer.ErrTLS)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestAnExpiredCertificateIsToldLoudlyAndMayBeRenewed(t *testing.T) {
	ca := testcert.New(t)
	dir := t.TempDir()
	log, text := logTo()
	expired, soon := testcert.Server("127.0.0.1"), testcert.Server("127.0.0.1")
	expired.Lifetime, soon.Lifetime = -time.Minute, 13*24*time.Hour
	a := open(t, 1, secure(ca.Write(dir, expired)), func(c *peer.Config) { c.Logger = log })
	require.Contains(t, text(), "level=ERROR")
	require.Contains(t, text(), "has expired")
	b := open(t, 2, secure(ca.Write(t.TempDir(), testcert.Server("127.0.0.1"))))
	echo(t, b.Listener(peer.Raft))
	_, err := a.Dial(brief(t), peer.Raft, target(b, 2))
	require.Error(t, err)
	refusedFor(t, b, "certificate", 1)

	ca.Write(dir, soon)
	c, err := a.Dial(brief(t), peer.Raft, target(b, 2))
	require.NoError(t, err)
	bounce(t, c)
	require.Contains(t, text(), "expires soon")
}
