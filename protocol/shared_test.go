package protocol

import (
	"slices"
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

// The first writer encodes it in its own page, into which it then writes what comes next.
func TestWhatIsKeptForAllIsNoPartOfAPage(t *testing.T) {
	for name, m := range map[string]*Message{
		"an event": {Kind: Event, Event: EventDeleted, Zxid: 7, Path: "/pack/member", More: ShareEvent()},
		"names":    {Op: OpChildren, Xid: 7, Stat: sampleStat, More: ShareNames([]string{"a", "b"})},
	} {
		page := AppendMessage(make([]byte, 0, 1<<10), m)
		want := slices.Clone(page)
		clear(page)
		require.Equal(t, want, AppendMessage(nil, m), name)
	}
}
