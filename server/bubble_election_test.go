package server

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
)

// put writes through a client and requires success within d of virtual time.
func (p *pack) put(c *client.Client, path string, d time.Duration) time.Duration {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), d)
	defer cancel()
	began := time.Now()
	_, err := c.Create(ctx, path, []byte(path))
	require.NoError(p.t, err, "%s\n%s", path, p)
	return time.Since(began)
}

// has requires that a server's own state holds these nodes.
func (p *pack) has(id uint64, paths ...string) {
	p.t.Helper()
	c := p.client([]uint64{id})
	defer c.Abandon()
	for _, path := range paths {
		n, err := c.Get(p.t.Context(), path)
		require.NoError(p.t, err, "server %d, %s", id, path)
		require.Equal(p.t, path, string(n.Data))
	}
}

func TestBubbleServersFoundAClusterInAnyOrder(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		p.ready()
		c := p.client(nil)
		defer c.Abandon()
		p.put(c, "/a", time.Second)
		p.agree(time.Second)
		for _, d := range p.dens {
			p.has(d.id, "/a")
		}
		require.Len(t, p.server(1).node.Members(), 3)
		p.await("the data of all are known", 10*time.Second, p.server(1).knowsAllData)
	})
}

func TestBubbleAMajorityFoundsWithoutTheLast(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		p.kill(3)
		p.wipe(3)
		p.ready()
		c := p.client(nil)
		defer c.Abandon()
		p.put(c, "/a", time.Second)
		p.start(3)
		p.ready()
		p.agree(5 * time.Second)
		p.has(3, "/a")
	})
}

func TestBubbleTheDeathOfALeaderIsAShortWait(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		old := p.ready()
		c := p.client(nil)
		defer c.Abandon()
		p.put(c, "/before", time.Second)
		p.kill(old)
		took := p.put(c, "/after", 5*time.Second)
		require.Less(t, took, time.Second)
		t.Logf("first write after %v", took)
		require.NotEqual(t, old, p.ready())
		p.start(old)
		p.ready()
		p.agree(5 * time.Second)
		p.has(old, "/before", "/after")
	})
}

func TestBubbleALeaderThatStopsHandsOver(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		old := p.ready()
		c := p.client(nil)
		defer c.Abandon()
		p.put(c, "/before", time.Second)
		term := p.server(old).Status().Term
		stopped := make(chan struct{})
		go func() { defer close(stopped); p.stop(old) }()
		took := p.put(c, "/after", 5*time.Second)
		require.Less(t, took, 100*time.Millisecond)
		<-stopped
		require.Equal(t, term+1, p.server(p.ready()).Status().Term, "one election, by arrangement")
	})
}

func TestBubbleAFollowerComesBack(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		follower := p.ready()%3 + 1
		c := p.client(nil)
		defer c.Abandon()
		p.put(c, "/a", time.Second)
		for i := range 3 {
			p.kill(follower)
			p.put(c, fmt.Sprint("/while-away-", i), 2*time.Second)
			p.start(follower)
			p.ready()
			p.agree(5 * time.Second)
			p.has(follower, "/a", fmt.Sprint("/while-away-", i))
		}
	})
}

func TestBubbleAllDieAndComeBack(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		p.ready()
		c := p.client(nil)
		defer c.Abandon()
		id := c.Session().ID()
		p.put(c, "/a", time.Second)
		_, err := c.Create(t.Context(), "/mine", []byte("/mine"), client.Ephemeral())
		require.NoError(t, err)
		for _, d := range p.dens {
			p.kill(d.id)
		}
		for _, d := range p.dens {
			p.start(d.id)
		}
		p.put(c, "/b", 10*time.Second)
		require.Equal(t, id, c.Session().ID())
		p.ready()
		p.agree(5 * time.Second)
		for _, d := range p.dens {
			p.has(d.id, "/a", "/b", "/mine")
		}
	})
}

func TestBubbleAWipedServerIsRefused(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		leader := p.ready()
		wiped := leader%3 + 1
		// One whose data nobody knows yet is taken for a founder that comes late.
		p.await("the data of all are known", 10*time.Second, p.server(leader).knowsAllData)
		c := p.client(nil)
		defer c.Abandon()
		p.put(c, "/a", time.Second)
		p.kill(wiped)
		p.wipe(wiped)
		p.start(wiped)
		var err error
		p.await("the wiped server gives up", 30*time.Second, func() bool {
			select {
			case err = <-p.server(wiped).Fatal():
				return true
			default:
				return false
			}
		})
		require.ErrorContains(t, err, "wiped or replaced")
		p.stop(wiped)
		p.put(c, "/b", time.Second)
	})
}
