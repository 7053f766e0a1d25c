package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/replicate"
	"github.com/lycaon-io/lycaon/znode"
)

// member has a server change the membership.
func (p *pack) member(on uint64, action protocol.MemberAction, id uint64, addr string) {
	p.t.Helper()
	require.NoError(p.t, p.tryMember(on, action, id, addr), "%s %d\n%s", action, id, p)
}

func (p *pack) tryMember(on uint64, action protocol.MemberAction, id uint64, addr string) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	return p.server(on).ChangeMember(ctx, protocol.MemberChange{Action: action, ID: id, Addr: addr})
}

func (p *pack) suffrage(on, id uint64) replicate.Suffrage {
	for _, m := range p.server(on).node.Members() {
		if m.ID == id {
			return m.Suffrage
		}
	}
	return "none"
}

// fatally waits until a server gives up and returns its reason.
func (p *pack) fatally(id uint64) (err error) {
	p.t.Helper()
	p.await(fmt.Sprintf("server %d gives up", id), 30*time.Second, func() bool {
		select {
		case err = <-p.server(id).Fatal():
			return true
		default:
			return false
		}
	})
	p.stop(id)
	return err
}

func TestBubbleAServerJoinsVotesAndLeaves(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		leader := p.ready()
		follower := leader%3 + 1
		c := p.client([]uint64{leader, follower})
		defer c.Abandon()
		p.put(c, "/before", time.Second)

		joiner := p.newDen(4)
		joiner.join = "10.0.0.1:2888,10.0.0.2:2888,10.0.0.3:2888"
		p.start(4)
		require.ErrorContains(t, p.fatally(4), "lycaon member add 4=10.0.0.4:2888")
		p.member(follower, protocol.AddMember, 4, "10.0.0.4:2888")
		p.start(4)
		p.ready()
		p.agree(5 * time.Second)
		p.has(4, "/before")
		require.Equal(t, replicate.Observer, p.suffrage(leader, 4))

		p.member(follower, protocol.PromoteMember, 4, "")
		require.Equal(t, replicate.Voter, p.suffrage(leader, 4))
		third := 6 - leader - follower
		p.kill(third)
		p.put(c, "/three-of-four", 2*time.Second)
		p.alone(4) // two of four are no majority
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := c.Create(ctx, "/two-of-four", nil)
		require.Error(t, err)
		p.net.HealAll()
		p.start(third)
		p.ready()

		p.member(follower, protocol.DemoteMember, 4, "")
		p.await("it has no vote", time.Second, func() bool { return p.suffrage(follower, 4) == replicate.Observer })
		p.member(follower, protocol.RemoveMember, 4, "")
		require.ErrorIs(t, p.fatally(4), ErrRemoved)
		p.ready()
		p.put(c, "/after", time.Second)
		p.agree(5 * time.Second)
		require.Len(t, p.server(leader).node.Members(), 3)
	})
}

func TestBubbleALeaderRemovesItself(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		old := p.ready()
		c := p.client([]uint64{old%3 + 1})
		defer c.Abandon()
		p.put(c, "/before", time.Second)
		p.member(old, protocol.RemoveMember, old, "")
		took := p.put(c, "/after", 5*time.Second)
		t.Logf("first write after %v", took)
		require.ErrorIs(t, p.fatally(old), ErrRemoved)
		p.ready()
		p.agree(5 * time.Second)
		require.Len(t, p.server(old%3+1).node.Members(), 2)
	})
}

func TestBubbleAWipedServerIsReplaced(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		leader := p.ready()
		wiped := leader%3 + 1
		c := p.client([]uint64{leader})
		defer c.Abandon()
		p.put(c, "/a", time.Second)
		p.kill(wiped)
		p.wipe(wiped)
		p.member(leader, protocol.ReplaceMember, wiped, "")
		p.start(wiped)
		p.ready()
		p.put(c, "/b", time.Second)
		p.agree(5 * time.Second)
		p.has(wiped, "/a", "/b")
	})
}

func TestBubbleTheOldDataOfAReplacedServerIsRefused(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		leader := p.ready()
		replaced := leader%3 + 1
		p.kill(replaced)
		d := p.den(replaced)
		dir, disk := d.dir, d.disk
		p.wipe(replaced)
		p.member(leader, protocol.ReplaceMember, replaced, "")
		p.start(replaced)
		p.ready()
		p.kill(replaced)
		d.dir, d.disk = dir, disk // somebody puts the old disk back
		p.start(replaced)
		c := p.client([]uint64{leader})
		defer c.Abandon()
		p.put(c, "/goes-on", 2*time.Second)
		require.ErrorContains(t, p.fatally(replaced), fmt.Sprintf("server %d", replaced))
		p.put(c, "/goes-on-still", 2*time.Second)
	})
}

func TestBubbleRulesOfMembershipAreTold(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		leader := p.ready()
		for name, change := range map[string]protocol.MemberChange{
			"a member is not added again": {Action: protocol.AddMember, ID: 2, Addr: "10.0.0.9:2888"},
			"a stranger is not removed":   {Action: protocol.RemoveMember, ID: 9},
			"a stranger is not promoted":  {Action: protocol.PromoteMember, ID: 9},
			"an address is needed":        {Action: protocol.AddMember, ID: 4},
		} {
			for _, on := range []uint64{leader, leader%3 + 1} {
				require.ErrorIs(t, p.tryMember(on, change.Action, change.ID, change.Addr), znode.ErrBadArguments, name)
			}
		}
		require.Len(t, p.server(leader).node.Members(), 3)
	})
}

func TestBubbleLeadershipIsTransferred(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		old := p.ready()
		c := p.client(nil)
		defer c.Abandon()
		for _, to := range []uint64{old%3 + 1, (old+1)%3 + 1, old} {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			require.NoError(t, p.server(old).TransferLeader(ctx, to))
			cancel()
			took := p.put(c, fmt.Sprint("/led-by-", to, time.Now().UnixNano()), time.Second)
			require.Less(t, took, 100*time.Millisecond)
			p.await("it leads", time.Second, func() bool { return p.leader() == to })
		}
		p.agree(time.Second)
	})
}

func TestBubbleClientsOfAFollowerHearOfAChangedMembership(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		leader := p.ready()
		follower := leader%3 + 1
		c := p.client([]uint64{follower})
		defer c.Abandon()
		line := func(id int, role string) string {
			return fmt.Sprintf("server.%d=10.0.0.%d:2888:2889:%s;10.0.0.%d:2181\n", id, id, role, id)
		}
		three := line(1, "participant") + line(2, "participant") + line(3, "participant")
		var version string
		says := func(want string) bool {
			n, err := c.Get(t.Context(), "/zookeeper/config")
			require.NoError(t, err)
			text, newer, _ := strings.Cut(string(n.Data), "version=")
			if text != want || newer == version {
				return false
			}
			require.Equal(t, fmt.Sprintf("%x", n.Stat.Mzxid), newer)
			version = newer
			return true
		}
		p.await("the members are named", 10*time.Second, func() bool { return says(three) })

		w, err := c.Watch(t.Context(), "/zookeeper/config")
		require.NoError(t, err)
		defer w.Close()
		p.member(follower, protocol.AddMember, 4, "10.0.0.4:2888")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		event, err := w.Next(ctx)
		require.NoError(t, err)
		require.Equal(t, client.EventChanged, event.Type)
		require.True(t, says(three+"server.4=10.0.0.4:2888:2889:observer\n"))
		p.member(follower, protocol.RemoveMember, 4, "")
		_, err = w.Next(ctx)
		require.NoError(t, err)
		require.True(t, says(three))
		_, err = c.Set(t.Context(), "/zookeeper/config", []byte("mine"))
		require.ErrorIs(t, err, client.ErrNoAuth)
	})
}
