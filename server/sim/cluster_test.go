package sim

import (
	"bytes"
	"slices"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/pipeline"
	"github.com/lycaon-io/lycaon/server/replicate"
	"github.com/lycaon-io/lycaon/server/state"
)

// cluster is the fake ordered log: a leader that takes transactions from the
// servers' streams, keeps out what it has proposed in its term, makes batches
// of the rest and commits them in order. A change of leader loses any suffix
// of what was not committed, and breaks every stream.
type cluster struct {
	w         *world
	term      int
	leader    int
	proposer  *replicate.Sequencer
	twin      map[uint64]*proposedLane
	proposals int
	waiting   []state.Txn
	inFlight  [][]byte
	limbo     []state.Txn // what broken streams may still deliver
	log       [][]byte
	digests   []uint64 // after each entry, as the first server that applied it found
	marks     map[uint64]uint64
	clockMs   int64
}

// proposedLane is what a dumb proposer would remember of a lane in a term: when
// it last proposed each write.
type proposedLane struct {
	generation uint64
	at         map[uint64]int
}

func newCluster(w *world) *cluster {
	return &cluster{w: w, proposer: replicate.NewSequencer(), twin: map[uint64]*proposedLane{}, marks: map[uint64]uint64{}, clockMs: 1_700_000_000_000}
}

func cloneTxn(t *state.Txn) state.Txn {
	c := *t
	c.IDs, c.Body = bytes.Clone(t.IDs), bytes.Clone(t.Body)
	return c
}

// receive takes one transaction at the leader. False means that one before it
// is missing: its origin is to send again.
func (c *cluster) receive(t *state.Txn) bool {
	if t.Kind == state.TxnWrite {
		switch c.proposer.Admit(t.Session, t.Generation, t.Seq) {
		case replicate.Early:
			return false
		case replicate.Again, replicate.Old:
			c.w.stats.skipped++
			return true
		}
		c.checkProposal(t)
	}
	c.waiting = append(c.waiting, cloneTxn(t))
	return true
}

// checkProposal says what may be proposed twice in one term: a write that came
// before the one it follows, and so is a gap.
func (c *cluster) checkProposal(t *state.Txn) {
	c.proposals++
	l := c.twin[t.Session]
	if l == nil || l.generation != t.Generation {
		l = &proposedLane{generation: t.Generation, at: map[uint64]int{}}
		c.twin[t.Session] = l
	}
	if at := l.at[t.Seq]; at != 0 && at > l.at[t.Seq-1] {
		c.w.fail("proposer: write %d of generation %d of session %d again in term %d", t.Seq, t.Generation, t.Session, c.term)
	}
	l.at[t.Seq] = c.proposals
}

// seal makes a batch of what waits, if fewer than two are in flight.
func (c *cluster) seal() {
	if len(c.inFlight) >= 2 || len(c.waiting) == 0 {
		return
	}
	n := min(len(c.waiting), 1+c.w.rng.IntN(6))
	c.clockMs += int64(c.w.rng.IntN(5)) - 1 // wall clocks go back, too
	entry := state.AppendBatchHeader(nil, c.clockMs)
	for i := range c.waiting[:n] {
		entry = state.AppendTxn(entry, &c.waiting[i])
	}
	c.waiting = c.waiting[n:]
	c.inFlight = append(c.inFlight, entry)
}

func (c *cluster) commit() {
	if len(c.inFlight) == 0 {
		return
	}
	c.log = append(c.log, c.inFlight[0])
	c.w.model.applyEntry(c.inFlight[0])
	c.inFlight = c.inFlight[1:]
}

func (c *cluster) changeLeader() {
	for range c.w.rng.IntN(len(c.inFlight) + 1) {
		c.commit()
	}
	c.inFlight, c.waiting = nil, nil
	c.term++
	c.leader = c.w.rng.IntN(len(c.w.servers))
	c.proposer.Reset()
	clear(c.twin)
	for _, s := range c.w.servers {
		s.breakStream()
	}
	c.w.stats.leaderChanges++
}

// lapse is a batch whose outcome raft cannot tell: the leader goes on, forgets
// what it has queued and proposed, and every server is told. What was under
// way may be committed after all; streams live on with all that is in them.
func (c *cluster) lapse() {
	if len(c.inFlight)+len(c.waiting) == 0 {
		return
	}
	for range c.w.rng.IntN(len(c.inFlight) + 1) {
		c.commit()
	}
	c.inFlight, c.waiting = nil, nil
	c.proposer.Reset()
	clear(c.twin)
	for _, s := range c.w.servers {
		if s.connected {
			s.told++
		}
	}
	c.w.stats.lapses++
}

// deliverLimbo brings a transaction of a broken stream after all.
func (c *cluster) deliverLimbo() {
	if len(c.limbo) == 0 {
		return
	}
	i := c.w.rng.IntN(len(c.limbo))
	t := c.limbo[i]
	c.limbo = append(c.limbo[:i], c.limbo[i+1:]...)
	c.receive(&t)
	c.w.stats.delayed++
}

// server is one Core with its stream to the leader and its place in the log.
type server struct {
	w          *world
	id         int
	core       *pipeline.Core
	origin     uint64
	applied    int // entries
	out        *replicate.Outbox
	stream     []state.Txn // on the way to the leader
	told       int         // doubts on the way from it
	connected  bool
	doubt      bool // something may be lost: send again
	image      []byte
	imageAt    int
	generation map[uint64]uint64 // by session, as applied here
	conns      []*conn
}

func (w *world) newServer(id int) *server {
	s := &server{w: w, id: id}
	s.start(nil, 0)
	return s
}

// start makes a fresh Core from an image, or from nothing.
func (s *server) start(image []byte, at int) {
	s.w.origins++
	s.origin = s.w.origins
	s.generation = map[uint64]uint64{}
	s.core = pipeline.New(pipeline.Config{
		Origin: s.origin, Observer: s, RingEffects: s.w.ringEffects,
		MaxLaneRequests: 6, MaxLanesBytes: 20 << 10, KeptStepBytes: s.w.keptStep, KeptLeastBytes: 1 << 10,
	})
	s.core.SetLog(s)
	s.applied, s.image, s.imageAt = at, image, at
	if image != nil {
		s.core.Install(s.machine(image))
		s.learnGenerations()
	}
	s.out = replicate.NewOutbox(s.w.outboxBytes, func() { s.doubt = true })
	s.stream, s.told, s.connected, s.conns = nil, 0, false, nil
}

func (s *server) machine(image []byte) *state.Machine {
	m, _, err := state.ReadImage(bytes.NewReader(image))
	if err != nil {
		s.w.fail("image of server %d does not read: %v", s.id, err)
	}
	return m
}

func (s *server) learnGenerations() {
	clear(s.generation)
	s.core.View(func(m *state.Machine) {
		for r := range m.Sessions().All() {
			s.generation[r.ID] = r.Generation
		}
	})
}

// Append is the Core's log.
func (s *server) Append(t *state.Txn) []byte { return s.out.Append(t) }

// SessionOpened is the Core's observer.
func (s *server) SessionOpened(id, generation uint64, _ int64) { s.generation[id] = generation }

// SessionEnded is the Core's observer.
func (s *server) SessionEnded(id uint64) { delete(s.generation, id) }

// connect opens the stream anew, or sends everything unapplied again.
func (s *server) connect() {
	switch {
	case !s.connected:
		s.connected, s.doubt = true, false
		s.out.Open(s.core.Resend)
	case s.doubt:
		s.doubt = false
		s.core.Resend()
	}
}

// write puts what has gathered on its way to the leader, which decodes it as
// strictly as an entry of the log.
func (s *server) write() {
	for _, frame := range s.out.Take() {
		batch, err := state.DecodeBatch(frame[5:])
		if err != nil {
			s.w.fail("server %d sends what does not decode: %v", s.id, err)
		}
		var t state.Txn
		for {
			more, err := batch.Next(&t)
			if err != nil {
				s.w.fail("server %d: %v", s.id, err)
			}
			if !more {
				break
			}
			if !bytes.Equal(batch.Raw(), state.AppendTxn(nil, &t)) {
				s.w.fail("server %d: the bytes of %+v are not its encoding", s.id, t)
			}
			s.stream = append(s.stream, cloneTxn(&t))
		}
	}
}

// deliver brings the next transaction of the stream to the leader. What it
// loses, or cannot take, it tells.
func (s *server) deliver() {
	if len(s.stream) == 0 || s.w.rng.IntN(4) == 0 {
		s.write()
	}
	if len(s.stream) == 0 {
		return
	}
	t := s.stream[0]
	s.stream = s.stream[1:]
	r := s.w.rng.IntN(100)
	switch {
	case r < s.w.chances.lose:
		s.told++
		s.w.stats.lost++
		return
	case r < s.w.chances.lose+s.w.chances.double:
		s.w.cluster.limbo = append(s.w.cluster.limbo, cloneTxn(&t))
	}
	if !s.w.cluster.receive(&t) {
		s.told++
	}
}

// hear brings what the leader has to say of the stream.
func (s *server) hear() {
	if s.told > 0 {
		s.told--
		s.out.Doubted()
		s.w.stats.doubts++
	}
}

// breakStream loses what is on the way, or has it come much later.
func (s *server) breakStream() {
	for i := range s.stream {
		if s.w.rng.IntN(3) == 0 {
			s.w.cluster.limbo = append(s.w.cluster.limbo, s.stream[i])
		}
	}
	s.out.Shut()
	s.stream, s.told, s.connected = nil, 0, false
}

// applyNext applies the next committed entry, and compares.
func (s *server) applyNext() {
	c := s.w.cluster
	if s.applied >= len(c.log) {
		return
	}
	if err := s.core.Apply(c.log[s.applied]); err != nil {
		s.w.fail("server %d: %v", s.id, err)
	}
	s.applied++
	s.compare()
}

func (s *server) compare() {
	c := s.w.cluster
	var digest, zxid uint64
	s.core.View(func(m *state.Machine) { digest, zxid = m.Digest(), m.Zxid() })
	if want := s.w.model.zxidAt[s.applied-1]; zxid != want {
		s.w.fail("server %d has zxid %d after entry %d, the model %d", s.id, zxid, s.applied, want)
	}
	switch {
	case s.applied == len(c.digests)+1:
		c.digests = append(c.digests, digest)
	case c.digests[s.applied-1] != digest:
		s.w.fail("server %d differs after entry %d", s.id, s.applied)
	}
	s.compareMarks()
}

// compareMarks does what a leader does with the marks of the others.
func (s *server) compareMarks() {
	zxid, digest := s.core.Mark()
	known, seen := s.w.cluster.marks[zxid]
	if seen && known != digest {
		s.w.fail("server %d has another mark at zxid %d", s.id, zxid)
	}
	s.w.cluster.marks[zxid] = digest
}

// takeImage keeps an image to start from.
func (s *server) takeImage() {
	var b bytes.Buffer
	if err := state.WriteImage(&b, s.core.Freeze(), nil); err != nil {
		s.w.fail("server %d: %v", s.id, err)
	}
	s.image, s.imageAt = b.Bytes(), s.applied
}

// refuse has the server take no writes and sessions, or take them again.
func (s *server) refuse(yes bool) {
	if yes {
		s.core.RefuseWrites(protocol.DiskFull, "the disk is full")
	} else {
		s.core.RefuseWrites(protocol.OK, "")
	}
}

// installImage brings the server that lags most up to the one farthest on.
func (w *world) installImage() {
	s := slices.MinFunc(w.servers, func(a, b *server) int { return a.applied - b.applied })
	o := slices.MaxFunc(w.servers, func(a, b *server) int { return a.applied - b.applied })
	if o.applied < s.applied+3 {
		return
	}
	o.takeImage()
	s.core.Install(s.machine(o.image))
	s.applied, s.image, s.imageAt = o.applied, o.image, o.imageAt
	s.learnGenerations()
	s.compare()
	w.stats.installs++
}

// restart forgets all but the image and the log.
func (s *server) restart() {
	for _, c := range s.conns {
		c.severed = true
	}
	s.breakStream()
	s.start(s.image, s.imageAt)
	if s.w.cluster.leader == s.id {
		s.w.cluster.changeLeader()
	}
	s.w.stats.restarts++
}

// expireOne has the leader end some session that it believes idle.
func (w *world) expireOne() {
	var due []state.Txn
	leader := w.servers[w.cluster.leader]
	leader.core.View(func(m *state.Machine) {
		for r := range m.Sessions().All() {
			if r.ID != w.setupSession {
				due = append(due, state.Txn{Kind: state.TxnExpire, Session: r.ID, Generation: r.Generation, Cause: "no sign of life"})
			}
		}
	})
	if len(due) == 0 {
		return
	}
	t := due[w.rng.IntN(len(due))]
	w.cluster.receive(&t)
	w.stats.expiries++
}

var _ pipeline.Log = (*server)(nil)
var _ pipeline.Observer = (*server)(nil)
var _ pipeline.Sink = (*conn)(nil)
