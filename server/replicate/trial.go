package replicate

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/server/internal/beat"
	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/server/peer"
)

const (
	// trialEvery is how often the leader looks at the marks that the others
	// have sent with their touches, which costs it a look into a table each.
	trialEvery     = 250 * time.Millisecond
	loneTrialEvery = time.Second
	// blindFor is how long a server may send no mark that the leader has too
	// before it is asked for others: it lags, or its zxids are not ours.
	blindFor = time.Second
	askTime  = time.Second
	// patience is how long two servers may differ without a majority that
	// settles it, before writes halt: a server that lags behind answers in it.
	patience = 2 * time.Second
	// haltLease is how long a follower refuses writes without being told again.
	haltLease = 5 * time.Second

	coarseMarks  = 1024 // of the zxids of which marks are kept longest
	maxMarkQuery = 16
)

// trial is what the leader remembers between two looks at the others' marks.
type trial struct {
	compared map[uint64]time.Time // when a member's mark was last comparable
	open     time.Time            // since when servers differ and nothing settles it; zero: they do not
	seen     time.Time            // when they were last found to
	disputed uint64               // the zxid of it
}

// trials compares all servers while this one leads.
func (g *guard) trials() {
	tick := time.NewTimer(beat.Next(g.trialEvery))
	defer tick.Stop()
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-tick.C:
		}
		tick.Reset(beat.Next(g.trialAgain()))
		g.lapse()
		if g.n.leadTerm.Load() == 0 || g.condemned() != nil {
			g.trial = trial{compared: map[uint64]time.Time{}, disputed: g.trial.disputed}
			continue
		}
		if zxids := g.suspicions(time.Now()); len(zxids) > 0 {
			g.act(g.poll(zxids), time.Now())
		}
	}
}

// trialAgain is when to look next: there is nothing to compare without others.
func (g *guard) trialAgain() time.Duration {
	if len(g.n.others()) == 0 {
		return max(g.trialEvery, loneTrialEvery)
	}
	return g.trialEvery
}

// suspicions are the zxids at which the servers are to be compared now, none
// if all is well as far as is known.
func (g *guard) suspicions(now time.Time) (zxids []uint64) {
	t := &g.trial
	suspect := false
	for id, m := range g.n.streams.marks() {
		own, ok := g.n.machine.MarkAt(m.zxid)
		last, seen := t.compared[id]
		switch {
		case ok && own != m.digest && !mutant.On(mutant.NoTrial):
			zxids = append(zxids, m.zxid)
		case ok || m.zxid == 0 || !seen:
			t.compared[id] = now
			continue
		case now.Sub(last) < blindFor:
			continue
		default:
			t.compared[id] = now
		}
		suspect = true
	}
	if g.n.prop.halted.Load() {
		zxids, suspect = append(zxids, t.disputed), true
	}
	if suspect {
		// The newest here, for a server that is ahead of the log; and one of
		// which all that are about up to date have marks.
		newest, _ := g.n.machine.Mark()
		zxids = append([]uint64{newest, newest - newest%coarseMarks}, zxids...)
	}
	return zxids[:min(len(zxids), maxMarkQuery)]
}

// poll asks every member, this server too, for its digests at some zxids.
func (g *guard) poll(zxids []uint64) ballots {
	ctx, cancel := context.WithTimeout(g.ctx, askTime)
	defer cancel()
	b := ballots{}
	b.add(g.n.cfg.ID, g.marksAt(zxids))
	var mu sync.Mutex
	g.tell(ctx, g.n.others(), func(ctx context.Context, to peer.Target) {
		var marks map[uint64]uint64
		if err := g.n.cfg.Peers.Call(ctx, to, "mark", markQuery{zxids}, &marks); err != nil {
			return // it does not vote
		}
		mu.Lock()
		defer mu.Unlock()
		b.add(to.ID, marks)
	})
	return b
}

// tell does something with each of some members at once, and waits.
func (g *guard) tell(ctx context.Context, ids []uint64, do func(context.Context, peer.Target)) {
	var all sync.WaitGroup
	for _, id := range ids {
		if to, ok := g.n.target(id); ok {
			all.Go(func() { do(ctx, to) })
		}
	}
	all.Wait()
}

// act does what a finding asks for.
func (g *guard) act(b ballots, now time.Time) {
	t := &g.trial
	v := b.judge(g.voters())
	switch {
	case v.conflict && !v.decided:
		t.disputed = v.zxid
		if t.open.IsZero() || now.Sub(t.seen) > 2*patience {
			t.open = now
			g.n.cfg.Logger.Warn("servers differ and no majority agrees yet", "zxid", v.zxid, "digests", b[v.zxid])
		}
		t.seen = now
		if now.Sub(t.open) >= patience {
			g.halt(v.zxid, b[v.zxid])
		}
		return
	case v.decided:
		g.sentence(v, b[v.zxid])
	case v.agreed == 0:
		return // too few answered to say anything, halted or not
	}
	t.open = time.Time{}
	g.resume()
}

// sentence has those who differ from the majority rebuild their machines.
func (g *guard) sentence(v finding, digests map[uint64]uint64) {
	g.counts.differences.Add(1)
	g.n.cfg.Logger.Error("servers differ from the majority and rebuild their state", "servers", v.guilty, "zxid", v.zxid, "digests", digests)
	order := rebuildOrder{Zxid: v.zxid, Digest: v.digest}
	ctx, cancel := context.WithTimeout(g.ctx, askTime)
	defer cancel()
	g.tell(ctx, v.guilty, func(ctx context.Context, to peer.Target) {
		if to.ID == g.n.cfg.ID {
			g.damaged(order.cause(digests[to.ID]))
		} else if err := g.n.cfg.Peers.Call(ctx, to, "rebuild", order, nil); err != nil {
			g.n.cfg.Logger.Warn("a server that differs could not be told; trying again", "server", to.ID, "error", err)
		}
	})
}

func (g *guard) voters() (ids []uint64) {
	for _, m := range g.n.Members() {
		if m.Suffrage == Voter {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// marksAt are this server's digests at some zxids, as far as it knows them. A
// condemned machine has no voice.
func (g *guard) marksAt(zxids []uint64) map[uint64]uint64 {
	marks := map[uint64]uint64{}
	for _, zxid := range zxids {
		if digest, ok := g.n.machine.MarkAt(zxid); ok && g.condemned() == nil {
			marks[zxid] = digest
		}
	}
	return marks
}

type markQuery struct{ Zxids []uint64 }

func (g *guard) answerMarks(_ context.Context, _ peer.Identity, body []byte) (any, error) {
	var q markQuery
	if err := json.Unmarshal(body, &q); err != nil || len(q.Zxids) > maxMarkQuery {
		return nil, peer.Refuse(peer.ErrBadRequest, "a query of at most %d zxids: %v", maxMarkQuery, err)
	}
	return g.marksAt(q.Zxids), nil
}

// rebuildOrder says at which zxid a server has another digest than the
// majority.
type rebuildOrder struct{ Zxid, Digest uint64 }

func (o rebuildOrder) cause(own uint64) error {
	return fmt.Errorf("%w: at zxid %d its digest is %016x, the majority has %016x", ErrDiverged, o.Zxid, own, o.Digest)
}

// answerRebuild believes the leader, and only what this server sees for
// itself: an order that comes late meets a machine that is right already.
func (g *guard) answerRebuild(_ context.Context, from peer.Identity, body []byte) (any, error) {
	var o rebuildOrder
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, peer.Refuse(peer.ErrBadRequest, "%v", err)
	}
	if err := g.mustLead(from); err != nil {
		return nil, err
	}
	if own, ok := g.n.machine.MarkAt(o.Zxid); ok && own != o.Digest {
		g.damaged(o.cause(own))
	}
	return nil, nil
}

func (g *guard) mustLead(from peer.Identity) error {
	leader, _ := g.n.Leader()
	if to, known := g.n.target(from.ID); !known || from.ID != leader || from.Data != to.Data {
		return peer.Refuse(peer.ErrNotLeader, "server %d does not lead, as far as server %d knows", from.ID, g.n.cfg.ID)
	}
	return nil
}
