package server

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

// flip changes one bit of a value in a server's memory and no digest.
func (s *Server) flip(path string) {
	s.stored(path)[0] ^= 4
}

func (s *Server) stored(path string) []byte {
	var m protocol.Message
	s.core.View(func(machine *state.Machine) {
		machine.Read(&znode.Actor{}, &protocol.Read{Op: protocol.OpGet, Path: path}, &m)
	})
	return m.Data
}

// A byte flips in the memory of a follower, then in that of the leader. Clients
// of each server go on writing, and nobody lends a hand.
func TestClientsSeeOnlyAWaitWhenTheMemoryOfAServerFails(t *testing.T) {
	p := running(t, 3)
	_, err := p.client().Create(t.Context(), "/value", []byte("value"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	longest := make([]time.Duration, 4)
	for _, id := range p.ids() {
		c, err := client.Open(t.Context(), p.addrs(id), client.WithRequestTimeout(patience))
		require.NoError(t, err)
		t.Cleanup(c.Abandon)
		wg.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				if _, err := c.Create(context.Background(), "/w-", nil, client.Sequential()); err != nil {
					t.Errorf("a client that began at server %d: %v", id, err)
					return
				}
				longest[id] = max(longest[id], time.Since(began))
			}
			if err := c.Session().Context().Err(); err != nil {
				t.Errorf("the session of a client that began at server %d ended: %v", id, err)
			}
		})
	}
	for _, victim := range []uint64{p.other(), p.leader()} {
		s := p.up[victim]
		before := s.node.Stats().Guard.Rebuilt
		s.flip("/value")
		s.node.ScrubSoon()
		p.eventually("the damage is found", func() bool { return s.node.Stats().Guard.Damages == before+1 })
		p.eventually("it is mended", func() bool { return s.node.Stats().Guard.Rebuilt == before+1 && s.Condition() == nil })
		require.Equal(t, "value", string(s.stored("/value")))
	}
	cancel()
	wg.Wait()
	p.sameState()
	for _, s := range p.up {
		require.NoError(t, s.core.Freeze().Scrub(nil))
	}
	t.Logf("longest waits of clients: %v", longest[1:])
}

// Memory and all snapshots of one server are damaged, and its log begins long
// after the first entry: another server gives it a snapshot, its log the rest.
func TestAServerWithoutAWholeSnapshotTakesOneFromAnother(t *testing.T) {
	p := founding(t, 3)
	for _, id := range p.ids() {
		p.configs[id].SnapshotBytes = minSnapshotBytes
	}
	p.start(p.ids()...)
	victim := p.other()
	s := p.up[victim]
	c := p.client()
	_, err := c.Create(t.Context(), "/value", []byte("value"))
	require.NoError(t, err)
	data := make([]byte, 64<<10)
	p.eventually("the log is cut behind the second snapshot", func() bool {
		_, err := c.Create(t.Context(), "/w-", data, client.Sequential())
		require.NoError(t, err)
		return s.node.Stats().Snapshots >= 3
	})
	p.sameState()
	p.eventually("none is under way or due", func() bool { return s.node.Stats().LogBytesSinceSnapshot < minSnapshotBytes })
	states, err := filepath.Glob(filepath.Join(p.configs[victim].DataDir, "*", "*", "state"))
	require.NoError(t, err)
	require.NotEmpty(t, states, "snapshots")
	for _, state := range states {
		text, err := os.ReadFile(state)
		require.NoError(t, err)
		text[len(text)/2] ^= 1
		require.NoError(t, os.WriteFile(state, text, 0o600))
	}
	s.flip("/value")
	s.node.ScrubSoon()
	p.eventually("it is mended", func() bool { return s.node.Stats().Guard.Rebuilt == 1 && s.Condition() == nil })
	require.EqualValues(t, 1, s.node.Stats().Guard.Fetched)
	require.Equal(t, "value", string(s.stored("/value")))
	p.sameState()
	p.stop(victim)
	p.start(victim)
	p.sameState()
}
