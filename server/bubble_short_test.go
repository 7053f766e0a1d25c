package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/internal/beat"
	"github.com/lycaon-io/lycaon/server/raftlog"
)

// A server has room again, and then another one runs short: two have room all
// the time, so no write may be refused.
func TestBubbleAServerThatHasRoomAgainSaysSo(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		first := p.ready()
		p.server(first).diskChanged(raftlog.DiskOK, raftlog.DiskSoft, 7)
		p.await("another leads", 10*time.Second, func() bool { return p.leader() != first && p.leader() != 0 })
		second := p.ready()
		believed := func() bool {
			s := &p.server(second).short
			s.mu.Lock()
			defer s.mu.Unlock()
			_, believed := s.others[first]
			return believed
		}
		require.True(t, believed())

		time.Sleep(beat.Next(shortageTold) + shortageTold/4)
		p.server(first).diskChanged(raftlog.DiskSoft, raftlog.DiskOK, 8)
		p.await("it has said so at once", shortageTold/4, func() bool { return !believed() })
		p.server(second).diskChanged(raftlog.DiskOK, raftlog.DiskSoft, 7)
		require.False(t, p.server(second).short.refusing())
	})
}
