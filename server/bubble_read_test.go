package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
)

// rounds is how often a schedule runs, unless an environment variable says
// otherwise.
func rounds(t *testing.T, variable string, usual int) int {
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, variable)
	return n
}

// The acknowledgements of followers are under way, the leader's disk stalls,
// the leader is cut off, and another one commits a new value. Then somebody
// asks the old leader, whose disk comes back while acknowledgements arrive, and
// must not be told the old value: what was sent before the question proves
// nothing.
func TestBubbleLinearizableReadsAreNeverStale(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		p.ready()
		w := p.client(nil)
		defer w.Abandon()
		for _, path := range []string{"/x", "/y"} {
			_, err := w.Create(t.Context(), path, []byte("0"))
			require.NoError(t, err)
		}
		dice := rand.New(rand.NewPCG(1, 1))
		stale, answered := 0, 0
		n := rounds(t, "LYCAON_F1_ROUNDS", 1000)
		for i := range n {
			local, linearizable := p.f1(dice, fmt.Sprint(i), fmt.Sprint(i+1))
			if local {
				stale++
			}
			if linearizable {
				answered++
			}
		}
		t.Logf("%d rounds: the old leader believed in itself and told the old value to a local read in %d; linearizable reads were answered after the fault in %d", n, stale, answered)
		require.Equal(t, n, answered)
		require.Greater(t, stale, n/2, "the schedule has no bite")
	}, func(c *Config) { c.MaxSessionTimeout = time.Minute })
}

// f1 is one round. It tells whether the old leader believed in itself and a
// local read there was stale when the linearizable one was asked for, and
// whether that was answered in the end.
func (p *pack) f1(dice *rand.Rand, old, next string) (local, linearizable bool) {
	p.t.Helper()
	leader := p.ready()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	host := hostOf(leader)
	long := client.WithSessionTimeout(30 * time.Second)
	asking, looking, writing := p.client([]uint64{leader}, long), p.client([]uint64{leader}, long), p.client([]uint64{leader}, long)
	majority := p.client([]uint64{leader%3 + 1, (leader+1)%3 + 1})
	for _, c := range []*client.Client{asking, looking, writing, majority} {
		defer c.Abandon()
	}
	n, err := asking.Get(ctx, "/x", client.Linearizable())
	require.NoError(p.t, err, "%s", p)
	require.Equal(p.t, old, string(n.Data))

	// Those of heartbeats that go out before the cut arrive after the question:
	// of one follower just before the disk is well again, of the other just after.
	delayed := time.Now()
	for i, other := range p.others(leader) {
		p.net.Delay(other, host, []time.Duration{850, 935}[i]*time.Millisecond)
	}
	p.den(leader).disk.stall(true)
	written := make(chan error, 1)
	go func() { _, err := writing.Set(ctx, "/y", nil); written <- err }()
	time.Sleep(61 * time.Millisecond) // a heartbeat goes out every 30 to 60 ms
	for _, other := range p.others(leader) {
		p.net.Cut(host, other)
	}
	_, err = majority.Set(ctx, "/x", []byte(next))
	require.NoError(p.t, err, "%s", p)

	answered := make(chan string, 1)
	go func() {
		defer close(answered)
		if n, err := asking.Get(ctx, "/x", client.Linearizable()); err == nil {
			answered <- string(n.Data)
		}
	}()
	n, err = looking.Get(ctx, "/x")
	local = err == nil && string(n.Data) == old && p.server(leader).node.Stats().State == "Leader" &&
		time.Since(delayed) < 915*time.Millisecond

	time.Sleep(time.Until(delayed.Add(time.Duration(915+dice.IntN(20)) * time.Millisecond)))
	p.den(leader).disk.stall(false)
	time.Sleep(time.Duration(dice.IntN(1000)) * time.Millisecond)
	select {
	case value := <-answered:
		require.Fail(p.t, "a linearizable read of a server that is cut off was answered", "%q", value)
	default:
	}
	p.net.HealAll()
	for _, other := range p.others(leader) {
		p.net.Delay(other, host, hop)
	}
	value, linearizable := <-answered
	require.True(p.t, !linearizable || value == next, "a stale linearizable read: %q", value)
	require.NoError(p.t, <-written)
	return local, linearizable
}
