package replicate

import (
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// turns are the heartbeats that wait for those of other followers. raft sends one to
// each every 30 to 60 ms, which is most of what wakes an idle cluster. While it is at
// rest and all of its members answer, half of them wait until others are due: each
// member is then heard half as often, and a leader of three hears from one of them as
// often as if there were no other. Nothing but raft's own timers wakes it for that.
type turns struct {
	mu      sync.Mutex // guards what follows; a leaf
	waiting []chan struct{}
}

// join is for the turn of one more, which comes when at most so many others wait
// behind it.
func (t *turns) join(most int) (turn chan struct{}) {
	turn = make(chan struct{})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = append(t.waiting, turn)
	for len(t.waiting) > most {
		close(t.waiting[0])
		t.waiting = slices.Delete(t.waiting, 0, 1)
	}
	return turn
}

// leave gives a turn up, if it has not come.
func (t *turns) leave(turn chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = slices.DeleteFunc(t.waiting, func(other chan struct{}) bool { return other == turn })
}

// takeTurn waits until it is a heartbeat's turn, as long as there is no news.
func (t *peerTransport) takeTurn(id raft.ServerID, term uint64) error {
	all := t.members()
	most := len(all) / 2
	news, wait := t.progress.mayWait(id, term, all)
	if news == nil || most == 0 {
		t.turns.join(0)
		return nil
	}
	turn := t.turns.join(most)
	defer t.turns.leave(turn)
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-turn:
	case <-news:
	case <-late.C:
	case <-t.closed:
		return raft.ErrTransportShutdown
	}
	return nil
}

// mayWait returns what tells of news, and how long the heartbeat to one member may
// wait for it, while each of them has answered in time and knows of the commit of all
// that there is. News are those of atRest. Otherwise it returns nil.
func (p *progress) mayWait(id raft.ServerID, term uint64, all []raft.Server) (news <-chan struct{}, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if term != p.term {
		return nil, 0
	}
	for _, s := range all {
		if f := p.memberLocked(s.ID); f.told != p.stored || time.Since(f.heard) >= heartbeatLate {
			return nil, 0
		}
	}
	return p.newsLocked(), heartbeatGap - time.Since(p.memberLocked(id).heard)
}
