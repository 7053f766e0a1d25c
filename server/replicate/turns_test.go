package replicate

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

func TestATurnComesAsOthersComeBehindIt(t *testing.T) {
	for _, c := range []struct {
		name    string
		most    []int // of each that joins
		waiting int   // of them, the last ones
	}{
		{"a lone one waits", []int{1}, 1},
		{"the next one goes when another comes", []int{1, 1}, 1},
		{"of four two wait", []int{2, 2, 2, 2}, 2},
		{"all go with one that may not wait", []int{2, 2, 0}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all turns
			var joined []chan struct{}
			for _, most := range c.most {
				joined = append(joined, all.join(most))
			}
			require.Equal(t, joined[len(joined)-c.waiting:], append([]chan struct{}{}, all.waiting...))
			for _, turn := range joined[:len(joined)-c.waiting] {
				<-turn
			}
			for _, turn := range joined {
				all.leave(turn)
			}
			require.Empty(t, all.waiting)
		})
	}
}

func TestWhichHeartbeatsMayWait(t *testing.T) {
	const term, newest = 3, 7
	all := []raft.Server{{ID: "2"}, {ID: "3"}}
	for _, c := range []struct {
		name   string
		before func(p *progress)
		waits  bool
	}{
		{"those of members that know all", func(*progress) {}, true},
		{"none while an entry is stored", func(p *progress) { p.storing(newest + 1) }, false},
		{"none while one has not answered", func(p *progress) { p.heartbeat("3", time.Now(), errors.New("lost")) }, false},
		{"none while one is late", func(p *progress) { p.memberLocked("3").heard = time.Now().Add(-heartbeatLate) }, false},
		{"none of another term", func(p *progress) { p.term++ }, false},
		{"none of a new reign", func(p *progress) { p.begin(term) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProgress()
			p.begin(term)
			p.storing(newest)
			for _, s := range all {
				p.appended(s.ID, &raft.AppendEntriesRequest{Term: term, PrevLogEntry: newest, LeaderCommitIndex: newest}, &raft.AppendEntriesResponse{Success: true}, nil)
			}
			c.before(p)
			news, wait := p.mayWait("2", term, all)
			require.Equal(t, c.waits, news != nil)
			if c.waits {
				require.Positive(t, wait)
				p.stir()
				<-news
			}
		})
	}
}

// beats are what a leader hears of heartbeats in a while: how many are answered by
// each member, for how long one was silent at most, and for how long a majority was.
type beats struct {
	answered          map[uint64]int
	silence, majority time.Duration
}

func (e *ensemble) beats(leader *server, of time.Duration) beats {
	b, newest := beats{answered: map[uint64]int{}}, map[uint64]time.Time{}
	for began := time.Now(); time.Since(began) < of; time.Sleep(time.Millisecond) {
		for _, id := range leader.others() {
			if at := leader.progress.confirmed(serverID(id)); at != newest[id] {
				newest[id] = at
				b.answered[id]++
			}
			b.silence = max(b.silence, time.Since(newest[id]))
		}
		b.majority = max(b.majority, leader.silenceOfMajority())
	}
	return b
}

// raft pauses for 30 to 60 ms between two of them.
func TestHeartbeatsTakeTurnsAtRest(t *testing.T) {
	const long = 10 * time.Second
	running(t, 3, func(e *ensemble) {
		e.writes(e.leader())
		e.atRest()
		b := e.beats(e.leader(), long)
		for id, n := range b.answered {
			require.Less(t, n, int(long/(70*time.Millisecond)), "of server %d", id)
		}
		require.Less(t, b.silence, heartbeatLate)
		require.Less(t, b.majority, 70*time.Millisecond, "as with one follower that does not wait")
	})
}

func TestNoHeartbeatWaitsWhileAMemberIsAway(t *testing.T) {
	const long = 10 * time.Second
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		e.writes(e.leader())
		e.atRest()
		gone := e.follower()
		e.crash(gone)
		time.Sleep(heartbeatLate)
		b := e.beats(e.leader(), long)
		for id, n := range b.answered {
			require.True(t, id == gone.id || n > int(long/(60*time.Millisecond)), "server %d answered %d", id, n)
		}
		require.Less(t, b.majority, 70*time.Millisecond)
	})
}
