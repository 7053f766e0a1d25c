package server

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/peer"
	"github.com/lycaon-io/lycaon/server/replicate"
)

// Calls are open to servers that ask to be let in: what those say of their disks
// must not keep the others from writing.
func TestBubbleNobodyButMembersIsShortOfDisk(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		leader := p.ready()
		s := p.server(leader)
		p.await("the data of all is known", 10*time.Second, func() bool {
			return !slices.ContainsFunc(s.node.Members(), func(m replicate.Member) bool { return m.Data == "" })
		})
		to := peer.Target{ID: leader, Addr: p.den(leader).host + ":2888"}
		for id := range uint64(3) {
			if id+1 == leader {
				continue
			}
			stranger, err := peer.Open(peer.Config{
				Self: peer.Identity{ID: id + 1, Data: "another"}, Addr: "10.0.0.9:2888", Network: p.net.Host("10.0.0.9"), Insecure: true,
			})
			require.NoError(t, err)
			defer stranger.Close()
			err = stranger.Call(t.Context(), to, tellDisk, nil, nil)
			require.ErrorIs(t, err, peer.ErrOtherData)
			stranger.Close()
		}
		time.Sleep(2 * shortageTold)
		require.False(t, s.short.refusing())
		require.Empty(t, s.short.others)
	})
}
