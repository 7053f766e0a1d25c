package main

import (
	"errors"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/require"
)

func TestACopyBelongsToWhoHasItMade(t *testing.T) {
	const arena = "github.com/dgraph-io/badger/v4/skl.(*Arena).putVal"
	w := divide(&profile.Profile{Sample: []*profile.Sample{
		taken(20, "runtime.memmove", arena, "github.com/dgraph-io/badger/v4.(*DB).writeToLSM"), taken(10, "runtime.memmove", "bytes.(*Buffer).Write", "io.(*multiWriter).Write", arena),
		taken(10, "runtime.memmove", "runtime.growslice", "github.com/lycaon-io/lycaon/znode.cloneData"), taken(10, "runtime.memmove", "bufio.(*Reader).Read", "main.main"), taken(50, "runtime.futex")}})
	require.InDelta(t, 0.5, w.copied, 1e-9)
	require.Equal(t, []function{{arena, 0.6}, {"bufio.(*Reader).Read", 0.2}, {"github.com/lycaon-io/lycaon/znode.cloneData", 0.2}}, w.copiers)
	require.Equal(t, 5, w.samples)
}

func TestEveryWorkloadStandsInALine(t *testing.T) {
	seen := func(servers int, follows bool, scene string, rate float64) profiled {
		return profiled{servers: servers, follows: follows, scene: scene, rate: rate, elapsed: 2e9, cpu: 1e9, grown: map[string]float64{syncsTotal: 4, sleeps: 8},
			where: where{groups: map[string]float64{badger: 0.25}, copied: 0.125, copiers: []function{{"github.com/a/b.(*C[go.shape.x/y]).copy", 1}}, samples: 1200},
			again: again{calls: map[string]float64{allCalls: 17}, holders: waits{3, []function{{"holder", 0.5}}}}}
	}
	chore := seen(1, false, startChore, 0)
	chore.again = again{}
	p := profiling{length: 5 * time.Second, every: true, all: []profiled{seen(1, false, "writes", 2000), chore, seen(3, true, "sessions", 400), {servers: 3, scene: "reads", err: errors.New("broken")}}}
	page := p.everything("Here.")
	for _, part := range []string{"# Where the CPU goes, of every workload\n", "## One server\n", "## Follower of 3\n", "leader of 3, reads failed: broken\n",
		"| % of the CPU | network in | network out |", "| 1,200 |\n", "| writes | 2,000 | 50 | 0.25 | 17 | 2 | 1 |", "| " + startChore + " (a second) | - | 50 | 0.5 | - | 4 | 2 |",
		"| sessions | 12.5: 100 % `b.(*C` |  | 3: 50 % `holder` | - |\n"} {
		require.Contains(t, page, part)
	}
	require.NotContains(t, page, "## Leader of 3")
	require.NotContains(t, p.markdown("Here."), "follower of 3")
	require.Contains(t, p.markdown("Here."), "| % of the CPU | one server, writes |\n")
	require.Len(t, shortGroups, len(groupOrder))
	require.Equal(t, remainder, shortGroups[len(shortGroups)-1])
}

func TestALookBeginsWithTheLoad(t *testing.T) {
	t.Parallel()
	v := &venue{ensemble: &ensemble{}}
	m := &member{}
	f, err := v.beside([]*member{m}, func(_ int, at *member) error {
		require.Same(t, m, at)
		return errNoAnswer
	}, func() (figures, error) {
		require.NotNil(t, v.looker)
		v.begun()
		v.begun() // of the same load
		return figures{rate: 7}, nil
	})
	require.ErrorIs(t, err, errNoAnswer)
	require.Equal(t, figures{rate: 7}, f)
	broken := errors.New("no load")
	_, err = v.beside([]*member{m}, func(int, *member) error { panic("not begun") }, func() (figures, error) { return nil, broken })
	require.Equal(t, broken, err)
	require.Nil(t, v.looker)
}

func TestNewsIsCountedByWhoTellsIt(t *testing.T) {
	told := func() []profiled {
		return []profiled{{elapsed: 2e9, grown: map[string]float64{"lycaon_messages_sent_total": 600}}, {elapsed: 2e9, grown: map[string]float64{"lycaon_messages_sent_total": 200}}}
	}
	all, watchers := told(), act{name: "one change to 100 watchers"}
	rateAll(all, 5, watchers, figures{rate: 3})
	require.InDelta(t, 700, all[0].rate, 1e-9) // 300 and four times 100
	rateAll(all[:1], 1, watchers, figures{rate: 3})
	require.InDelta(t, 300, all[0].rate, 1e-9)
	rateAll(all, 3, act{name: "writes"}, figures{rate: 3})
	require.InDelta(t, 3, all[1].rate, 1e-9)

	l := again{calls: map[string]float64{allCalls: 10}}
	l.forEach(0, act{name: idleScene}, figures{}) // a second as it is
	require.InDelta(t, 10, l.calls[allCalls], 1e-9)
	l.forEach(0, act{name: "writes"}, figures{rate: 500})
	require.InDelta(t, 20, l.calls[allCalls], 1e-9)
}

func TestTheMainScenesAreLookedAtLongest(t *testing.T) {
	p := profiling{length: 5 * time.Second}
	first := func(scene string) time.Duration {
		d, _ := p.lengths(act{name: scene})
		return d
	}
	require.Equal(t, 5*time.Second, first("sessions"))
	p.every = true
	require.Equal(t, 3*time.Second, first("sessions"))
	require.Equal(t, 5*time.Second, first("writes"))
	require.Equal(t, 20*time.Second, first(idleScene))
}
