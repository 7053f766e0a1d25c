package replicate

import (
	"testing"

	"github.com/hashicorp/raft"
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

// What the follower held then, another leader may have cut off since.
func TestAnAnswerOfAReignBeforeHidesNoStarvingFollower(t *testing.T) {
	p := newProgress()
	p.begin(3)
	late := ask(3, logID{7, 3}, entry(8, 3))
	p.begin(5)
	p.appended("2", ask(5, logID{6, 2}, entry(7, 5)), &raft.AppendEntriesResponse{Term: 5, Success: true}, nil)
	p.appended("2", late, &raft.AppendEntriesResponse{Term: 3, Success: true}, nil)
	require.EqualValues(t, 1, p.of("2", 8).entries, "behind the end of the log")
	require.False(t, p.awaits("2", 8), "it is sent nothing early behind what it may lack")
}
