package replicate

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// progress is how far the leader has brought each follower, read off the
// answers that pass the transport: raft keeps it to itself.
type progress struct {
	answeredEarly atomic.Uint64 // messages of raft's that were not sent, since an early one had been

	mu       sync.Mutex // guards what follows
	members  map[raft.ServerID]*follower
	installs uint64        // snapshots sent since the start
	begun    time.Time     // since when nobody was elected after this server
	polled   poll          // the newest
	term     uint64        // in which it leads
	replaced bool          // a server has answered from a later one
	stored   uint64        // newest entry that was on its way to this server's log
	news     chan struct{} // closed when a member may have to be told something; nil: nobody waits
}

type follower struct {
	match      uint64    // newest entry that it is known to hold
	known      bool      // match has been told since this server leads
	asked      uint64    // newest entry that it has been sent since this server leads and it failed to answer last
	outrun     bool      // it is slower: when it could be asked for what it was sent early last, raft had more for it
	told       uint64    // the commit that it has answered to, since it failed to answer last
	heard      time.Time // when it answered last, whatever
	confirmed  time.Time // when the newest heartbeat was sent that it answered
	moved      time.Time // when match rose last, or there was nothing to send
	failed     time.Time // when entries or a snapshot could not be sent last
	installing bool
	awaited    uint64        // entry of which somebody waits to hear that it holds it
	held       chan struct{} // closed then; nil: nobody waits
}

// poll is when this server first asked for votes in a term.
type poll struct {
	term uint64
	at   time.Time
}

func newProgress() *progress { return &progress{members: map[raft.ServerID]*follower{}} }

// asks notes that votes are asked for.
func (p *progress) asks(term uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if term > p.polled.term {
		p.polled = poll{term, time.Now()}
	}
}

// begin forgets what an earlier reign knew. It may be called long after the election,
// as after a pause of the process, and another leader have been elected meanwhile: what
// the voters promised they did after they were asked, and that is all that is known.
func (p *progress) begin(term uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.members)
	p.begun, p.term, p.replaced = time.Now(), term, false
	if p.polled.term == term { // else it is the only voter
		p.begun = p.polled.at
	}
	p.stirLocked()
}

func (p *progress) memberLocked(id raft.ServerID) *follower {
	f := p.members[id]
	if f == nil {
		f = &follower{heard: time.Now(), moved: time.Now()}
		p.members[id] = f
	}
	return f
}

// heartbeat notes the outcome of one and tells for how long the server has not
// answered.
func (p *progress) heartbeat(id raft.ServerID, sent time.Time, err error) (silence time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.memberLocked(id)
	if err == nil {
		f.heard, f.confirmed = time.Now(), sent
	} else {
		p.forgetLocked(f)
	}
	return time.Since(f.heard)
}

// refused notes that a server did not take a heartbeat since it is in another
// term. It may have been one of a reign before.
func (p *progress) refused(id raft.ServerID, term uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.memberLocked(id).heard = time.Now()
	p.replaced = p.replaced || term > p.term
	return fmt.Errorf("%w: it is in term %d", errRefused, term)
}

// deposed tells whether a server has answered this leader from a later term.
func (p *progress) deposed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.replaced
}

// reachable tells whether a server has answered since entries could not be
// sent to it last.
func (p *progress) reachable(id raft.ServerID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.memberLocked(id).reachable()
}

func (f *follower) reachable() bool { return f.failed.IsZero() || f.heard.After(f.failed) }

// sends notes that a server is about to be sent entries.
func (p *progress) sends(id raft.ServerID, req *raft.AppendEntriesRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(req.Entries) > 0 && req.Term == p.term {
		p.memberLocked(id).asked = newestShown(req)
	}
}

// awaits tells whether a server holds the entries up to index or is storing them, and
// that is all that it was asked for. One that is outrun is not sent the next one beside:
// all that waits for it is written at one go.
func (p *progress) awaits(id raft.ServerID, index uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.memberLocked(id)
	return f.known && (f.match == index || f.match < index && f.asked == index && !f.outrun) && f.reachable() && !f.installing
}

// outruns notes whether raft had more for a server than it was sent early.
func (p *progress) outruns(id raft.ServerID, outrun bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.memberLocked(id).outrun = outrun
}

func (p *progress) isOutrun(id raft.ServerID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.memberLocked(id).outrun
}

func (p *progress) appended(id raft.ServerID, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse, err error) {
	if err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		f := p.memberLocked(id)
		f.failed = time.Now()
		p.forgetLocked(f)
		return
	}
	p.answered(id, req, resp.Success)
}

// answered notes an answer. What a server held in an earlier reign it may have lost
// to another leader since.
func (p *progress) answered(id raft.ServerID, req *raft.AppendEntriesRequest, success bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.memberLocked(id)
	f.heard = time.Now()
	if !success {
		p.forgetLocked(f)
		return
	}
	if req.Term != p.term {
		return
	}
	match := newestShown(req)
	f.told = max(f.told, min(req.LeaderCommitIndex, match))
	p.matchLocked(f, match)
}

func (p *progress) matchLocked(f *follower, match uint64) {
	if match > f.match {
		f.match, f.moved = match, time.Now()
	}
	f.known = true
	if f.held != nil && f.match >= f.awaited {
		close(f.held)
		f.held = nil
	}
}

// holds returns what is closed once a server is known to hold the entries up to index;
// it may never be. One waits for a server at a time: whoever comes takes the place of
// who waited before, and comes for nothing once ctx has ended.
func (p *progress) holds(ctx context.Context, id raft.ServerID, index uint64) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, held := p.memberLocked(id), make(chan struct{})
	switch {
	case f.match >= index:
		close(held)
	case ctx.Err() == nil: // a stream ends before the next one of its server begins
		f.awaited, f.held = index, held
	}
	return held
}

func (p *progress) installing(id raft.ServerID, now bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.memberLocked(id)
	if f.installing = now; now {
		f.asked = 0 // a snapshot empties its log
		p.installs++
	}
}

func (p *progress) installed(id raft.ServerID, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.memberLocked(id)
	if err != nil {
		f.failed = time.Now()
		return
	}
	f.heard = time.Now()
	if resp.Success {
		p.matchLocked(f, req.LastLogIndex)
	}
}

// lag is how many entries a follower is behind last, and for how long it has
// not come nearer.
type lag struct {
	entries uint64
	silence time.Duration // since it answered last
	stuck   time.Duration // 0 while it comes nearer, or gets a snapshot
	known   bool
}

// of tells how far a follower is behind last. A follower that has everything
// is not stuck, however long ago it moved.
func (p *progress) of(id raft.ServerID, last uint64) lag {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.memberLocked(id)
	if f.match >= last {
		f.moved = time.Now()
	}
	l := lag{silence: time.Since(f.heard), stuck: time.Since(f.moved), known: f.known}
	if f.match < last {
		l.entries = last - f.match
	}
	if f.installing {
		l.stuck = 0
	}
	return l
}

func (p *progress) sent() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.installs
}
