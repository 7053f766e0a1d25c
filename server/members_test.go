package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/raftlog"
)

// ends waits for what a server must stop for, and stops it.
func (p *fleet) ends(id uint64) error {
	p.t.Helper()
	defer p.stop(id)
	select {
	case err := <-p.up[id].Fatal():
		return err
	case <-time.After(patience):
		require.FailNow(p.t, "it goes on", "server %d: %v", id, p.up[id].Condition())
		return nil
	}
}

// joins makes a server that is to enter the cluster.
func (p *fleet) joins(id uint64, doors ...uint64) {
	p.t.Helper()
	c := p.configs[id]
	if c == nil {
		c = p.add(id)
	}
	c.InitialCluster, c.Join = "", ""
	for i, d := range doors {
		if i > 0 {
			c.Join += ","
		}
		c.Join += p.up[d].peerAddr()
	}
}

func (p *fleet) wipe(id uint64) {
	p.t.Helper()
	require.NoError(p.t, os.RemoveAll(p.configs[id].DataDir))
}

// promote gives a vote as soon as the rules allow it.
func (p *fleet) promote(by, id uint64) {
	p.t.Helper()
	admin := p.admin(by)
	p.eventually("promoted", func() bool {
		err := admin.ChangeMember(p.t.Context(), client.MemberChange{Action: client.PromoteMember, ID: id})
		if err != nil {
			require.ErrorIs(p.t, err, client.ErrBadArguments)
		}
		return err == nil
	})
}

func TestMembersComeAndGoUnderLoad(t *testing.T) {
	p := running(t, 3)
	stop := p.load()
	defer stop()
	leader := p.leader()

	p.joins(4, 1, 2, 3)
	p.change(p.other(), client.AddMember, 4, p.configs[4].PeerAddr)
	p.change(p.other(), client.AddMember, 4, p.configs[4].PeerAddr) // again is once
	p.eventually("it is not there yet", func() bool { return p.roles(leader)[4] == roleUnreachable })
	p.start(4)
	require.Equal(t, p.up[1].dir.meta.ClusterID, p.up[4].dir.meta.ClusterID, "it has learned its cluster")
	p.eventually("an observer", func() bool { return p.roles(1)[4] == roleObserver && p.roles(4)[4] == roleObserver })
	observer, err := client.Open(t.Context(), p.addrs(4), client.WithOnlyGivenServers())
	require.NoError(t, err)
	defer observer.Abandon()
	_, err = observer.Create(t.Context(), "/by-an-observer", nil)
	require.NoError(t, err)

	p.promote(4, 4)
	p.change(4, client.DemoteMember, 4, "")
	p.promote(4, 4)
	p.change(4, client.RemoveMember, leader, "")
	require.ErrorIs(t, p.ends(leader), ErrRemoved)
	delete(p.configs, leader)
	p.eventually("the others have forgotten it", func() bool { return p.roles(4)[leader] == "" })
	require.NotEqual(t, leader, p.leader())
	stop()
	p.sameState()

	p.stop(4)
	p.start(4) // knows its cluster now, and needs no door
	p.sameState()
}

// load writes until it is told to stop; no write may fail.
func (p *fleet) load() (stop func()) {
	c := p.client(client.WithRequestTimeout(patience))
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-quit:
				return
			default:
			}
			if _, err := c.Create(p.t.Context(), fmt.Sprintf("/load-%d", i), nil); err != nil {
				p.t.Errorf("write %d: %v", i, err)
				return
			}
		}
	}()
	stopped := false
	return func() {
		if !stopped {
			stopped = true
			close(quit)
			<-done
		}
	}
}

func TestAWipedServerIsRefusedUntilItIsReplaced(t *testing.T) {
	p := running(t, 3)
	_, err := p.client().Create(t.Context(), "/kept", nil)
	require.NoError(t, err)
	lost := p.other()
	p.eventually("the data of all are known", p.up[p.leader()].knowsAllData)
	p.stop(lost)
	p.wipe(lost)
	p.open(lost)
	err = p.ends(lost)
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, fmt.Sprintf("lycaon member replace %d", lost))
	require.Equal(t, 1, strings.Count(err.Error(), "admit"), "said once: %v", err)

	p.change(p.leader(), client.ReplaceMember, lost, "")
	p.start(lost)
	p.promote(lost, lost)
	p.sameState()
	// And by the doors, with the directory that the refused start has made.
	p.stop(lost)
	p.wipe(lost)
	p.open(lost)
	require.ErrorIs(t, p.ends(lost), ErrRefused)
	p.joins(lost, p.leader())
	p.change(p.leader(), client.ReplaceMember, lost, "")
	p.start(lost)
	p.promote(lost, lost)
	p.sameState()
}

func TestAServerThatWasNotAddedIsRefused(t *testing.T) {
	p := running(t, 3)
	p.joins(4, 1)
	p.open(4)
	err := p.ends(4)
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "lycaon member add 4=")
}

func TestOneOfSeveralNeverFoundsAClusterAlone(t *testing.T) {
	p := founding(t, 3)
	p.open(1)
	p.stop(1)
	list := p.configs[1].InitialCluster
	alone := []string{"", strings.Split(list, ",")[0]}
	for _, p.configs[1].InitialCluster = range alone {
		_, err := Open(t.Context(), *p.configs[1])
		require.Error(t, err, "founded by %q", p.configs[1].InitialCluster)
	}
	p.configs[1].InitialCluster = ""
	_, err := Open(t.Context(), *p.configs[1])
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorContains(t, err, "initial-cluster or join again")
	p.configs[1].InitialCluster = list
	p.start(1, 2, 3)

	p.joins(4, 1)
	p.open(4)
	require.ErrorIs(t, p.ends(4), ErrRefused)
	door := p.configs[4].Join
	p.configs[4].Join = ""
	_, err = Open(t.Context(), *p.configs[4])
	require.ErrorIs(t, err, ErrConfig)
	p.configs[4].Join = door
	p.change(2, client.AddMember, 4, p.configs[4].PeerAddr)
	p.start(4)
	p.sameState()
	p.stop(4)
	p.configs[4].Join, p.configs[4].AdvertisePeerAddr = "", p.configs[4].PeerAddr
	p.start(4) // it has its cluster now
	p.sameState()
}

func TestAServerOfAnotherClusterIsRefused(t *testing.T) {
	p := running(t, 3)
	stranger := p.add(4)
	stranger.InitialCluster = fmt.Sprintf("1=%s,4=%s", p.configs[1].withPeerAddr().PeerAddr, stranger.PeerAddr)
	p.open(4)
	err := p.ends(4)
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "foreign-cluster")
	delete(p.configs, 4)
	p.sameState()
}

func TestARuleThatAChangeBreaksIsNamed(t *testing.T) {
	p := running(t, 2)
	for _, id := range p.ids() {
		admin := p.admin(id)
		for name, c := range map[string]client.MemberChange{
			"server 2 is a member already": {Action: client.AddMember, ID: 2, Addr: "127.0.0.1:1"},
			"server 1 is a member already": {Action: client.AddMember, ID: 1, Addr: p.up[1].peerAddr()},
			"server 9 is not a member":     {Action: client.RemoveMember, ID: 9},
			"id 255: want 1 to 254":        {Action: client.AddMember, ID: 255, Addr: "127.0.0.1:1"},
			"host \"\" is no address":      {Action: client.AddMember, ID: 3, Addr: ":1"},
			"is the address of server 1":   {Action: client.AddMember, ID: 3, Addr: p.up[1].peerAddr()},
			"takes no address":             {Action: client.RemoveMember, ID: 1, Addr: "h:1"},
			"member action \"banish\"":     {Action: "banish", ID: 1},
		} {
			err := admin.ChangeMember(t.Context(), c)
			require.ErrorContains(t, err, name)
		}
		require.ErrorContains(t, admin.TransferLeader(t.Context(), 9), "server 9 is not a member")
	}
	anybody, err := client.OpenGuest(t.Context(), p.addrs(1))
	require.NoError(t, err)
	defer anybody.Abandon()
	require.ErrorIs(t, anybody.ChangeMember(t.Context(), client.MemberChange{Action: client.RemoveMember, ID: 2}), client.ErrNoAuth)
	require.ErrorIs(t, anybody.TransferLeader(t.Context(), 0), client.ErrNoAuth)
	members, err := anybody.Members(t.Context())
	require.NoError(t, err)
	require.Len(t, members, 2)
}

func TestLeadershipGoesWhereItIsSent(t *testing.T) {
	p := running(t, 3)
	for _, to := range []uint64{2, 3, 1} {
		require.NoError(t, p.admin(p.other()).TransferLeader(t.Context(), to))
		p.eventually("leads", func() bool { return p.up[to].Status().Role == roleLeader })
	}
	leader := p.leader()
	require.NoError(t, p.admin(leader).TransferLeader(t.Context(), 0))
	p.eventually("another leads", func() bool { return p.leader() != leader })
}

func TestTheStateOfAllIsToldWithoutAQuorum(t *testing.T) {
	p := running(t, 3)
	// The leader is left, so that none of the others hands leadership over to it.
	left := p.leader()
	for _, id := range p.ids() {
		if id != left {
			p.stop(id)
		}
	}
	p.eventually("not ready", func() bool {
		st := p.up[left].Status()
		return !st.Ready && st.LeaderID == 0 && st.Role != roleLeader
	})
	c, err := client.OpenGuest(t.Context(), p.addrs(left))
	require.NoError(t, err)
	defer c.Abandon()
	var all []client.MemberStatus
	p.eventually("the others have refused within the second that they have", func() bool {
		all, err = c.ClusterStatus(t.Context())
		require.NoError(t, err)
		return !slices.ContainsFunc(all, func(m client.MemberStatus) bool { return m.ID != left && !strings.Contains(m.Error, "refused") })
	})
	require.Len(t, all, 3)
	for i, m := range all {
		require.EqualValues(t, i+1, m.ID)
		require.NotEmpty(t, m.PeerAddr)
		if m.ID == left {
			require.NotNil(t, m.Status)
			require.Contains(t, []string{roleFollower, roleCandidate}, m.Role)
			continue
		}
		require.Nil(t, m.Status)
		require.Equal(t, roleUnreachable, m.Role)
	}
	_, err = client.Open(t.Context(), p.addrs(left), client.WithRequestTimeout(200*time.Millisecond))
	require.Error(t, err, "no sessions without a leader")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = p.up[left].ChangeMember(ctx, client.MemberChange{Action: client.RemoveMember, ID: left%3 + 1})
	require.ErrorIs(t, err, protocol.ErrNotReady)
	require.ErrorContains(t, err, "no leader")
}

// A follower and an observer give backups too; one founds a new cluster to
// which empty servers are added.
func TestABackupOfAnyServerFoundsANewCluster(t *testing.T) {
	p := running(t, 2)
	c := p.client()
	for i := range 50 {
		_, err := c.Create(t.Context(), fmt.Sprintf("/n%d", i), []byte("data"))
		require.NoError(t, err)
	}
	_, err := c.Create(t.Context(), "/mine", nil, client.Ephemeral())
	require.NoError(t, err)
	p.joins(3, 1)
	p.change(1, client.AddMember, 3, p.configs[3].PeerAddr)
	p.start(3)
	p.sameState()
	var file string
	for id := range p.up {
		file = filepath.Join(t.TempDir(), fmt.Sprint(id))
		out, err := os.Create(file)
		require.NoError(t, err)
		_, err = p.admin(id).Snapshot(t.Context(), out)
		require.NoError(t, err)
		require.NoError(t, out.Close())
		saved, err := InspectSnapshot(file)
		require.NoError(t, err)
		require.EqualValues(t, p.up[id].Status().Nodes, saved.Nodes)
		require.Equal(t, 1, saved.Sessions)
	}
	former := p.up[1].dir.meta.ClusterID
	p.stop(p.ids()...)

	q := founding(t, 1)
	q.configs[1].InitialCluster = ""
	q.configs[1].PeerAddr = "" // as the manual does
	q.configs[1].DataDir = filepath.Join(q.configs[1].DataDir, "new", "1")
	_, err = RestoreSnapshot(t.Context(), file, *q.configs[1])
	require.NoError(t, err)
	q.configs[1].PeerAddr = freeAddr(t)
	q.start(1)
	require.NotEqual(t, former, q.up[1].dir.meta.ClusterID)
	for id := uint64(2); id <= 3; id++ {
		q.joins(id, 1)
		q.change(1, client.AddMember, id, q.configs[id].PeerAddr)
		q.start(id)
		q.promote(1, id)
	}
	q.sameState()
	q.stop(1)
	node, err := q.client().Get(t.Context(), "/n49")
	require.NoError(t, err)
	require.Equal(t, "data", string(node.Data))
	// A straggler of the old cluster finds no way in.
	leader := q.leader()
	straggler := 5 - leader // the other of 2 and 3
	p.configs[straggler].InitialCluster, p.configs[straggler].Join = "", q.up[leader].peerAddr()
	p.wipe(straggler)
	p.open(straggler)
	require.ErrorIs(t, p.ends(straggler), ErrRefused)
}

func TestALoneServerGrows(t *testing.T) {
	p := founding(t, 1)
	p.configs[1].InitialCluster, p.configs[1].PeerAddr = "", freeAddr(t)
	p.start(1)
	require.ErrorContains(t, p.admin(1).ChangeMember(t.Context(), client.MemberChange{Action: client.RemoveMember, ID: 1}), "only voter")
	p.joins(2, 1)
	p.change(1, client.AddMember, 2, p.configs[2].PeerAddr)
	p.start(2)
	p.promote(1, 2)
	p.stop(1, 2)
	p.start(1, 2)
	p.sameState()
	require.Len(t, p.up[1].Members(), 2)
	p.eventually("they know of each other", func() bool {
		return p.up[1].Members()[1].ClientAddr == p.configs[2].ClientAddr && p.up[2].Members()[0].ClientAddr == p.configs[1].ClientAddr
	})
}

func TestAMemberThatMovesIsFoundAgain(t *testing.T) {
	p := running(t, 3)
	moves := p.other()
	p.stop(moves)
	c := p.configs[moves]
	c.InitialCluster, c.PeerAddr, c.ClientAddr = "", freeAddr(t), freeAddr(t)
	p.start(moves)
	p.eventually("the new addresses are known", func() bool {
		for _, s := range p.up {
			all := s.Members() // none for a moment, where raft starts anew
			if len(all) != 3 || all[moves-1].PeerAddr != c.PeerAddr || all[moves-1].ClientAddr != c.ClientAddr {
				return false
			}
		}
		return true
	})
	p.sameState()
}

func TestAMemberWithoutSettingsStaysWhereItIs(t *testing.T) {
	p := running(t, 3)
	one := p.other()
	addr := p.up[one].peerAddr()
	p.stop(one)
	p.configs[one].InitialCluster, p.configs[one].PeerAddr = "", ""
	p.start(one)
	require.Equal(t, addr, p.up[one].peerAddr())
	p.sameState()
}

func TestNoMemberTakesTheAddressOfAnother(t *testing.T) {
	p := running(t, 3)
	one, leader := p.other(), p.leader()
	p.stop(one)
	c := p.configs[one]
	c.InitialCluster, c.PeerAddr, c.AdvertisePeerAddr = "", p.configs[one].withPeerAddr().PeerAddr, p.up[leader].peerAddr()
	p.start(one)
	p.eventually("it has said where it is", func() bool {
		return slices.ContainsFunc(p.up[leader].Members(), func(m protocol.Member) bool { return m.ID == one && m.ClientAddr == c.ClientAddr })
	})
	_, err := p.client().Create(t.Context(), "/after", nil)
	require.NoError(t, err)
	p.sameState()
	seen := map[string]bool{}
	for _, m := range p.up[leader].Members() {
		require.False(t, seen[m.PeerAddr], "%s is of two servers", m.PeerAddr)
		seen[m.PeerAddr] = true
	}
}

func TestShortOfDiskALeaderYieldsAndAMajorityDecides(t *testing.T) {
	p := running(t, 3)
	c := p.client(client.WithRequestTimeout(patience))
	first := p.leader()
	p.low(first, true)
	p.eventually("a server with room leads", func() bool { return p.leader() != first })
	_, err := c.Create(t.Context(), "/a", nil)
	require.NoError(t, err, "a majority has room")

	second := p.leader()
	p.low(second, true)
	p.eventually("writes are refused everywhere", func() bool {
		for id := range p.up {
			if !p.up[id].short.refusing() {
				return false
			}
		}
		return true
	})
	_, err = c.Create(t.Context(), "/b", nil)
	require.ErrorIs(t, err, client.ErrDiskFull)
	_, err = c.Get(t.Context(), "/a")
	require.NoError(t, err, "reads go on")
	p.low(first, false)
	p.eventually("writes go on", func() bool {
		_, err := c.Create(t.Context(), "/b", nil)
		return err == nil
	})
}

// low makes a server believe that its disk is short, or not any more.
func (p *fleet) low(id uint64, short bool) {
	from, to := raftlog.DiskOK, raftlog.DiskSoft
	if !short {
		from, to = to, from
	}
	p.up[id].diskChanged(from, to, 7)
}
