package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Whoever cuts holds the client's lock.
func TestAServerThatTakesNothingIsCutOffAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		template := &x509.Certificate{SerialNumber: big.NewInt(1)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		require.NoError(t, err)
		cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
		ours, theirs := net.Pipe()
		defer theirs.Close()
		server := tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true})
		shaken := make(chan error, 1)
		go func() { shaken <- server.Handshake() }()
		secure := tls.Client(ours, &tls.Config{InsecureSkipVerify: true})
		require.NoError(t, secure.Handshake())
		require.NoError(t, <-shaken)

		l := newLink(&Client{}, secure, "a:1")
		began := time.Now()
		l.cut()
		require.Zero(t, time.Since(began))
		_, err = secure.Read(make([]byte, 1))
		require.Error(t, err)
	})
}
