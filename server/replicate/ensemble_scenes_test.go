package replicate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/peer"
	"github.com/lycaon-io/lycaon/znode"
)

func TestThreeServersFoundAClusterAndAgree(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		for _, s := range e.servers {
			e.writes(s)
		}
		e.equal()
		for _, s := range e.servers {
			members := s.Members()
			require.Len(t, members, 3)
			for i, m := range members {
				require.Equal(t, uint64(i+1), m.ID)
				require.Equal(t, e.servers[m.ID].data, m.Data)
				require.Equal(t, Voter, m.Suffrage)
			}
		}
		time.Sleep(2 * time.Second)
		for _, s := range e.servers {
			for _, m := range s.Members() {
				require.NotEmpty(t, m.ClientAddr, "server %d knows of server %d", s.id, m.ID)
			}
		}
	})
}

func TestAMajorityFoundsTheClusterAndALateFounderGetsItsVote(t *testing.T) {
	together(t, 3, func(e *ensemble) {
		e.start(e.servers[1])
		time.Sleep(5 * time.Second)
		require.ErrorContains(t, e.servers[1].Serving(), "does not answer")
		e.start(e.servers[3])
		e.settled()
		e.writes(e.servers[1])
		time.Sleep(10 * time.Second)
		e.start(e.servers[2])
		e.settled()
		e.pinned(3)
		e.until("a voter", 20*time.Second, func() bool { return e.suffrage(2) == Voter })
		e.until("its vote is noted", 5*time.Second, func() bool { return e.servers[2].stable(promoteKey) == 0 })
		e.writes(e.servers[2])
		e.equal()
	})
}

func TestAWipedServerMustBeReplacedBeforeItTakesPart(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		old := e.follower()
		e.writes(old)
		e.stop(old)
		s := e.start(e.wiped(old.id))
		select {
		case err := <-s.Fatal():
			require.ErrorIs(t, err, ErrRefused)
			require.ErrorContains(t, err, "it was wiped or replaced; run `lycaon member replace")
		case <-time.After(10 * time.Second):
			require.Fail(t, "it was not refused")
		}
		require.Nil(t, s.instance(), "it took no part in raft")
		last, err := s.disk.logs.LastIndex()
		require.NoError(t, err)
		require.Zero(t, last)
		require.Zero(t, s.stable(currentTermKey))
		e.stop(s)

		require.NoError(t, e.change(e.leader(), protocol.ReplaceMember, s.id, ""))
		e.start(s)
		e.settled()
		require.Equal(t, Observer, e.suffrage(s.id))
		e.until("promoted", 10*time.Second, func() bool { return e.change(s, protocol.PromoteMember, s.id, "") == nil })
		require.Equal(t, Voter, e.suffrage(s.id))
		e.writes(s)
		e.equal()

		former := *old
		former.host = "elsewhere"
		e.start(&former)
		select {
		case err := <-former.Fatal():
			require.ErrorIs(t, err, ErrRemoved, "the former life of the member")
		case <-time.After(20 * time.Second):
			require.Fail(t, "the former life goes on")
		}
		e.stop(&former)
	})
}

func TestAServerJoinsIsPromotedDemotedAndRemoved(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		s := e.joiner(4)
		e.start(s)
		select {
		case err := <-s.Fatal():
			require.ErrorIs(t, err, ErrRefused)
			require.ErrorContains(t, err, "lycaon member add 4=s4:1")
		case <-time.After(10 * time.Second):
			require.Fail(t, "an unknown server was let in")
		}
		e.stop(s)
		anyone := e.follower()
		require.ErrorIs(t, e.change(anyone, protocol.PromoteMember, 4, ""), znode.ErrBadArguments)
		require.NoError(t, e.change(anyone, protocol.AddMember, 4, "s4:1"))
		require.NoError(t, e.change(anyone, protocol.AddMember, 4, "s4:1"), "again")
		require.ErrorIs(t, e.change(anyone, protocol.AddMember, 4, "s5:1"), znode.ErrBadArguments, "elsewhere")
		require.ErrorIs(t, e.change(anyone, protocol.AddMember, 5, "s4:1"), znode.ErrBadArguments, "an address in use")
		require.ErrorContains(t, e.change(anyone, protocol.PromoteMember, 4, ""), "has not joined yet")
		e.start(s)
		e.settled()
		require.Equal(t, "c1", s.cluster)
		require.NoError(t, e.change(anyone, protocol.PromoteMember, 4, ""))
		require.NoError(t, e.change(anyone, protocol.PromoteMember, 4, ""), "again")
		require.Equal(t, Voter, e.suffrage(4))
		e.writes(s)
		require.NoError(t, e.change(s, protocol.DemoteMember, 4, ""))
		require.Equal(t, Observer, e.suffrage(4))
		e.writes(s)
		require.ErrorIs(t, s.TransferLeader(e.Context(), 4), znode.ErrBadArguments, "an observer cannot lead")
		require.NoError(t, e.change(s, protocol.RemoveMember, 4, ""))
		select {
		case err := <-s.Fatal():
			require.ErrorIs(t, err, ErrRemoved)
		case <-time.After(20 * time.Second):
			require.Fail(t, "a removed server goes on")
		}
		e.stop(s)
		delete(e.servers, 4)
		require.ErrorContains(t, e.change(e.leader(), protocol.RemoveMember, 4, ""), "not a member")
		e.writes(e.leader())
		e.equal()
	})
}

func TestTheLeaderItselfIsRemoved(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		old := e.leader()
		require.NoError(t, e.change(old, protocol.RemoveMember, old.id, ""))
		select {
		case err := <-old.Fatal():
			require.ErrorIs(t, err, ErrRemoved)
		case <-time.After(20 * time.Second):
			require.Fail(t, "a removed leader goes on")
		}
		e.stop(old)
		delete(e.servers, old.id)
		require.Len(t, e.leader().Members(), 2)
		e.writes(e.leader())
		e.equal()
	})
}

func TestNoVoteIsTakenThatTheOthersNeed(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		leader, dead := e.leader(), e.follower()
		e.crash(dead)
		time.Sleep(2 * unreachableAfter)
		require.Equal(t, 1, leader.Stats().Unreachable)
		for _, action := range []protocol.MemberAction{protocol.RemoveMember, protocol.DemoteMember, protocol.ReplaceMember} {
			for _, s := range []*server{leader, e.follower()} {
				err := e.change(leader, action, s.id, "")
				require.ErrorIs(t, err, znode.ErrBadArguments)
				require.ErrorContains(t, err, "too few of the voters that would be left answer: 1 of 2")
			}
		}
		require.NoError(t, e.change(leader, protocol.RemoveMember, dead.id, ""), "the dead one is")
		e.writes(leader)
	})
}

func TestLeadershipGoesWhereItIsSent(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		for range 3 {
			for id := range uint64(3) {
				require.NoError(t, e.follower().TransferLeader(e.Context(), id+1))
				e.until("leads", time.Second, func() bool { return e.leader() == e.servers[id+1] })
				e.writes(e.servers[id+1])
			}
		}
		e.equal()
	})
}

// A leader that hands over to somebody and, since that takes long, to somebody
// else, does not unseat the latter when the former comes to it.
func TestAHandoverOfAFormerLeaderComesToNothing(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		former := e.leader()
		heir := e.follower()
		require.NoError(t, former.TransferLeader(e.Context(), heir.id))
		e.until("leads", time.Second, func() bool { return e.leader() == heir })
		e.settled()
		_, term := heir.Leader()
		trans := former.instance().trans.(*peerTransport)
		for _, to := range former.followers() {
			err := trans.TimeoutNow(to.ID, to.Address, &raft.TimeoutNowRequest{RPCHeader: former.header()}, &raft.TimeoutNowResponse{})
			require.ErrorContains(t, err, errNotLeaders.Error(), "server %s", to.ID)
		}
		time.Sleep(2 * electionTimeout)
		for _, s := range e.servers {
			id, now := s.Leader()
			require.Equal(t, []uint64{heir.id, term}, []uint64{id, now}, "server %d", s.id)
		}
		e.writes(former)
	})
}

func TestTheLeadersDeathIsNoticedByItsConnections(t *testing.T) {
	var worst, sum time.Duration
	const rounds = 5
	for range rounds {
		running(t, 3, func(e *ensemble) {
			e.pinned(3)
			other := e.follower()
			e.writes(other)
			e.crash(e.leader())
			took := e.writes(other)
			worst, sum = max(worst, took), sum+took
			for _, s := range e.servers {
				if s.Node != nil {
					c := s.instance().raft.ReloadableConfig()
					require.Equal(t, heartbeatTimeout, c.HeartbeatTimeout, "put back")
					require.Equal(t, electionTimeout, c.ElectionTimeout, "put back")
				}
			}
		})
	}
	t.Logf("mean %s, worst %s", sum/rounds, worst)
	require.Less(t, worst, 300*time.Millisecond)
}

// The last word of a leader that died may be read long after its connections
// were seen to break.
func TestAFollowerStandsEarlyThoughItHeardOfTheLeaderSince(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		old := e.leader()
		for _, s := range e.servers {
			s.leaderGone(old.id) // nobody but the leader is concerned
		}
		time.Sleep(100 * time.Millisecond)
		e.net.Isolate(hostOf(old.id), "s1", "s2", "s3")
		took := e.until("another one leads", leaderLease+150*time.Millisecond, func() bool {
			l := e.leader()
			return l != nil && l != old
		})
		t.Logf("after %s", took)
		var early uint64
		for _, s := range e.servers {
			early += s.Stats().EarlyStands
		}
		require.NotZero(t, early) // of two: who had its last word a heartbeat before the other may be at raft's own timeout by then
	})
}

func TestACutOffLeaderStepsAsideAndComesBack(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		old := e.leader()
		other := e.follower()
		e.net.Isolate(hostOf(old.id), "s1", "s2", "s3")
		took := e.writes(other)
		require.Less(t, took, 2*time.Second)
		e.until("it knows", 2*time.Second, func() bool { return old.Serving() != nil })
		require.Zero(t, old.leadTerm.Load())
		_, term := other.Leader()
		time.Sleep(30 * time.Second)
		e.net.HealAll()
		took = e.until("it serves", 10*time.Second, func() bool { return old.Serving() == nil })
		t.Logf("back after %s", took)
		e.writes(old)
		e.equal()
		_, now := other.Leader()
		require.Equal(t, term, now, "a server that comes back deposes nobody")
	})
}

func TestALeaderWhoseDiskHangsIsSucceeded(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		old, other := e.leader(), e.follower()
		gate := make(chan struct{})
		old.store.gate.Store(&gate)
		took := e.writes(other)
		t.Logf("written after %s", took)
		require.Less(t, took, 3*time.Second)
		require.NotZero(t, old.Stats().Withheld)
		require.Error(t, old.Serving())
		require.Equal(t, 1, old.timesClosed(), "its connections go elsewhere")
		time.Sleep(10 * time.Second)
		old.store.gate.Store(nil)
		close(gate)
		e.settled()
		e.writes(old)
		e.equal()
		require.Equal(t, 1, old.timesClosed())
	})
}

func TestCloseHandsLeadershipOver(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		old, other := e.leader(), e.follower()
		began := time.Now()
		ended := make(chan error, 1)
		go func() { ended <- old.Close(context.Background()) }()
		e.until("another leads", time.Second, func() bool {
			id, _ := other.Leader()
			return id != 0 && id != old.id
		})
		require.Less(t, time.Since(began), 100*time.Millisecond)
		require.Less(t, e.writes(other), 100*time.Millisecond)
		require.NoError(t, <-ended)
		require.Less(t, time.Since(began), 5*time.Second)
		require.NoError(t, old.mux.Close())
		delete(e.servers, old.id)
	})
}

// The time of a Close may be up because the whole process stood still.
func TestACloseWhoseTimeIsUpLooksOnceMoreWhetherRaftHasStopped(t *testing.T) {
	for name, c := range map[string]struct {
		hangs time.Duration // the disk
		want  error
	}{
		"it stops a moment later": {closeWait + closeGrace/2, nil},
		"it hangs":                {closeWait + 2*closeGrace, ErrDeadline},
	} {
		t.Run(name, func(t *testing.T) {
			running(t, 3, func(e *ensemble) {
				e.pinned(3)
				s := e.follower()
				gate := make(chan struct{})
				s.store.gate.Store(&gate)
				e.writes(e.leader())
				e.until("its disk hangs", 5*time.Second, func() bool { return s.instance().gate.age() > 0 })
				time.AfterFunc(c.hangs, func() { close(gate) })
				require.ErrorIs(t, s.Close(context.Background()), c.want)
				<-gate
				require.NoError(t, s.mux.Close())
				delete(e.servers, s.id)
			})
		})
	}
}

func TestRaftStartsAnewUnderWrites(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		for round := range 6 {
			s := e.servers[uint64(round)%3+1]
			done := make(chan error)
			go func() { done <- s.Rebuild(errors.New("a test")) }()
			e.writes(e.servers[uint64(round+1)%3+1])
			require.NoError(t, <-done)
			e.settled()
			e.writes(s)
		}
		e.equal()
		require.Equal(t, uint64(2), e.servers[1].Stats().Rebuilds)
	})
}

func TestAFollowerThatStarvesIsToldToStartAnew(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		e.writes(e.leader())
		e.equal() // a leader looks after those that have once taken something
		s := e.follower()
		s.store.refuse.Store(true)
		e.writes(e.leader())
		time.Sleep(starvedAfter + 2*time.Second)
		require.NotZero(t, s.Stats().Rebuilds)
		s.store.refuse.Store(false)
		e.settled()
		e.equal()
	})
}

// fallsFarBehind starts all servers and stops a follower until it needs a snapshot.
func (e *ensemble) fallsFarBehind() (leader, follower *server) {
	e.Helper()
	e.snapshotBytes = 4 << 10
	e.startAll()
	follower = e.follower()
	e.stop(follower)
	leader = e.leader()
	for range 300 {
		e.writes(leader)
	}
	return leader, follower
}

func TestAServerFarBehindGetsASnapshot(t *testing.T) {
	together(t, 3, func(e *ensemble) {
		leader, s := e.fallsFarBehind()
		first, err := leader.disk.logs.FirstIndex()
		require.NoError(t, err)
		require.Greater(t, first, uint64(10), "the log was cut")
		e.start(s)
		e.settled()
		e.equal()
		e.until("an image is counted", time.Second, func() bool { return s.Stats().Restores > 0 })
		require.NoError(t, e.change(s, protocol.AddMember, 4, "s4:1"), "the index of the membership came with it")
		require.NoError(t, s.TransferLeader(e.Context(), s.id))
		e.until("leads", time.Second, func() bool { return e.leader() == s })
		require.NoError(t, e.change(s, protocol.RemoveMember, 4, ""))
	})
}

// hashicorp/raft tries a server that was away again after up to ten seconds.
func TestAServerThatWasAwayForLongIsServedAtOnce(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		s := e.follower()
		e.stop(s)
		time.Sleep(time.Minute)
		e.writes(e.leader())
		e.start(s)
		took := e.until("it serves", 20*time.Second, func() bool { return s.Serving() == nil })
		require.Less(t, took, time.Second)
		e.net.Isolate(s.host, e.leader().host)
		time.Sleep(time.Minute)
		e.net.HealAll()
		took = e.until("it serves", 20*time.Second, func() bool { return s.Serving() == nil })
		t.Logf("after a cut %s", took)
		require.Less(t, took, 3*time.Second)
		e.writes(s)
		e.equal()
	})
}

// A leader that was promoted while a server was away is unknown to that server,
// which can learn of it from nobody else.
func TestAServerThatWasAwayTakesAnUnknownLeader(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		away := e.follower()
		e.stop(away)
		require.NoError(t, e.change(e.leader(), protocol.AddMember, 4, "s4:1"))
		s := e.start(e.joiner(4))
		e.settled()
		require.NoError(t, e.change(s, protocol.PromoteMember, 4, ""))
		require.NoError(t, s.TransferLeader(e.Context(), 4))
		e.until("leads", time.Second, func() bool { return e.leader() == s })
		e.start(away)
		e.settled()
		e.writes(away)
		e.equal()
	})
}

func TestFiveServersLoseTwo(t *testing.T) {
	running(t, 5, func(e *ensemble) {
		e.pinned(5)
		for range 2 {
			other := e.follower()
			e.writes(other)
			e.crash(e.leader())
			require.Less(t, e.writes(other), leaderLease+3*standStagger, "the third to stand has a majority")
		}
		e.equal()
	})
}

// A follower with entries that nobody else has, behind the snapshot it is sent,
// takes that snapshot again and again.
func TestSnapshotsWithoutEntriesBehindThemStartRaftAnew(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		s := e.follower()
		time.Sleep(time.Second) // nothing is written
		s.fsm.counts.restores.Add(maxIdleInstalls)
		e.until("anew", time.Second, func() bool { return s.Stats().Rebuilds == 1 })
		e.settled()
		time.Sleep(10 * time.Second)
		require.Equal(t, uint64(1), s.Stats().Rebuilds)
		e.writes(s)
		e.equal()
	})
}

func TestASecondServerOfAnIDIsRefused(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		for _, s := range []*server{e.leader(), e.follower()} {
			second := e.wiped(s.id)
			e.servers[s.id] = s
			second.host = fmt.Sprintf("second%d", s.id)
			e.start(second)
			select {
			case err := <-second.Fatal():
				require.ErrorIs(t, err, ErrRefused)
			case <-time.After(10 * time.Second):
				require.Fail(t, "it was not refused")
			}
			e.stop(second)
		}
		require.NoError(t, e.leader().Serving())
	})
}

func TestAServerThatMovedIsFoundWhereItIs(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		s := e.follower()
		e.stop(s)
		s.host = "moved"
		e.start(s)
		e.settled()
		e.until("its address is known", 10*time.Second, func() bool {
			for _, m := range e.leader().Members() {
				if m.ID == s.id {
					return m.PeerAddr == "moved:1" && m.Data == s.data && m.Suffrage == Voter
				}
			}
			return false
		})
		e.writes(s)
		e.equal()
	})
}

// A server without a cluster may ask to be let in, and nothing else.
func TestAStrangerChangesNothing(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		leader := e.leader()
		id, term := leader.Leader()
		for _, self := range []peer.Identity{{ID: 9, Data: "nine"}, {ID: e.follower().id, Data: "another"}, {Cluster: "c1", ID: 9, Data: "nine"}} {
			stranger, err := peer.Open(peer.Config{Self: self, Addr: "s9:1", Network: e.net.Host("s9"), Insecure: true})
			require.NoError(t, err)
			defer stranger.Close()
			for method, c := range map[string]protocol.MemberChange{
				changeMethod:   {Action: protocol.RemoveMember, ID: e.follower().id},
				transferMethod: {ID: e.follower().id},
			} {
				err := stranger.Call(e.Context(), peer.Target{ID: id, Addr: addrOf(id)}, method, &changeRequest{Change: c}, nil)
				require.Error(t, err, "%v calls %s", self, method)
			}
			stranger.Close()
		}
		require.Len(t, leader.Members(), 3)
		_, now := leader.Leader()
		require.Equal(t, term, now)
	})
}

func TestServersToldOfDifferentClustersRefuseEachOther(t *testing.T) {
	together(t, 2, func(e *ensemble) {
		e.servers[2].cluster = "c2"
		e.start(e.servers[1])
		e.start(e.servers[2])
		for _, s := range e.servers {
			require.ErrorIs(t, <-s.Fatal(), ErrRefused)
			require.Nil(t, s.instance())
		}
	})
}

func TestARunningServerIsNotEndedByWhatAStrangerSays(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		s := e.follower()
		for _, other := range e.servers {
			if other != s {
				e.stop(other)
				other.cluster = "c2"
				other.data += "x"
				e.start(other)
			}
		}
		time.Sleep(time.Minute)
		select {
		case err := <-s.Fatal():
			require.NoError(t, err)
		default:
		}
		require.Error(t, s.Serving())
	})
}

func TestPoisonIsRefusedBeforeRaftSeesIt(t *testing.T) {
	tr := &peerTransport{
		isMember: func(id raft.ServerID, data string) bool { return data == "mine" },
		obeys:    func(id raft.ServerID) bool { return id == "1" },
	}
	good := raft.EncodeConfiguration(raft.Configuration{Servers: []raft.Server{{ID: "1", Address: "a:1#mine"}}})
	entry := func(kind raft.LogType, data []byte) *raft.AppendEntriesRequest {
		return &raft.AppendEntriesRequest{Entries: []*raft.Log{{Type: kind, Data: data}}}
	}
	from := func(addr string) raft.RPCHeader { return raft.RPCHeader{ID: []byte("1"), Addr: []byte(addr)} }
	for name, c := range map[string]struct {
		command any
		ok      bool
	}{
		"a command":                          {entry(raft.LogCommand, []byte{1, 2}), true},
		"no entry":                           {&raft.AppendEntriesRequest{Entries: []*raft.Log{nil}}, false},
		"a configuration":                    {entry(raft.LogConfiguration, good), true},
		"a configuration that is none":       {entry(raft.LogConfiguration, []byte{0xff, 1, 2}), false},
		"a member without an id":             {entry(raft.LogConfiguration, raft.EncodeConfiguration(raft.Configuration{Servers: []raft.Server{{ID: "x", Address: "a:1"}}})), false},
		"an entry of a type that raft lacks": {entry(raft.LogType(77), nil), false},
		"an old way to add peers":            {entry(raft.LogAddPeerDeprecated, nil), false},
		"a snapshot":                         {&raft.InstallSnapshotRequest{SnapshotVersion: 1, Configuration: good}, true},
		"a snapshot without configuration":   {&raft.InstallSnapshotRequest{SnapshotVersion: 1, Configuration: []byte{0xc1}}, false},
		"a snapshot of an old version":       {&raft.InstallSnapshotRequest{}, false},
		"a candidate":                        {&raft.RequestVoteRequest{RPCHeader: from("a:1#mine")}, true},
		"a candidate's former life":          {&raft.RequestVoteRequest{RPCHeader: from("a:1#other")}, false},
		"a former life that asks first":      {&raft.RequestPreVoteRequest{RPCHeader: from("a:1#other")}, false},
		"an order to stand":                  {&raft.TimeoutNowRequest{RPCHeader: from("a:1#mine")}, true},
		"an order of who does not lead":      {&raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ID: []byte("2")}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.ok, tr.check(c.command) == nil)
		})
	}
}

func TestAddressesOfMembersSayWhichDataFits(t *testing.T) {
	for text, want := range map[string]struct {
		memberAddr
		fits, refuses string
	}{
		"h:1":         {memberAddr{addr: "h:1"}, "any", ""},
		"h:1#abc":     {memberAddr{addr: "h:1", data: "abc"}, "abc", "any"},
		"h:1#-abc":    {memberAddr{addr: "h:1", former: "abc"}, "any", "abc"},
		"[::1]:1#abc": {memberAddr{addr: "[::1]:1", data: "abc"}, "abc", "ab"},
	} {
		got, err := parseMemberAddr(raft.ServerAddress(text))
		require.NoError(t, err)
		require.Equal(t, want.memberAddr, got)
		require.Equal(t, text, got.String())
		require.True(t, got.fits(want.fits))
		require.False(t, got.fits(want.refuses))
	}
	_, err := parseMemberAddr("nothing")
	require.Error(t, err)
}

func TestNothingHangsWhenTheLeaderClosesAmidAChange(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		leader := e.leader()
		for id := range uint64(3) {
			if s := e.servers[id+1]; s != leader {
				e.net.Isolate(hostOf(s.id), hostOf(leader.id))
			}
		}
		done := make(chan error, 1)
		node := leader.Node // which e.stop takes away
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			done <- node.ChangeMember(ctx, protocol.MemberChange{Action: protocol.AddMember, ID: 4, Addr: "s4:1"})
		}()
		time.Sleep(20 * time.Millisecond)
		began := time.Now()
		e.stop(leader)
		require.Less(t, time.Since(began), 5*time.Second)
		require.Error(t, <-done)
		delete(e.servers, leader.id)
	})
}

func TestOnlyAMemberAsksForAnother(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		leader, follower := e.leader(), e.follower()
		about := admitRequest{ID: follower.id, Data: follower.data, Addr: addrOf(follower.id), Passed: true}
		body, err := json.Marshal(about)
		require.NoError(t, err)
		ask := func(from peer.Identity) error {
			_, err := leader.handleAdmit(context.Background(), from, body)
			return err
		}
		require.NoError(t, ask(peer.Identity{ID: follower.id, Data: follower.data}))
		require.ErrorIs(t, ask(peer.Identity{ID: 9, Data: "stranger"}), peer.ErrNotMember)
		require.ErrorIs(t, ask(peer.Identity{ID: follower.id, Data: "of another disk"}), peer.ErrNotMember)
	})
}
