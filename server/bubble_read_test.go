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
		stale := 0
		n := rounds(t, "LYCAON_F1_ROUNDS", 1000)
		for i := range n {
			if p.f1(dice, fmt.Sprint(i), fmt.Sprint(i+1)) {
				stale++
			}
		}
		t.Logf("%d rounds: the old leader believed in itself and told the old value to a local read in %d", n, stale)
		require.Greater(t, stale, n/2, "the schedule has no bite")
	}, func(c *Config) { c.MaxSessionTimeout = time.Minute })
}

// f1 is one round. It tells whether the old leader believed in itself and a
// local read there was stale when the linearizable one was asked for.
func (p *pack) f1(dice *rand.Rand, old, next string) (local bool) {
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

	type reply struct {
		value string
		err   error
	}
	answered := make(chan reply, 1)
	go func() {
		n, err := asking.Get(ctx, "/x", client.Linearizable())
		if err != nil {
			n = &client.Node{}
		}
		answered <- reply{string(n.Data), err}
	}()
	soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	n, err = looking.Get(soon, "/x")
	local = err == nil && string(n.Data) == old && p.server(leader).node.Stats().State == "Leader" &&
		time.Since(delayed) < 915*time.Millisecond

	time.Sleep(time.Until(delayed.Add(time.Duration(915+dice.IntN(20)) * time.Millisecond)))
	p.den(leader).disk.stall(false)
	time.Sleep(time.Duration(dice.IntN(1000)) * time.Millisecond)
	select {
	case r := <-answered:
		require.Fail(p.t, "a linearizable read of a server that is cut off was answered", "%q, %v\n%s", r.value, r.err, p)
	default:
	}
	p.net.HealAll()
	for _, other := range p.others(leader) {
		p.net.Delay(other, host, hop)
	}
	r := <-answered
	require.NoError(p.t, r.err, "%s", p)
	require.Equal(p.t, next, r.value, "a stale linearizable read")
	require.NoError(p.t, <-written)
	return local
}
