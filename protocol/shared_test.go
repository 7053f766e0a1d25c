package protocol

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNamesThatAreSharedAreEncodedAsOthersAre(t *testing.T) {
	for _, names := range [][]string{{}, {"a", "b"}, {string(make([]byte, 300)), "ключ"}} {
		plain := &Message{Op: OpChildren, Xid: 7, Stat: sampleStat, More: &More{Names: names}}
		together := &Message{Op: OpChildren, Xid: 7, Stat: sampleStat, More: ShareNames(names)}
		require.Equal(t, plain.Size(), together.Size())
		want := AppendMessage(nil, plain)
		var writers sync.WaitGroup
		for range 4 {
			writers.Go(func() {
				for range 3 {
					require.Equal(t, want, AppendMessage(nil, together))
				}
			})
		}
		writers.Wait()
		other := *together
		other.Xid, other.Stat.Version = 8, 9
		require.NotEqual(t, want, AppendMessage(nil, &other), "a message has more of its own than the names")
	}
}

func TestAnEventThatIsSharedIsEncodedOnceAndAsOthersAre(t *testing.T) {
	alone := &Message{Kind: Event, Event: EventDeleted, Zxid: 7, Path: "/pack/member"}
	many := *alone
	many.More = ShareEvent()
	require.Equal(t, alone.Size(), many.Size())
	want := AppendMessage([]byte("before"), alone)
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range 3 {
				require.Equal(t, want, AppendMessage([]byte("before"), &many))
			}
		})
	}
	writers.Wait()
	many.Path = "/else"
	require.Equal(t, want, AppendMessage([]byte("before"), &many), "what is kept says it")
}
