package replicate

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A difference that came and went does not count towards the next one.
func TestWritesHaltForADifferenceThatLasts(t *testing.T) {
	n := New(Config{ID: 1, Initial: []Member{{ID: 1, Suffrage: Voter}, {ID: 2, Suffrage: Voter}, {ID: 3, Suffrage: Voter}}}, nil, nil)
	n.machine = newReplica()
	n.guard.ctx = context.Background()
	differ := ballots{7: {1: 0xa, 2: 0xb}}
	now := time.Now()
	halts := func(after time.Duration) bool {
		n.guard.act(differ, now.Add(after))
		return n.prop.halted.Load()
	}
	require.False(t, halts(0))
	require.False(t, halts(time.Hour), "it was gone for an hour")
	require.False(t, halts(time.Hour+blindFor))
	require.True(t, halts(time.Hour+patience))
	n.guard.act(ballots{7: {1: 0xa, 2: 0xa}}, now.Add(time.Hour+2*patience))
	require.False(t, n.prop.halted.Load(), "a majority agrees")
}
