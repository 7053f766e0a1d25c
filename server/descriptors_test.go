package server

import (
	"bytes"
	"log/slog"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
)

func TestClientsDoNotUseUpTheFilesThatTheServerNeeds(t *testing.T) {
	t.Parallel()
	cfg := local(t)
	cfg.hooks.files = 8
	s := start(t, cfg)
	for range 4 {
		dial(t, s)
	}
	_, err := client.OpenGuest(t.Context(), []string{s.ClientAddr().String()}, client.WithRequestTimeout(patience/10))
	require.ErrorIs(t, err, client.ErrTooManyConnections)
}

func TestWhoMayConnectIsWhatIsAskedForAsFarAsThereAreFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		asked int
		files uint64
		most  int
	}{
		{0, 1024, 1024 - ownDescriptors},
		{0, 100, 50},
		{0, math.MaxUint64, math.MaxInt32},
		{10, 1024, 10},
		{1000, 1024, 1024 - ownDescriptors},
	} {
		require.Equal(t, c.most, mostConnections(c.asked, c.files), c)
	}
}

func TestFewFilesAreWarnedOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		asked int
		files uint64
		warns string
	}{
		{0, 200, "files=200 kept=100 want=512 "},
		{0, 2 * ownDescriptors, ""},
		{10, 300, ""},
	} {
		var log bytes.Buffer
		s := &Server{log: slog.New(slog.NewTextHandler(&log, nil))}
		s.cfg.MaxConnections, s.cfg.hooks.files = c.asked, c.files
		s.maxConnections()
		if c.warns == "" {
			require.Empty(t, log.String(), c)
			continue
		}
		require.Contains(t, log.String()+" ", c.warns)
		require.Contains(t, log.String(), "ulimit -n")
	}
}
