package replicate

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// forgotten runs f with a leader that does not know that it leads no more: its
// disk hangs, and with it raft, which sends nothing but heartbeats, and it is
// cut off from the others, which have another leader.
func forgotten(t *testing.T, f func(e *ensemble, old, now *server)) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		old := e.leader()
		gate := make(chan struct{})
		old.store.gate.Store(&gate)
		defer func() {
			old.store.gate.Store(nil)
			close(gate)
		}()
		old.send(open(1, time.Hour)) // what hangs, once nothing else is under way
		e.until("its disk hangs", 5*time.Second, func() bool { return old.instance().gate.age() > 0 })
		for id := range e.servers {
			if id != old.id {
				release, err := old.instance().trans.(*peerTransport).silence(e.Context(), serverID(id))
				require.NoError(t, err)
				defer release()
			}
		}
		e.net.Isolate(old.host, "s1", "s2", "s3")
		var now *server
		e.until("another leads", 5*time.Second, func() bool {
			for _, s := range e.servers {
				if s != old && s.leadTerm.Load() != 0 {
					now = s
				}
			}
			return now != nil
		})
		f(e, old, now)
	})
}

func TestALeaderThatIsNoneAnyMoreEndsNobody(t *testing.T) {
	forgotten(t, func(e *ensemble, old, now *server) {
		require.NoError(t, e.change(now, protocol.AddMember, 4, "s4:1"))
		require.NotZero(t, old.leadTerm.Load(), "it takes itself for the leader")
		s := e.joiner(4)
		s.join = []string{old.host + ":1"}
		e.start(s)
		select {
		case err := <-s.Fatal():
			require.NoError(t, err, "by whom is no leader")
		case <-time.After(10 * time.Second):
		}
		require.Error(t, s.Serving())
		e.stop(s)
		delete(e.servers, 4)
	})
}

func TestALeaderThatIsNoneAnyMoreVouchesForNoSession(t *testing.T) {
	forgotten(t, func(e *ensemble, old, now *server) {
		began := time.Now()
		e.until("it speaks for sessions", 5*time.Second, func() bool { return now.prop.proposing() && now.duties.leads() })
		require.NotZero(t, old.leadTerm.Load(), "it takes itself for the leader")
		require.Greater(t, old.Contact(), heartbeatTimeout, "nobody has heard of it since before another was elected")
		require.Less(t, time.Since(began), time.Second, "before it knows that its disk hangs")
	})
}

// Its heartbeats get through again to one that follows another while its disk
// still holds it up: they are refused, which confirms nobody. An election of
// several rounds may last until the disk is found out; then the scene is set
// anew.
func TestALeaderWhoseHeartbeatsAreRefusedVouchesForNoSession(t *testing.T) {
	refused := 0
	for scene := 0; refused == 0 && scene < 50; scene++ {
		forgotten(t, func(e *ensemble, old, now *server) {
			if old.instance().gate.age() > hangAfter-heartbeatTimeout {
				return
			}
			for id := range e.servers {
				if id != old.id && id != now.id {
					e.net.Heal(old.host, hostOf(id))
					e.net.Heal(hostOf(id), old.host)
				}
			}
			for ; !old.instance().gate.hangs(); time.Sleep(5 * time.Millisecond) {
				require.NotZero(t, old.leadTerm.Load(), "it takes itself for the leader")
				require.Greater(t, old.Contact(), heartbeatTimeout, "another leads in a later term")
				require.False(t, old.vouches())
				if old.progress.deposed() {
					refused++
				}
			}
		})
	}
	require.Positive(t, refused, "looks after a refusal")
}

func TestARefusalEndsWhatALeaderKnewOfItself(t *testing.T) {
	p := newProgress()
	p.begin(3)
	sent := time.Now()
	p.heartbeat("2", sent, nil)
	require.Equal(t, sent, p.confirmed("2"))
	require.False(t, p.deposed())
	p.heartbeat("2", sent.Add(time.Second), p.refused("2", 3))
	require.False(t, p.deposed(), "it was one of a reign before, to which this one is the later")
	p.heartbeat("2", sent.Add(time.Second), p.refused("2", 4))
	require.Equal(t, sent, p.confirmed("2"))
	require.True(t, p.deposed())
	p.begin(5)
	require.False(t, p.deposed())
}

// A process that stands still between its election and the moment at which it finds
// itself the leader does not know what has become of the others since.
func TestALeaderIsSureOfItselfFromWhenItAskedForVotes(t *testing.T) {
	const term = 99
	running(t, 3, func(e *ensemble) {
		s := e.leader()
		others := s.followers()
		asked := time.Now()
		// In another one's name, to whom it is refused, since there is a leader.
		req := &raft.RequestVoteRequest{RPCHeader: e.servers[parseServerID(others[1].ID)].header(), Term: term, LastLogIndex: term, LastLogTerm: term}
		for range 2 {
			var resp raft.RequestVoteResponse
			require.NoError(t, s.instance().trans.RequestVote(others[0].ID, others[0].Address, req, &resp))
			require.False(t, resp.Granted)
			time.Sleep(2 * heartbeatTimeout)
		}
		s.progress.begin(term)
		require.Equal(t, time.Since(asked), s.silenceOfMajority())
		require.False(t, s.vouches())
	})
}
