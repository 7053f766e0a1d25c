package replicate

import (
	"time"

	"github.com/hashicorp/raft"
)

// raft tells each follower of the newest commit every commitTimeout or two, for
// ever, also one that knows: on a cluster without a write these messages are a
// third of all that wakes its servers. Here they wait in the transport until
// there is news. What else raft means by them (is the follower there, is this
// leader's term over) its heartbeats find out, which are not held back.

// rests waits while a message of raft's would tell a follower nothing that it
// has not answered to, restFor at most. It tells whether a new entry ended that:
// the message is then as good as answered, since it would only go before the
// entry, and keep it waiting for its own answer. If the follower was heard a while
// ago it goes nevertheless: raft would take the answer for a sign of life.
func (t *peerTransport) rests(id raft.ServerID, req *raft.AppendEntriesRequest) (stale bool) {
	if len(req.Entries) > 0 {
		return false
	}
	limit := time.NewTimer(restFor)
	defer limit.Stop()
	for rested := false; ; rested = true {
		news := t.progress.atRest(id, req)
		switch {
		case news == nil:
			return rested && t.progress.outdated(id, req)
		case t.isSilenced(id) || !t.current(id, req.Term): // whoever changes that stirs
			return false
		}
		select {
		case <-news:
		case <-t.closed:
			return false
		case <-limit.C:
			return false
		}
	}
}

// atRest returns what tells of news for a follower that a message without entries
// has none for; nil for one that has.
//
// The message must tell of the commit of all that the follower holds, which is all
// that there is, and the follower must have answered to that very commit. Then there
// is nothing that could be committed before another entry is stored, and that is news.
// A follower that has begun anew since, and so knows of no commit, has broken its
// connections: a heartbeat that fails, or is refused, is news too, as is one that is
// late, since then this message may get through where the heartbeat is lost.
func (p *progress) atRest(id raft.ServerID, req *raft.AppendEntriesRequest) (news <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.memberLocked(id)
	if p.stored > req.PrevLogEntry || !p.knowsLocked(f, req) {
		return nil
	}
	return p.newsLocked()
}

func (p *progress) newsLocked() <-chan struct{} {
	if p.news == nil {
		p.news = make(chan struct{})
	}
	return p.news
}

func (p *progress) knowsLocked(f *follower, req *raft.AppendEntriesRequest) bool {
	return req.Term == p.term && req.LeaderCommitIndex == req.PrevLogEntry &&
		f.told == req.PrevLogEntry && time.Since(f.heard) < heartbeatLate
}

// outdated tells whether all that has become of a message is that an entry was
// stored behind it, a moment after the follower was heard.
func (p *progress) outdated(id raft.ServerID, req *raft.AppendEntriesRequest) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.memberLocked(id)
	return p.stored > req.PrevLogEntry && p.knowsLocked(f, req) && time.Since(f.heard) < standInFor
}

// storing is told of the newest entry before it is stored: who rests has come
// back when it is.
func (p *progress) storing(index uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stored = index
	p.stirLocked()
}

// stir has all that rest look whether they still may.
func (p *progress) stir() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stirLocked()
}

func (p *progress) stirLocked() {
	if p.news != nil {
		close(p.news)
		p.news = nil
	}
}

// forgetLocked: a follower that failed to answer may have forgotten what it was told, or never had what it was sent.
func (p *progress) forgetLocked(f *follower) {
	f.told, f.asked = 0, 0
	p.stirLocked()
}
