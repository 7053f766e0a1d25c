package replicate

import (
	"cmp"
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/peer"
)

// A server whose raft has just begun would wait for a heartbeat timeout for a
// leader that, after a stop of all servers, nobody has. So it asks the voters
// how they stand, and has those that came before it ask too: once a majority of
// them answers, none of those knows of a leader and none would make a better
// one, it stands at once. That is an election as any other, with pre-vote; who
// is wrong here is refused there.

// standing is what a server tells of itself as a voter.
type standing struct {
	LastIndex uint64
	SilenceMs int64 // since it heard of a leader

	// Since they are told: an older program does not seem leaderless.
	LastTerm   uint64 // of its log
	Term       uint64
	Leaderless bool // it knows of no leader, and has neither heard of one nor voted nor stood at once for a while
	Waits      bool // it is no candidate, so that it can be made one at once
}

// inquiry is what others are asked for their standing with.
type inquiry struct {
	Begun bool // the asking server has just begun: it may be the one that was missing
}

const standingMethod = "standing"

func (n *Node) handleStanding(_ context.Context, _ peer.Identity, body []byte) (any, error) {
	var asked inquiry
	if err := json.Unmarshal(body, &asked); err != nil {
		return nil, peer.Refuse(peer.ErrBadRequest, "%v", err)
	}
	inst := n.instance()
	if inst == nil {
		return nil, peer.ErrNotReady
	}
	if asked.Begun {
		hint(n.arrivals)
	}
	return inst.own(), nil
}

func (i *instance) own() standing {
	state, term := i.standing()
	leader, _ := i.raft.LeaderWithID()
	silence := time.Since(i.raft.LastContact())
	return standing{
		LastIndex: i.raft.LastIndex(), SilenceMs: silence.Milliseconds(), LastTerm: lastTerm(i.raft.Stats()), Term: term,
		Leaderless: leader == "" && silence > heartbeatTimeout && !i.stood() && (state == raft.Follower || state == raft.Candidate),
		Waits:      state == raft.Follower,
	}
}

// stands notes that this server is about to stand at once, before raft knows: so
// nobody that asks meanwhile takes it for one that only waits.
func (i *instance) stands() {
	now := time.Now()
	i.stoodAt.Store(&now)
}

func (i *instance) stood() bool {
	at := i.stoodAt.Load()
	return at != nil && time.Since(*at) < heartbeatTimeout
}

// lastTerm is the term of raft's last entry, which may be in the snapshot alone.
func lastTerm(stats map[string]string) uint64 {
	number := func(key string) uint64 {
		n, _ := strconv.ParseUint(stats[key], 10, 64) // raft's own formatting
		return n
	}
	if number("last_log_index") >= number("last_snapshot_index") {
		return number("last_log_term")
	}
	return number("last_snapshot_term")
}

// precedes tells which of two servers is to stand: who has more of the log, then
// who has seen a later term, in which it may have voted, then who can at once,
// then the lower id.
func (s standing) precedes(id uint64, other standing, otherID uint64) bool {
	waits := func(s standing) int {
		if s.Waits {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(s.LastTerm, other.LastTerm), cmp.Compare(s.LastIndex, other.LastIndex),
		cmp.Compare(s.Term, other.Term), cmp.Compare(waits(s), waits(other)), cmp.Compare(otherID, id)) > 0
}

// offerToStand looks whether this server is to stand at once. begun: it has
// just begun, so that the others look too.
func (l *loop) offerToStand(begun bool) {
	inst := l.instance()
	if inst == nil || l.cfg.Peers == nil || l.leader.Load().id != 0 {
		return
	}
	c := l.configuration()
	if s, _, ok := find(c, l.cfg.ID); !ok || s.Suffrage != raft.Voter {
		return
	}
	l.workers.Go(func() {
		others := l.askStandings(c, inquiry{Begun: begun})
		if own := inst.own(); own.mayStand(l.cfg.ID, others, len(voters(c, 0))) {
			inst.stands()
			l.cfg.Logger.Info("no server knows of a leader; standing at once", "answered", len(others), "index", own.LastIndex)
			l.lookAtTimer()
		}
	})
}

// mayStand tells whether a server is the one to stand, after what other voters
// have answered.
func (s standing) mayStand(id uint64, others map[uint64]standing, voters int) bool {
	if !s.Leaderless || !s.Waits || 2*(len(others)+1) <= voters {
		return false
	}
	for otherID, other := range others {
		if !other.Leaderless || other.precedes(otherID, s, id) {
			return false
		}
	}
	return true
}

// askStandings has the other voters tell how they stand. Once a majority has, the
// others have little time left: one that starts answers late.
func (n *Node) askStandings(c raft.Configuration, asked inquiry) map[uint64]standing {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := n.limited(standingsWait)
	defer cancel()
	others := voters(c, n.cfg.ID)
	told := make(chan func(map[uint64]standing), len(others))
	for _, id := range others {
		wg.Go(func() {
			to, _ := n.target(id)
			var s standing
			err := n.cfg.Peers.Call(ctx, to, standingMethod, asked, &s)
			told <- func(answers map[uint64]standing) {
				if err == nil {
					answers[id] = s
				}
			}
		})
	}
	answers := map[uint64]standing{}
	var late <-chan time.Time
	for range others {
		select {
		case note := <-told:
			note(answers)
		case <-late:
			return answers
		}
		if late == nil && 2*(len(answers)+1) > len(others)+1 {
			late = time.After(standStagger)
		}
	}
	return answers
}
