package replicate

import (
	"errors"
	"time"

	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/server/state"
)

const (
	// scrubEvery bounds for how long a byte that flipped is given to clients.
	// Between two scrubs lie also scrubRest times the work of one, which keeps
	// them under a hundredth of a core for any size of state: a million small
	// nodes take 0.3 s of work, so theirs are a minute apart too.
	scrubEvery = time.Minute
	scrubRest  = 100
)

// scrubs recomputes the digest of the machine from memory, again and again.
func (g *guard) scrubs() {
	wait := time.NewTimer(g.scrubEvery)
	defer wait.Stop()
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-wait.C:
		case <-g.scrubSoon:
		}
		wait.Reset(max(g.scrubEvery, scrubRest*g.scrub()))
	}
}

// scrub is one scrub. It returns the time that it worked.
func (g *guard) scrub() (worked time.Duration) {
	if g.condemned() != nil || mutant.On(mutant.NoScrub) {
		return 0
	}
	image := g.n.machine.Freeze()
	p := pacer{done: g.ctx.Done(), rest: fullRest, since: time.Now()}
	err := image.Scrub(p.pace)
	worked = p.worked + time.Since(p.since)
	switch {
	case errors.Is(err, errPaceEnded):
		return worked
	case errors.Is(err, state.ErrCorrupt):
		g.damaged(err)
	}
	g.counts.scrubNanos.Store(int64(worked))
	g.counts.scrubs.Add(1)
	return worked
}

// ScrubSoon has the next scrub begin now.
func (n *Node) ScrubSoon() { hint(n.guard.scrubSoon) }
