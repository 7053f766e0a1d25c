package replicate

import (
	"time"

	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

// reaper finds the containers and TTL nodes whose time has come, on the
// leader's monotonic clock: a node lives its TTL from when this leader first
// saw it as it is, so a leader change gives it all of its TTL again.
type reaper struct {
	seen  map[string]sighting
	next  string // where the next look goes on
	round uint64 // rises when a look has come to the end of the tree
}

type sighting struct {
	mzxid, pzxid uint64
	due          time.Duration
	round        uint64
}

// look takes note of nodes in the tree's order and returns those to delete, at
// most limit. next is "" when they were the last ones.
func (r *reaper) look(found []znode.Mortal, next string, now time.Duration, limit int) []znode.Mortal {
	if r.seen == nil {
		r.seen = map[string]sighting{}
	}
	var dead []znode.Mortal
	for _, m := range found {
		s, known := r.seen[m.Path]
		if !known || s.mzxid != m.Mzxid || s.pzxid != m.Pzxid {
			s = sighting{mzxid: m.Mzxid, pzxid: m.Pzxid, due: now + ms(m.TTLMs)}
		} else if now >= s.due && len(dead) < limit {
			s.due = now + reapRetry
			dead = append(dead, m)
		}
		s.round = r.round
		r.seen[m.Path] = s
	}
	if r.next = next; next == "" {
		r.endRound()
	}
	return dead
}

// endRound forgets the nodes that this round did not meet.
func (r *reaper) endRound() {
	for path, s := range r.seen {
		if s.round != r.round {
			delete(r.seen, path)
		}
	}
	r.round++
}

// reap looks at a portion of the mortal nodes and proposes the end of those
// that are due. A node that changed in between survives.
func (d *duties) reap() {
	if !d.leads() {
		return
	}
	now := d.heardTime()
	left := maxReapsPerLook
	for looked := 0; looked < maxMortalsPerLook && left > 0; looked += mortalsPerView {
		var found []znode.Mortal
		var next string
		d.machine.View(func(m *state.Machine) { found, next = m.Tree().Mortals(d.reaper.next, mortalsPerView) })
		dead := d.reaper.look(found, next, now, left)
		left -= len(dead)
		for _, m := range dead {
			d.counts.reaped.Add(1)
			d.prop.Append(&state.Txn{Kind: state.TxnReap, Path: m.Path, Mzxid: m.Mzxid, Pzxid: m.Pzxid})
		}
		if next == "" {
			return
		}
	}
}

// heardTime is the time by which TTL nodes are judged: it stands still whenever
// this server does.
func (d *duties) heardTime() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.listened - d.lost
}

func (d *duties) leads() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.leading
}
