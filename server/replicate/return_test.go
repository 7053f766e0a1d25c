package replicate

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// A server that was removed and added again comes with the log that it has.
func TestAServerThatWasRemovedAndAddedAgainIsPromoted(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		s := e.follower()
		e.stop(s)
		leader := e.leader()
		require.NoError(t, e.change(leader, protocol.RemoveMember, s.id, ""))
		e.writes(leader)
		require.NoError(t, e.change(leader, protocol.AddMember, s.id, addrOf(s.id)))
		e.start(s)
		e.settled()
		var err error
		e.until("promoted", 20*time.Second, func() bool {
			err = e.change(leader, protocol.PromoteMember, s.id, "")
			return err == nil
		})
		require.Equal(t, Voter, e.suffrage(s.id))
		e.writes(s)
		e.equal()
	})
}

// What holds entries back while an address changes waits for raft alone: raft
// may be about to read the address when somebody else asks.
func TestACommitNoticeDoesNotAnswerForRaft(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		leader, other := e.leader(), e.follower()
		e.writes(other)
		inst := leader.instance()
		tr := inst.trans.(*peerTransport)
		newest := leader.fsm.newest.Load()
		e.net.Pause(other.host) // raft's own next call to it, with an entry, hangs
		defer e.net.Resume(other.host)
		e.writes(leader)
		time.Sleep(2 * commitTimeout)
		ctx, cancel := context.WithTimeout(e.Context(), 500*time.Millisecond)
		defer cancel()
		go func() {
			time.Sleep(10 * time.Millisecond)
			_ = leader.appendTo(other.id, &raft.AppendEntriesRequest{
				Term: newest.term, PrevLogEntry: newest.index, PrevLogTerm: newest.term, LeaderCommitIndex: newest.index,
			})
		}()
		release, err := tr.silence(ctx, serverID(other.id))
		if err == nil {
			release()
		}
		require.Error(t, err, "raft's own call to the server has not come back")
	})
}

// A leader may look at the end of its log, store and commit another entry, and send
// a message without entries that tells of that commit.
func TestACommitIsOfTheEntriesThatAMessageShows(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		all := e.writers()
		time.Sleep(time.Second) // until nothing is under way
		leader, other := e.leader(), e.follower()
		newest := leader.fsm.newest.Load()
		message := func(commit uint64, entries ...*raft.Log) {
			require.NoError(t, leader.appendTo(other.id, &raft.AppendEntriesRequest{
				Term: newest.term, PrevLogEntry: newest.index, PrevLogTerm: newest.term, LeaderCommitIndex: commit, Entries: entries,
			}))
		}
		message(newest.index, &raft.Log{Index: newest.index + 1, Term: newest.term - 1, Type: raft.LogNoop})
		last, err := other.store.LastIndex()
		require.NoError(t, err)
		require.Equal(t, newest.index+1, last, "it holds what a leader before has told nobody else")
		message(newest.index + 1)
		require.Equal(t, newest.index, other.instance().raft.CommitIndex(), "it may be another entry than the one that is committed")
		all[leader.id-1].write(10)
		e.checked(all)
	})
}
