package server

import (
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
