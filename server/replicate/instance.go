package replicate

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/state"
)

// instance is one life of raft over the server's store. A node has at most one
// at a time and may end it and begin another: log, term and vote stay.
type instance struct {
	raft     *raft.Raft
	trans    transport
	gate     *gate
	observer *raft.Observer
	changed  chan raft.Observation // a hint: leader or state have changed
	ending   atomic.Bool
	ended    chan struct{}             // closed once raft has stopped
	err      error                     // of the end
	stoodAt  atomic.Pointer[time.Time] // when it was to stand at once; nil: never

	mu      sync.Mutex // guards what follows
	closed  bool
	waiting int           // for raft's answers
	idle    chan struct{} // closed once closed and nobody waits
}

// ask waits for an answer of raft's on a goroutine of its own: it may be long in
// coming. What raft has taken and not begun when it stops it never answers, so
// end waits for those who asked before.
func (i *instance) ask(question func() error) <-chan error {
	answer := make(chan error, 1)
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		answer <- raft.ErrRaftShutdown
		return answer
	}
	i.waiting++
	go func() {
		answer <- question()
		i.mu.Lock()
		defer i.mu.Unlock()
		i.waiting--
		i.settleLocked()
	}()
	return answer
}

func (i *instance) settleLocked() {
	if i.closed && i.waiting == 0 {
		close(i.idle)
	}
}

// awaitAnswers lets nobody ask any more and waits for those who did, unless
// raft hangs.
func (i *instance) awaitAnswers() {
	i.mu.Lock()
	i.closed = true
	i.settleLocked()
	i.mu.Unlock()
	select {
	case <-i.idle:
	case <-time.After(flushWait):
	}
}

// instance is the present life of raft, nil while there is none.
func (n *Node) instance() *instance { return n.inst.Load() }

// lastIndex is that of the newest entry of raft's log; 0 while there is no raft.
func (n *Node) lastIndex() uint64 {
	if inst := n.instance(); inst != nil {
		return inst.raft.LastIndex()
	}
	return 0
}

// begin starts raft. The machine is what the store's newest snapshot says, or
// an empty one, which its owner has put in place.
func (n *Node) begin() error {
	g := newGate(failStop{n.store, n.fail})
	store := &logCache{gate: g}
	trans := loneTransport(n.cfg.Address)
	if n.cfg.Peers != nil {
		peers := newPeerTransport(n, g)
		g.storing = peers.storing
		trans = peers
	}
	conf := raftConfig(n.cfg.ID, n.cfg.Logger)
	if err := assertSettings(conf, store, trans); err != nil {
		return errors.Join(err, closeTransport(trans))
	}
	last, err := n.store.LastIndex()
	if err != nil {
		return errors.Join(n.openError(err), closeTransport(trans))
	}
	n.fsm.begin(last)
	r, err := n.newRaft(conf, store, trans)
	if err != nil {
		return errors.Join(n.openError(err), closeTransport(trans))
	}
	inst := &instance{raft: r, trans: trans, gate: g, changed: make(chan raft.Observation, 1), ended: make(chan struct{}), idle: make(chan struct{})}
	if len(n.fatal) > 0 {
		// raft fell back to an older snapshot behind an image that this version
		// does not read.
		return errors.Join(n.openError(nil), inst.end())
	}
	inst.observer = raft.NewObserver(inst.changed, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.LeaderObservation, raft.RaftState:
			return true
		}
		return false
	})
	r.RegisterObserver(inst.observer)
	n.inst.Store(inst)
	n.standAtOnce()
	hint(n.begun)
	return nil
}

// openError prefers what the machine said of an image to raft's summary.
func (n *Node) openError(err error) error {
	select {
	case cause := <-n.fatal:
		return fmt.Errorf("replicate: %w", cause)
	default:
		return fmt.Errorf("replicate: start raft: %w", err)
	}
}

func closeTransport(t transport) error {
	if c, ok := t.(raft.WithClose); ok {
		return c.Close()
	}
	return nil
}

// standing is raft's state and its term, read as a pair: each may change while
// the other is read.
func (i *instance) standing() (raft.RaftState, uint64) {
	for {
		term := i.raft.CurrentTerm()
		state := i.raft.State()
		if i.raft.CurrentTerm() == term {
			return state, term
		}
	}
}

// end stops raft and waits for it, whoever calls it first. Calls to peers are
// cut short; a write to the log is not, since a store has one writer.
func (i *instance) end() error {
	if i.ending.CompareAndSwap(false, true) {
		i.awaitAnswers()
		stopped := i.raft.Shutdown()
		err := closeTransport(i.trans)
		i.err = errors.Join(stopped.Error(), err)
		close(i.ended)
	}
	<-i.ended // no lock is held over a wait for a disk: the others would stop the time of a bubble
	return i.err
}

// proposals gives the proposer whichever raft there is.
type proposals struct{ n *Node }

func (p proposals) Apply(entry []byte, timeout time.Duration) raft.ApplyFuture {
	inst := p.n.instance()
	if inst == nil {
		return noRaft{}
	}
	return inst.raft.Apply(entry, timeout)
}

// noRaft is the future of what no raft has taken.
type noRaft struct{}

func (noRaft) Error() error  { return raft.ErrNotLeader }
func (noRaft) Response() any { return nil }
func (noRaft) Index() uint64 { return 0 }

// Rebuild starts raft and the machine anew, over the same log, term and vote,
// and returns when raft runs again; the machine catches up after that. A
// leader is deposed by it.
func (n *Node) Rebuild(cause error) error {
	request := rebuild{cause, make(chan error, 1)}
	select {
	case n.rebuilds <- request:
	case <-n.stop:
		return ErrClosed
	}
	select {
	case err := <-request.done:
		return err
	case <-n.stop:
		return ErrClosed
	}
}

type rebuild struct {
	cause error
	done  chan error
}

// restart ends the present life of raft and begins the next one.
func (l *loop) restart(cause error) error {
	l.counts.rebuilds.Add(1)
	l.cfg.Logger.Warn("raft and the machine start anew", "cause", cause)
	l.stepDown()
	l.follow(0, 0)
	l.unready()
	if err := l.endInstance(); err != nil {
		return err
	}
	l.machine.Install(state.New())
	l.unready() // a welcome that was under way spoke of the former machine
	if err := l.begin(); err != nil {
		l.fail(err)
		return err
	}
	return nil
}

// endInstance stops raft. What was handed to it must be answered before that:
// raft forgets what it has not begun when it stops.
func (l *loop) endInstance() error {
	inst := l.instance()
	if inst == nil {
		return nil
	}
	l.fsm.closing.Store(true)
	l.flush(inst)
	l.inst.Store(nil)
	inst.raft.DeregisterObserver(inst.observer)
	ended := make(chan error, 1)
	go func() { ended <- inst.end() }()
	select {
	case err := <-ended:
		return err
	case <-l.stop:
		l.inst.Store(inst) // Close waits for its end, as long as it has time
		return ErrClosed
	}
}

// flush waits until raft has begun everything that was handed to it, or until
// it shows that it does not.
func (l *loop) flush(inst *instance) {
	select {
	case <-inst.ask(func() error { return inst.raft.Barrier(flushWait).Error() }): // whatever its outcome
	case <-time.After(flushWait):
	case <-l.stop:
	}
}
