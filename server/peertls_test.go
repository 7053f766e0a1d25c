package server

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/internal/testcert"
)

func (p *fleet) certify(files testcert.Files, ids ...uint64) {
	for _, id := range ids {
		c := p.configs[id]
		c.PeerCert, c.PeerKey, c.PeerCA = files.Cert, files.Key, files.CA
	}
}

func TestServersTalkUnderMutualTLS(t *testing.T) {
	authority := testcert.New(t)
	p := founding(t, 3)
	p.certify(authority.Write(t.TempDir(), testcert.Server("127.0.0.1")), 1, 2, 3)
	p.start(1, 2)
	_, err := p.client().Create(t.Context(), "/a", nil)
	require.NoError(t, err)

	for name, files := range map[string]testcert.Files{
		"another authority": testcert.New(t).Write(t.TempDir(), testcert.Server("127.0.0.1")),
		"plain":             {},
	} {
		before := refusals(p)
		p.certify(files, 3)
		p.open(3)
		p.eventually(name+" is refused", func() bool { return refusals(p) > before })
		require.Error(t, p.up[3].Condition(), name)
		p.stop(3)
	}
	noRole := testcert.Server("127.0.0.1")
	noRole.URI = ""
	p.certify(authority.Write(t.TempDir(), noRole), 3)
	_, err = Open(t.Context(), *p.configs[3])
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorContains(t, err, "lycaon:server")

	p.certify(authority.Write(t.TempDir(), testcert.Server("127.0.0.1")), 3)
	p.start(3)
	p.sameState()
}

func refusals(p *fleet) (n uint64) {
	for _, id := range []uint64{1, 2} {
		n += sum(p.up[id].peers.Stats().Refused)
	}
	return n
}

func TestPeersBeyondThisMachineWithoutTLSAreSaidLoudlyAtEachStart(t *testing.T) {
	cfg := local(t)
	cfg.PeerAddr, cfg.AdvertisePeerAddr = ":0", "127.0.0.1:2888"
	_, err := Open(t.Context(), cfg)
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorContains(t, err, "insecure-peers")
	require.NoDirExists(t, cfg.DataDir)
	cfg.InsecurePeers = true
	for range 2 {
		var log bytes.Buffer
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		s, err := Open(t.Context(), cfg)
		require.NoError(t, err)
		stop(t, s)
		require.Contains(t, log.String(), "without TLS")
	}
}
