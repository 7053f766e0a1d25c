package server

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/server/state"
)

// heard notes when a client last wrote to a server.
type heard struct {
	net.Conn
	mu   *sync.Mutex
	last *time.Time
}

func (h heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	*h.last = time.Now()
	h.mu.Unlock()
	return h.Conn.Write(b)
}

// silenced opens a session at a server, lives with it for a while and cuts its
// client off. It tells when the client last said something that arrived.
func (p *pack) silenced(at uint64, timeout time.Duration) (id uint64, last time.Time) {
	p.t.Helper()
	var mu sync.Mutex
	p.clients++
	host := p.net.Host(fmt.Sprintf("10.0.1.%d", p.clients))
	c, err := client.Open(p.t.Context(), []string{hostOf(at) + ":2181"}, client.WithOnlyGivenServers(), client.WithSessionTimeout(timeout),
		client.WithDialer(func(ctx context.Context, _, addr string) (net.Conn, error) {
			conn, err := host.Dial(ctx, addr)
			return heard{conn, &mu, &last}, err
		}))
	require.NoError(p.t, err)
	require.Equal(p.t, timeout, c.Session().Timeout())
	_, err = c.Create(p.t.Context(), fmt.Sprint("/of-", c.Session().ID()), nil, client.Ephemeral())
	require.NoError(p.t, err)
	time.Sleep(3*timeout + 137*time.Millisecond)
	require.Equal(p.t, client.Connected, c.Session().State())
	id = uint64(c.Session().ID())
	for _, d := range p.dens {
		p.net.Isolate(host.Name(), d.host)
	}
	mu.Lock()
	defer mu.Unlock()
	defer c.Abandon()
	return id, last
}

// expiry lets time pass, a millisecond at a time, until a session has ended on
// a server.
func (p *pack) expiry(on, id uint64) time.Time {
	p.t.Helper()
	limit := time.Now().Add(5 * time.Minute)
	for {
		lives := false
		p.server(on).core.View(func(m *state.Machine) { _, lives = m.Sessions().Get(id) })
		if !lives {
			return time.Now()
		}
		require.True(p.t, time.Now().Before(limit), "the session never ends\n%s", p)
		time.Sleep(time.Millisecond)
	}
}

// look is how often the leader collects signs of life and looks at deadlines in
// these tests, report how often followers send theirs.
const (
	look   = 50 * time.Millisecond
	report = time.Second / 6
)

func oftenLooking(c *Config) { c.Tick = look }

// logged is what an expiry takes from its proposal until it is applied.
const logged = 5 * time.Millisecond

// A session of which nothing is heard after an instant s ends at the earliest
// at s + timeout. A sign of life counts from the leader's next look, and a
// deadline is found passed at a look: two of them are the latest, and a
// follower's report before them.
func TestBubbleASessionEndsWhenItsTimeIsUp(t *testing.T) {
	for _, timeout := range []time.Duration{time.Second, 2500 * time.Millisecond, 10 * time.Second} {
		t.Run(timeout.String(), func(t *testing.T) {
			inBubble(t, 3, func(t *testing.T, p *pack) {
				leader := p.ready()
				for _, at := range []uint64{leader, leader%3 + 1} {
					id, last := p.silenced(at, timeout)
					took := p.expiry(leader, id).Sub(last)
					latest := timeout + 2*look + logged
					if at != leader {
						latest += report + hop
					}
					t.Logf("at the leader: %v, ended %v after the last word", at == leader, took)
					require.GreaterOrEqual(t, took, timeout)
					require.LessOrEqual(t, took, latest)
				}
				p.agree(time.Second)
			}, oftenLooking)
		})
	}
}

// After a change of leaders everybody has the full timeout from when the new
// one begins, and the outage on top.
func TestBubbleANewLeaderGivesFullTimeoutsAndTheOutage(t *testing.T) {
	for _, timeout := range []time.Duration{time.Second, 6 * time.Second} {
		t.Run(timeout.String(), func(t *testing.T) {
			inBubble(t, 3, func(t *testing.T, p *pack) {
				old := p.ready()
				alive := p.client(nil, client.WithSessionTimeout(timeout))
				defer alive.Abandon()
				id, _ := p.silenced(old, timeout)
				killed := time.Now()
				p.kill(old)
				for p.leader() == 0 {
					time.Sleep(time.Millisecond)
				}
				elected, leader := time.Now(), p.leader()
				for !p.server(leader).node.Stats().Leading || p.server(leader).Condition() != nil {
					time.Sleep(time.Millisecond)
				}
				began := time.Now()
				ended := p.expiry(leader, id)
				// The outage is counted from the newest report that the dead leader took.
				t.Logf("elected %v and in office %v after the death, ended %v after that", elected.Sub(killed), began.Sub(killed), ended.Sub(began))
				require.GreaterOrEqual(t, ended.Sub(elected)+time.Millisecond, timeout+elected.Sub(killed))
				require.LessOrEqual(t, ended.Sub(began), timeout+began.Sub(killed)+report+2*look+logged)
				require.Equal(t, client.Connected, alive.Session().State())
			}, oftenLooking)
		})
	}
}

// A client is told of the end of its session before anybody else may see it.
func TestBubbleAClientCutOffKnowsBeforeItsSessionEnds(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		leader := p.ready()
		for _, at := range []uint64{leader, leader%3 + 1} {
			c := p.client([]uint64{at}, client.WithSessionTimeout(3*time.Second))
			time.Sleep(5*time.Second + 71*time.Millisecond)
			told := make(chan time.Time, 1)
			go func() { <-c.Session().Context().Done(); told <- time.Now() }()
			host := fmt.Sprintf("10.0.1.%d", p.clients)
			for _, d := range p.dens {
				p.net.Isolate(host, d.host)
			}
			ended := p.expiry(leader, uint64(c.Session().ID()))
			require.Len(t, told, 1, "the session has ended and its client believes in it")
			require.False(t, (<-told).After(ended))
			c.Abandon()
		}
	}, oftenLooking)
}

// A follower that has lost the leader sends its clients away in time: those of
// its sessions that find another server live on.
func TestBubbleAFollowerCutOffSendsItsClientsAway(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		leader := p.ready()
		follower := leader%3 + 1
		c := p.client(nil, client.WithSessionTimeout(3*time.Second))
		defer c.Abandon()
		pinned := p.client([]uint64{follower}, client.WithSessionTimeout(3*time.Second))
		defer pinned.Abandon()
		p.alone(follower)
		p.await("the follower holds no connection", 3*time.Second, func() bool { return p.server(follower).front.Stats().Connections == 0 })
		time.Sleep(10 * time.Second)
		require.Equal(t, client.Connected, c.Session().State())
		require.Equal(t, client.Expired, pinned.Session().State())
		_, err := p.tryClient([]uint64{follower}, client.WithRequestTimeout(2*time.Second))
		require.Error(t, err, "a server without a leader takes a session")
		p.net.HealAll()
		p.ready()
		p.agree(5 * time.Second)
	})
}
