package client

import (
	"bytes"
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

	"github.com/lycaon-io/lycaon/protocol"
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

func TestALargeReadBufferComesWithMuchToRead(t *testing.T) {
	const events = 4000
	var said []byte
	for i := range events {
		said = protocol.AppendMessage(said, &protocol.Message{Kind: protocol.Event, Event: protocol.EventCreated, Path: "/a", Zxid: uint64(i)})
	}
	require.Greater(t, len(said), readBufferSize)
	l := newLink(&Client{}, sayer{bytes.NewReader(said)}, "a:1")
	l.limit = defaultMaxFrame
	require.Equal(t, smallReadBuffer, l.r.Size())
	for i := range events {
		var m protocol.Message
		require.NoError(t, l.receive(&m))
		require.Equal(t, uint64(i), m.Zxid, "nothing is lost or told twice")
	}
	require.Equal(t, readBufferSize, l.r.Size())

	l = newLink(&Client{}, sayer{bytes.NewReader(said[:smallReadBuffer/2])}, "a:1")
	l.limit = defaultMaxFrame
	for m := new(protocol.Message); l.receive(m) == nil; {
	}
	require.Equal(t, smallReadBuffer, l.r.Size())
}
