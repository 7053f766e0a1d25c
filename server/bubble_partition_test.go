package server

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
)

// alone cuts a server off from all others; clients still reach it.
func (p *pack) alone(id uint64) { p.net.Isolate(hostOf(id), p.others(id)...) }

func TestBubbleALeaderCutOffAloneIsReplaced(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		old := p.ready()
		c := p.client(nil)
		defer c.Abandon()
		stuck := p.client([]uint64{old})
		defer stuck.Abandon()
		p.put(c, "/before", time.Second)
		p.alone(old)

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := stuck.Create(ctx, "/lost", nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		p.put(c, "/after", 8*time.Second)
		p.await("the old leader knows", 5*time.Second, func() bool {
			return p.server(old).node.Stats().State != "Leader" && p.server(old).Condition() != nil
		})
		require.NotEqual(t, old, p.leader())

		p.net.HealAll()
		p.ready()
		p.agree(5 * time.Second)
		p.has(old, "/before", "/after")
	})
}

func TestBubbleTheMinorityWaitsAndTheMajorityGoesOn(t *testing.T) {
	inBubble(t, 5, func(t *testing.T, p *pack) {
		leader := p.ready()
		partner := leader%5 + 1
		minority := []uint64{leader, partner}
		for _, id := range minority {
			p.net.Isolate(hostOf(id), p.others(minority...)...)
		}
		var majority []uint64
		for id := range uint64(5) {
			if id+1 != leader && id+1 != partner {
				majority = append(majority, id+1)
			}
		}
		c := p.client(nil)
		defer c.Abandon()
		p.put(c, "/majority", 8*time.Second)
		p.await("the minority does not serve", 5*time.Second, func() bool {
			return p.server(leader).Condition() != nil && p.server(partner).Condition() != nil
		})
		require.Contains(t, majority, p.leader())
		p.net.HealAll()
		p.ready()
		p.agree(5 * time.Second)
	})
}

func TestBubbleAServerThatHearsNobodyDeposesNobody(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		leader := p.ready()
		deaf := leader%3 + 1
		_, term := p.server(leader).node.Leader()
		for _, host := range p.others(deaf) {
			p.net.Cut(host, hostOf(deaf))
		}
		c := p.client([]uint64{leader})
		defer c.Abandon()
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
			p.put(c, "/t"+time.Now().Format("150405"), 100*time.Millisecond)
		}
		p.net.HealAll()
		p.ready()
		after, in := p.server(leader).node.Leader()
		require.Equal(t, leader, after)
		require.Equal(t, term, in, "the term has moved")
		p.agree(5 * time.Second)
	})
}

func TestBubbleAServerThatNobodyHearsDeposesNobody(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		leader := p.ready()
		mute := leader%3 + 1
		for _, host := range p.others(mute) {
			p.net.Cut(hostOf(mute), host)
		}
		c := p.client([]uint64{leader})
		defer c.Abandon()
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
			p.put(c, "/t"+time.Now().Format("150405"), 100*time.Millisecond)
		}
		p.net.HealAll()
		p.ready()
		p.agree(5 * time.Second)
	})
}

func TestBubbleALeaderThatHearsNobodyIsReplaced(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		old := p.ready()
		c := p.client(nil)
		defer c.Abandon()
		for _, host := range p.others(old) {
			p.net.Cut(host, hostOf(old))
		}
		p.put(c, "/deaf-leader", 10*time.Second)
		require.NotEqual(t, old, p.leader())
		p.net.HealAll()
		p.ready()
		p.agree(5 * time.Second)
	})
}

func TestBubbleALeaderThatNobodyHearsIsReplaced(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		old := p.ready()
		c := p.client(nil)
		defer c.Abandon()
		for _, host := range p.others(old) {
			p.net.Cut(hostOf(old), host)
		}
		p.put(c, "/mute-leader", 10*time.Second)
		require.NotEqual(t, old, p.leader())
		p.net.HealAll()
		p.ready()
		p.agree(5 * time.Second)
	})
}

func TestBubbleASessionOutlivesItsServersSilence(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		follower := p.ready()%3 + 1
		c := p.client(nil, client.WithSessionTimeout(6*time.Second))
		defer c.Abandon()
		id := c.Session().ID()
		_, err := c.Create(t.Context(), "/mine", []byte("/mine"), client.Ephemeral())
		require.NoError(t, err)
		for _, d := range p.dens { // wherever it is
			p.alone(d.id)
			time.Sleep(10 * time.Second)
			p.put(c, "/on-"+d.host, 8*time.Second)
			p.net.HealAll()
			p.ready()
		}
		require.Equal(t, id, c.Session().ID())
		p.agree(5 * time.Second)
		p.has(follower, "/mine")
	})
}
