package server

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
)

// Many writes under way ask for more room than each session may have while others
// keep much: they wait for each other.
func TestManyWritesUnderWayAreNotRefusedForWhatOthersKeep(t *testing.T) {
	cfg := local(t)
	cfg.hooks.kept = 1
	s := start(t, cfg)
	_, err := dial(t, s).Create(t.Context(), "/a", nil) // and is not acknowledged
	require.NoError(t, err)
	limit := func() bool { return s.core.Stats().KeepLimit == 4<<10 }
	require.Eventually(t, limit, time.Minute, time.Millisecond, "the answer may come a moment before")

	c := dial(t, s)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for j := range 10 {
				path := fmt.Sprintf("/a/%d-%d", i, j)
				_, err := c.Create(t.Context(), path, nil)
				assert.NoError(t, err)
				_, err = c.Set(t.Context(), path, []byte("x"), client.IfVersion(0))
				assert.NoError(t, err)
				_, err = c.Multi(t.Context(), slices.Repeat([]client.Op{client.OpSet(path, nil)}, 10)...)
				assert.NoError(t, err)
			}
		})
	}
	all.Wait()
	require.Positive(t, s.core.Stats().KeepsRefused)
}
