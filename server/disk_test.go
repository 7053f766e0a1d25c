package server

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/server/raftlog"
)

// The guard of the disk and the one who hears of the others look at the same
// beat of the clock: whoever is late must not say what was.
func TestTwoWhoWeighTheShortageAtOnceSayTheSame(t *testing.T) {
	s := start(t, local(t))
	c := dial(t, s)
	for round := range 500 {
		var wg sync.WaitGroup
		wg.Go(func() { s.diskChanged(raftlog.DiskOK, raftlog.DiskSoft, 7) })
		wg.Go(func() { s.diskChanged(raftlog.DiskSoft, raftlog.DiskOK, 7) })
		wg.Wait()
		_, err := c.Set(t.Context(), "/none", nil)
		s.short.mu.Lock()
		own := s.short.own
		s.short.mu.Unlock()
		require.Equal(t, own, errors.Is(err, client.ErrDiskFull), "round %d: %v", round, err)
	}
}
