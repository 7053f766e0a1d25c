package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
)

// smallSnapshots are taken after every MiB of log.
func smallSnapshots(c *Config) { c.SnapshotBytes = minSnapshotBytes }

// pour writes so much that the log is cut several times: after every 64 nodes, and
// what is left begins 64 to 192 of them before its end.
func (p *pack) pour(c *client.Client, name string) {
	p.t.Helper()
	data := []byte(strings.Repeat(name, 16<<10/len(name)))
	for i := range 288 {
		ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Second)
		_, err := c.Create(ctx, fmt.Sprintf("/%s-%d", name, i), data)
		cancel()
		require.NoError(p.t, err, "%s", p)
	}
}

func TestBubbleAFollowerThatLagsGetsASnapshot(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		leader := p.ready()
		lame := leader%3 + 1
		c := p.client([]uint64{leader})
		defer c.Abandon()
		p.put(c, "/before", time.Second)
		for name, away := range map[string]func(){
			"dead":   func() { p.kill(lame) },
			"cutoff": func() { p.alone(lame) },
		} {
			away()
			_, last, _ := p.den(lame).disk.reach()
			p.pour(c, name)
			first, _, _ := p.den(leader).disk.reach()
			// What was under way to a host that is cut off reaches it later: up to
			// 64 entries, which may have been read before the log was cut.
			require.Greater(t, first, last+64, "the log still bridges")
			p.net.HealAll()
			if p.server(lame) == nil {
				p.start(lame)
			}
			p.ready()
			p.agree(10 * time.Second)
			p.await("an image is counted", time.Second, func() bool { return p.server(lame).node.Stats().Restores > 0 })
		}
		p.has(lame, "/before")
	}, smallSnapshots)
}

// A client of a follower that is sent a snapshot goes on, exactly once, and its
// watch has no gap that it is not told of.
func TestBubbleClientsLiveThroughASnapshotInstall(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		leader := p.ready()
		lame := leader%3 + 1
		c := p.client([]uint64{leader})
		defer c.Abandon()
		there := p.client([]uint64{lame}, client.WithSessionTimeout(time.Minute))
		defer there.Abandon()
		p.put(there, "/mine", time.Second)
		p.alone(lame)
		written := make(chan error, 1)
		go func() { _, err := there.Set(t.Context(), "/mine", []byte("/mine")); written <- err }()
		p.pour(c, "while-away")
		require.Empty(t, written)
		p.net.HealAll()
		require.NoError(t, <-written)
		n, err := there.Get(t.Context(), "/mine")
		require.NoError(t, err)
		require.EqualValues(t, 1, n.Stat.Version, "written once")
		require.Equal(t, client.Connected, there.Session().State())
		p.ready()
		p.agree(10 * time.Second)
	}, smallSnapshots, func(c *Config) { c.MaxSessionTimeout = 2 * time.Minute })
}

// A follower whose store refuses a write now and then must get entries again
// when it takes them again, without a restart.
func TestBubbleAFollowerWhoseStoreFailsNowAndThenIsNotWedged(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		leader := p.ready()
		lame := leader%3 + 1
		c := p.client([]uint64{leader})
		defer c.Abandon()
		dice := rand.New(rand.NewPCG(4, 4))
		for round := range 50 {
			var failed int
			p.den(lame).disk.failing(func() bool {
				if dice.IntN(3) > 0 {
					return false
				}
				failed++
				return true
			})
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() {
					for i := range 10 {
						p.put(c, fmt.Sprintf("/r%d-%d-%d", round, w, i), 2*time.Second)
					}
				})
			}
			wg.Wait()
			p.den(lame).disk.failing(nil)
			require.NotZero(t, failed)
			p.agree(2 * time.Second) // nothing is written meanwhile
		}
		require.Zero(t, p.server(lame).node.Stats().Rebuilds)
	})
}

// An old leader whose uncommitted tail reaches past the snapshot that it is
// sent could be sent it for ever. After the third in vain its raft starts anew,
// without the process, and that heals it.
func TestBubbleAnOldLeaderWithATailPastTheSnapshotCatchesUp(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		old := p.ready()
		c := p.client([]uint64{old%3 + 1, (old+1)%3 + 1})
		defer c.Abandon()
		p.put(c, "/before", time.Second)
		p.kill(old)
		d := p.den(old).disk
		_, committed, _ := d.reach()
		d.forge(5000) // more than the product lets a leader have
		_, tail, _ := d.reach()
		p.pour(c, "after")
		first, _, newest := p.den(p.leader()).disk.reach()
		require.Greater(t, first, committed+1, "the log still bridges")
		require.Less(t, newest, tail, "the tail is not past the snapshot")

		p.start(old)
		p.ready()
		p.agree(10 * time.Second)
		st := p.server(old).node.Stats()
		t.Logf("%d snapshots taken in, raft started anew %d times", st.Restores, st.Rebuilds)
		require.LessOrEqual(t, st.Rebuilds, uint64(1))
		require.LessOrEqual(t, st.Restores, uint64(6))
		p.has(old, "/before")
	}, smallSnapshots)
}

// What a leader that is cut off under load has logged alone stays far below
// the log that is kept.
func TestBubbleTheUncommittedTailIsBounded(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		old := p.ready()
		c := p.client([]uint64{old})
		defer c.Abandon()
		p.put(c, "/before", time.Second)
		p.agree(time.Second)
		_, committed, _ := p.den(old).disk.reach()
		p.alone(old)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() { c.Create(ctx, fmt.Sprintf("/lost-%d", i), make([]byte, 16<<10)) })
		}
		wg.Wait()
		_, tail, _ := p.den(old).disk.reach()
		require.LessOrEqual(t, tail-committed, uint64(16))
		p.net.HealAll()
		p.ready()
		p.agree(10 * time.Second)
	})
}

// A leader whose disk hangs lets another one lead, and follows it when the
// disk is well again.
func TestBubbleALeaderWhoseDiskHangsIsReplaced(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		old := p.ready()
		c := p.client([]uint64{old%3 + 1, (old+1)%3 + 1})
		defer c.Abandon()
		p.put(c, "/before", time.Second)
		p.den(old).disk.stall(true)
		took := p.put(c, "/after", 10*time.Second)
		t.Logf("first write after %v", took)
		require.Less(t, took, 3*time.Second)
		time.Sleep(10 * time.Second)
		p.den(old).disk.stall(false)
		p.ready()
		p.agree(10 * time.Second)
		p.has(old, "/before", "/after")
	})
}
