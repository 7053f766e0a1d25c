package replicate

import (
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/beat"
	"github.com/lycaon-io/lycaon/server/peer"
)

// attend asks, whenever there is reason to doubt it, whether this server is
// still a member: one that was removed or replaced is told so by nobody, and
// must not go on waiting for a leader as if there was none.
func (n *Node) attend() {
	look := time.NewTimer(beat.Next(attendInterval))
	defer look.Stop()
	var asked time.Time
	var lack leaderlessness
	for {
		select {
		case <-n.stop:
			return
		case <-look.C:
		}
		look.Reset(beat.Next(attendInterval))
		id, _ := n.Leader()
		if lasts, tell := lack.look(n.instance() == nil || id != 0, time.Now()); tell {
			n.cfg.Logger.Warn("no leader is known: a majority of the voters must answer each other", "for", lasts.Round(time.Millisecond))
		}
		n.askForVote()
		if !n.doubtsMembership() || time.Since(asked) < attendPause {
			continue
		}
		asked = time.Now()
		for _, r := range n.askAll(n.knownServers(), false) {
			if r.Verdict == turnedAway {
				n.fail(fmt.Errorf("%w: %s", ErrRemoved, r.Text))
				return
			}
		}
	}
}

// leaderlessness says now and then that nobody leads.
type leaderlessness struct{ since, said time.Time }

// look tells how long there has been no leader, and whether to say so.
func (l *leaderlessness) look(led bool, now time.Time) (lasts time.Duration, tell bool) {
	switch {
	case led:
		*l = leaderlessness{}
		return 0, false
	case l.since.IsZero():
		l.since = now
	}
	lasts = now.Sub(l.since)
	if lasts < unreachableAfter || !l.said.IsZero() && now.Sub(l.said) < foundingReminder {
		return lasts, false
	}
	l.said = now
	return lasts, true
}

// doubtsMembership: the newest membership does not name this server, or its
// data, or no leader has spoken to it for a while.
func (n *Node) doubtsMembership() bool {
	inst := n.instance()
	if inst == nil || n.leadTerm.Load() != 0 {
		return false
	}
	c := n.configuration()
	_, addr, ok := find(c, n.cfg.ID)
	if len(c.Servers) > 0 && (!ok || addr.former != "" || addr.data != "" && addr.data != n.cfg.Data) {
		return true
	}
	return time.Since(n.started) > doubtAfter && time.Since(inst.raft.LastContact()) > doubtAfter
}

// knownServers are all that may know of a leader.
func (n *Node) knownServers() []peer.Target {
	var all []peer.Target
	known := map[string]bool{n.cfg.Address: true}
	add := func(t peer.Target) {
		if !known[t.Addr] {
			known[t.Addr] = true
			all = append(all, t)
		}
	}
	for _, id := range n.others() {
		if t, ok := n.target(id); ok {
			t.Data = "" // whoever is there now knows more than this server
			add(t)
		}
	}
	for _, m := range n.cfg.Initial {
		add(peer.Target{ID: m.ID, Addr: m.PeerAddr})
	}
	for _, addr := range n.cfg.Join {
		add(peer.Target{Addr: addr})
	}
	return all
}

// askForVote claims the vote that was taken from this server when it came to
// the founding late, as soon as it has the log.
func (n *Node) askForVote() {
	if n.stable(promoteKey) == 0 || n.Serving() != nil || n.leadTerm.Load() != 0 {
		return
	}
	s, _, ok := find(n.configuration(), n.cfg.ID)
	if !ok {
		return
	}
	if s.Suffrage != raft.Voter {
		ctx, cancel := n.limited(adminTimeout)
		defer cancel()
		err := n.ChangeMember(ctx, protocol.MemberChange{Action: protocol.PromoteMember, ID: n.cfg.ID})
		if err != nil {
			n.cfg.Logger.Debug("this server is no voter yet", "error", err)
			return
		}
	}
	if err := n.store.SetUint64(promoteKey, 0); err != nil {
		n.cfg.Logger.Warn("that this server has its vote could not be noted", "error", err)
	}
}

// cluster is the id of the cluster as this server knows it.
func (n *Node) cluster() string {
	if joined := n.joined.Load(); joined != nil {
		return *joined
	}
	return n.cfg.Cluster
}
