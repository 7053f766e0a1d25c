package replicate

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

func TestOnlyWhoLeadsNobodyElseWatchesSeldom(t *testing.T) {
	running(t, 1, func(e *ensemble) {
		s := e.leader()
		require.Equal(t, loneWatchInterval, (&loop{Node: s.Node}).watchAgain())
		require.NoError(t, e.change(s, protocol.AddMember, 2, "s2:1"))
		require.Equal(t, watchInterval, (&loop{Node: s.Node}).watchAgain(), "it leads another")
	})
	running(t, 3, func(e *ensemble) {
		for _, s := range e.servers {
			require.Equal(t, watchInterval, (&loop{Node: s.Node}).watchAgain())
		}
	})
	require.Equal(t, watchInterval, (&loop{Node: New(Config{ID: 1}, nil, nil)}).watchAgain(), "it does not lead yet")
}
