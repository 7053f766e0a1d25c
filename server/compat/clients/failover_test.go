package clients

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/compat/rig"
)

// Sessions of the programs last 15 s: a pause is long enough for a client to go
// to another server, after two thirds of that, and short enough for its session.
const pause = 12 * time.Second

// live is a client that lives on while servers die.
type live struct {
	name string
	at   string                 // the server that it is on, as it says when it is ready
	end  func() (string, error) // tells it to stop and returns what it found
}

func TestCompatFailover(t *testing.T) {
	for _, n := range sizes(3) {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			e := servers(t, n)
			all := goLive(t, e.Connect(), beginPrograms(t, e))
			storm(t, e, all)
			t.Run("end", func(t *testing.T) { // which waits for all: their time ends with this function
				for _, c := range all {
					t.Run(c.name, func(t *testing.T) {
						t.Parallel()
						out, err := c.end()
						passed(t, out, err)
					})
				}
			})
		})
	}
}

// beginPrograms starts every program that can be run here and waits until each is ready.
func beginPrograms(t *testing.T, e *rig.Ensemble) []live {
	var mu sync.Mutex
	var all []live
	ctx := deadline(t) // of all that follows, not of the beginning
	t.Run("begin", func(t *testing.T) {
		for _, p := range programs {
			t.Run(p.name, func(inner *testing.T) {
				inner.Parallel()
				line := append(p.command(inner), e.Connect(), "failover")
				talk := rig.Begin(inner, ctx, line...)
				at, ready := talk.Await("READY ")
				if !ready {
					out, err := talk.Finish()
					inner.Fatalf("it is not ready: %v\n%s", err, out)
				}
				mu.Lock()
				defer mu.Unlock()
				all = append(all, live{p.name, at, talk.Finish})
			})
		}
	})
	return all
}

// storm kills and restarts the leader, then every server that a client named. In
// the long form it also stops the leader for longer than clients wait for an answer,
// and kills all servers at once.
func storm(t *testing.T, e *rig.Ensemble, all []live) {
	leader := e.Leader()
	e.Kill9(leader)
	e.Restart(leader)
	named := map[int]bool{}
	for _, c := range all {
		at := e.At(c.at)
		require.GreaterOrEqual(t, at, 0, "%s is at %q, one of %v", c.name, c.at, e.Addrs)
		if !named[at] {
			named[at] = true
			e.Kill9(at)
			e.Restart(at)
		}
	}
	if testing.Short() || len(e.Addrs) == 1 {
		return
	}
	leader = e.Leader()
	e.Pause(leader)
	time.Sleep(pause)
	e.Resume(leader)
	e.Await(leader)
	e.Stop(leader)
	e.Restart(leader)
	for i := range e.Addrs {
		e.Kill9(i)
	}
	for i := range e.Addrs {
		e.Start(i)
	}
	for i := range e.Addrs {
		e.Await(i)
	}
}
