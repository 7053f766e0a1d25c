package replicate

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/server/peer"
	"github.com/lycaon-io/lycaon/server/state"
)

// announcement is what a server says of itself on its touch stream.
type announcement struct {
	ID         uint64
	Data       string // id of its data directory
	Addr       string // of its peer port
	ClientAddr string // "" if it is not told
	Version    string
	Knows      int `json:",omitempty"` // state.Knows of its program
}

// streams are the forward and touch streams of one server: towards the leader
// while it follows, from all others while it leads. One reign after the other
// says which; every stream belongs to one and ends with it.
type streams struct {
	n       *Node
	every   time.Duration // between touches
	forward *forwarder
	touch   *toucher
	counts  streamCounts

	ctx  context.Context // ends with the node
	stop context.CancelFunc

	mu  sync.Mutex // guards now; a leaf
	now *reign

	nudges sync.WaitGroup // notices under way; they end with raft's transport
}

type streamCounts struct {
	accepted, garbled, doubts, nudges atomic.Uint64
}

// reign is one stretch of one leader, as this server sees it.
type reign struct {
	ctx    context.Context // ends with the reign
	end    context.CancelFunc
	leader uint64 // 0: none is known
	term   uint64
	own    bool // this server leads

	mu       sync.Mutex // guards what follows; a leaf
	caughtUp chan struct{}
	inlets   map[uint64]*inlet    // ours: the forward stream of each follower
	marks    map[uint64]mark      // ours: of each follower
	clients  map[uint64]time.Time // ours: when a follower heard of a client last
	broken   map[peer.Kind]bool
	told     bool // that the leader is gone
}

// mark is what a server said of its machine: the digest right after a zxid.
type mark struct{ zxid, digest uint64 }

func newStreams(n *Node) *streams {
	s := &streams{n: n, every: touchInterval(n.cfg.MinSessionTimeout)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.forward = newForwarder(s)
	s.touch = newToucher(s)
	s.now = newReign(s.ctx, 0, 0, false)
	n.prop.listeners = s.listeners
	return s
}

func newReign(ctx context.Context, leader, term uint64, own bool) *reign {
	r := &reign{
		leader: leader, term: term, own: own, caughtUp: make(chan struct{}),
		inlets: map[uint64]*inlet{}, marks: map[uint64]mark{}, clients: map[uint64]time.Time{}, broken: map[peer.Kind]bool{},
	}
	r.ctx, r.end = context.WithCancel(ctx)
	return r
}

// serve starts the streams; they end with the node. A server that can have no
// peers has none.
func (s *streams) serve() {
	n := s.n
	if n.cfg.Peers == nil {
		return
	}
	n.workers.Go(func() {
		<-n.stop
		s.stop()
	})
	n.workers.Go(func() { s.accept(peer.Forward, s.receive) })
	n.workers.Go(func() { s.accept(peer.Touch, s.hear) })
	n.workers.Go(func() { s.keep(peer.Forward, s.forward.run) })
	n.workers.Go(func() { s.keep(peer.Touch, s.touch.run) })
	n.workers.Go(s.touch.watch)
}

// follow begins a reign. What belonged to the former one is cut off when it
// returns: a stream of it feeds the proposer no more, whatever it still holds.
func (s *streams) follow(leader, term uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	former := s.now
	if former.leader == leader && former.term == term {
		return
	}
	own := leader == s.n.cfg.ID && leader != 0
	s.now = newReign(s.ctx, leader, term, own)
	former.end()
	if former.own {
		s.touch.ledUntil(time.Since(s.n.started) - time.Duration(s.n.lostLead.Load()))
	}
}

func (s *streams) reign() *reign {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Append sends a transaction to the leader. It never blocks and keeps the order
// of its calls. What is lost on the way is asked for again: a new stream begins
// with everything unapplied.
func (s *streams) Append(t *state.Txn) (kept []byte) { return s.forward.out.Append(t) }

// resendAll tells every follower that what it sent may be lost.
func (s *streams) resendAll() {
	for _, in := range s.reign().followers() {
		in.doubt()
	}
}

// caughtUp is told when an entry of the own term has been applied: from now on
// followers are welcome.
func (s *streams) caughtUp() {
	r := s.reign()
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.caughtUp:
	default:
		close(r.caughtUp)
	}
}

// contact is the age of the newest touch that a leader has acknowledged; 0
// while this server leads.
func (s *streams) contact() time.Duration {
	if s.reign().own {
		return 0
	}
	return s.touch.contact()
}

// StreamStats are the figures of the streams between servers: counts since the
// start and the depths of now.
type StreamStats struct {
	Outbox    OutboxStats   // towards the leader
	Contact   time.Duration // age of the newest touch that a leader has acknowledged
	Followers int           // with a forward stream here, while this server leads
	Accepted  uint64        // streams of either kind
	Garbled   uint64        // closed for what they sent
	Doubts    uint64        // times a follower was asked for everything again
	Notices   uint64        // of commits
}

// Stats may be called from any goroutine.
func (s *streams) Stats() StreamStats {
	c := &s.counts
	return StreamStats{
		Outbox: s.forward.out.Stats(), Contact: s.contact(), Followers: len(s.reign().followers()),
		Accepted: c.accepted.Load(), Garbled: c.garbled.Load(), Doubts: c.doubts.Load(), Notices: c.nudges.Load(),
	}
}

// marks are the newest marks of the followers while this server leads.
func (s *streams) marks() map[uint64]mark {
	r := s.reign()
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.marks)
}

func (r *reign) over() bool { return r.ctx.Err() != nil }

func (r *reign) followers() []*inlet {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*inlet, 0, len(r.inlets))
	for _, in := range r.inlets {
		all = append(all, in)
	}
	return all
}

// listeners are the streams of the followers that have clients: those may watch
// what anybody writes.
func (s *streams) listeners() (all []*inlet) {
	r := s.reign()
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, in := range r.inlets {
		if heard, ok := r.clients[id]; ok && time.Since(heard) < clientsStay {
			all = append(all, in)
		}
	}
	return all
}

// lost notes that a stream to the leader ended as it does when a process dies,
// and tells whether that is now true of both kinds, for the first time.
func (r *reign) lost(k peer.Kind) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken[k] = true
	gone := r.broken[peer.Forward] && r.broken[peer.Touch] && !r.told
	r.told = r.told || gone
	return gone
}

func (r *reign) up(k peer.Kind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken[k] = false
}
