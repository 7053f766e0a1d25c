package main

import (
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// breathing counts signs of life.
type breathing struct {
	actor
	breaths atomic.Int64
	broken  bool
}

func (*breathing) ephemeral(string) error { return nil }
func (*breathing) Close() error           { return nil }
func (b *breathing) ping() error {
	b.breaths.Add(1)
	if b.broken {
		return errNoAnswer
	}
	return nil
}

// here is a venue whose servers are all this process.
func here(servers int) *venue {
	self := &process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}
	e := &ensemble{}
	for _, addr := range []string{"leader", "follower", "another"}[:servers] {
		e.members = append(e.members, &member{addr: addr, process: self})
	}
	return &venue{ensemble: e}
}

func TestIdleSessionsAreMeasuredWhenAllHaveRested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at = map[string]*breathing{"leader": {}, "follower": {}, "another": {}}
		e := entrant{signs: signs{leader: 2, follower: 4}, dial: func(addr string) (actor, error) { return at[addr], nil }}
		broken := entrant{signs: signs{leader: 3}, dial: func(string) (actor, error) { return &breathing{broken: true}, nil }}
		three, err := rest(here(3), e)
		require.NoError(t, err)
		time.Sleep(restFor / 2) // while others open theirs
		one, err := rest(here(1), broken)
		require.NoError(t, err)
		opened := time.Now()
		measured, failed := measureRest(t.Context(), []*resting{three, one}, restFor, idleFor)
		require.Equal(t, restFor+idleFor, time.Since(opened))
		require.Equal(t, []error{nil, failed[1]}, failed, "what befalls one is no other's")
		require.ErrorIs(t, failed[1], errNoAnswer)
		require.Positive(t, measured[0][rssMiB])
		whole := (restFor*3/2 + idleFor).Seconds() / sessionLength.Seconds()
		for addr, each := range map[string]float64{"leader": 2, "follower": 4, "another": 4} {
			require.InEpsilon(t, whole*each*idlers/3, at[addr].breaths.Load(), 0.01, addr)
		}
	})
}

func TestWhatServersTakeIsTakenOverTheSpan(t *testing.T) {
	begin := time.Unix(1000, 0)
	got := spent(usage{at: begin, cpu: time.Second, rss: 64 << 20}, usage{at: begin.Add(10 * time.Second), cpu: 1600 * time.Millisecond, rss: 65 << 20}, 3)
	require.InDeltaMapValues(t, figures{idlePercent: 2, firstMiB: 64, rssMiB: 65, refusals: 0}, got, 1e-9)
}

func TestWhatLivesInAnIdleServerIsJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &breathing{}
		lives := []float64{20 << 20, 21 << 20}
		weigh := func() (float64, error) {
			live := lives[0]
			lives = lives[1:]
			return live, nil
		}
		got, err := idle(t.Context(), here(1), entrant{signs: signs{leader: 2}, dial: func(string) (actor, error) { return at, nil }}, restFor, idleFor, weigh)
		require.NoError(t, err)
		require.InDelta(t, 20, got[firstLive], 1e-9)
		require.InDelta(t, 21, got[liveMiB], 1e-9)
	})
	for last, want := range map[float64]string{21: "- 1 server: +3.0 MiB resident in those 30 s, +1.00 MiB of what lives in one after a collection: **it grows**, by more than 0.1 MiB.\n",
		20.05: "+0.05 MiB of what lives in one after a collection: at rest, within 0.1 MiB.\n"} {
		var b strings.Builder
		summarizeCells([]cell{{Servers: 1, Scene: idleScene, Entrant: alone, Run: 1, Figures: figures{firstMiB: 50, rssMiB: 53, firstLive: 20, liveMiB: last}}}).tellGrowth(&b)
		require.Contains(t, b.String(), want)
	}
}

func TestWhereNobodyIsToRestNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		measureSleep(t.Context(), nil, idleFor)
		require.Zero(t, time.Since(began))
	})
}
