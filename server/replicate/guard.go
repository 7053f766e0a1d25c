package replicate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/peer"
)

var (
	// ErrDiverged says that this server's state is not that of the majority.
	ErrDiverged = errors.New("replicate: this server's state differs from that of the majority")
	// ErrBeyondRepair says that rebuilding the machine does not help for long.
	ErrBeyondRepair = errors.New("replicate: the state of this server was rebuilt too often")
)

const (
	// rebuildsAllowed within rebuildWindow: a byte that flips is a matter of
	// months. What comes back at once is broken memory or a broken program.
	rebuildsAllowed = 3
	rebuildWindow   = 10 * time.Minute

	stepDownTime = 2 * time.Second
	minMendPause = 100 * time.Millisecond
	maxMendPause = 5 * time.Second
)

// guard looks after the machine's content: it recomputes the digest in the
// background (scrub), has the leader compare all servers (trial), and mends a
// machine that is found wrong. Log, term and vote are never touched: the
// machine alone is made anew from a verified snapshot and the log.
//
// A condemned machine serves nobody, is not snapshotted and gives no marks.
type guard struct {
	n                      *Node
	scrubEvery, trialEvery time.Duration // constants, but for tests

	ctx       context.Context // ends with the node
	condemns  chan struct{}   // a hint: there is something to mend
	scrubSoon chan struct{}   // a hint: do not wait for the next time

	mu       sync.Mutex  // guards what follows; a leaf
	cause    error       // why the machine is condemned; nil: it is not
	rebuilds []time.Time // the newest rebuildsAllowed
	suspect  string      // snapshot from which a machine was rebuilt that had differed
	halted   time.Time   // until when a leader has halted the writes here

	trial  trial // of the goroutine that holds it
	counts guardCounts
}

type guardCounts struct {
	scrubs, damages, differences, rebuilt, fetched, given atomic.Uint64
	scrubNanos, mendNanos                                 atomic.Int64
	haltedNow                                             atomic.Bool
}

func newGuard(n *Node) *guard {
	return &guard{
		n: n, scrubEvery: scrubEvery, trialEvery: trialEvery,
		condemns: make(chan struct{}, 1), scrubSoon: make(chan struct{}, 1),
		trial: trial{compared: map[uint64]time.Time{}},
	}
}

// watch starts the guard of an open node; it ends with the node.
func (g *guard) watch() {
	var cancel context.CancelFunc
	g.ctx, cancel = context.WithCancel(context.Background())
	g.n.workers.Go(func() {
		<-g.n.stop
		cancel()
	})
	g.n.workers.Go(g.scrubs)
	g.n.workers.Go(g.mends)
	peers := g.n.cfg.Peers
	if peers == nil {
		return
	}
	peers.Handle("mark", g.answerMarks)
	peers.Handle("rebuild", g.answerRebuild)
	peers.Handle("halt", g.answerHalt)
	g.n.workers.Go(g.trials)
	images := peers.Listener(peer.Image)
	g.n.workers.Go(func() {
		<-g.ctx.Done()
		_ = images.Close()
	})
	g.n.workers.Go(func() { g.giveImages(images) })
}

// condemned is nil while the machine is believed, and says why it is not.
func (g *guard) condemned() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cause
}

// damaged condemns the machine: this server stops serving before it returns,
// and the rest is done by mends.
func (g *guard) damaged(cause error) {
	g.mu.Lock()
	first := g.cause == nil
	if first {
		g.cause = cause
	}
	g.mu.Unlock()
	if !first {
		return
	}
	g.counts.damages.Add(1)
	g.n.cfg.Logger.Error("the state of this server is wrong: it stops serving and rebuilds it", "error", cause)
	g.n.machine.CloseAll(protocol.NotReady, "this server rebuilds its state")
	hint(g.condemns)
}

// mends rebuilds a condemned machine and does not give up.
func (g *guard) mends() {
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-g.condemns:
		}
		for pause := minMendPause; ; pause = min(2*pause, maxMendPause) {
			err := g.mend()
			if err == nil || errors.Is(err, ErrBeyondRepair) || g.ctx.Err() != nil {
				break
			}
			g.n.cfg.Logger.Error("the state could not be rebuilt; this server does not serve", "retry_in", pause, "error", err)
			select {
			case <-time.After(pause):
			case <-g.ctx.Done():
			}
		}
	}
}

func (g *guard) mend() error {
	started, cause := time.Now(), g.condemned()
	if g.tooOften(started) {
		err := fmt.Errorf("%w: %d times in %v; at last: %w", ErrBeyondRepair, rebuildsAllowed, rebuildWindow, cause)
		g.n.fail(err)
		return err
	}
	g.stepDown()
	if err := g.secureSnapshot(errors.Is(cause, ErrDiverged)); err != nil {
		return err
	}
	if err := g.n.Rebuild(cause); err != nil {
		return err
	}
	g.mu.Lock()
	g.cause = nil
	g.rebuilds = append(g.rebuilds, started)
	g.mu.Unlock()
	g.counts.rebuilt.Add(1)
	g.counts.mendNanos.Store(int64(time.Since(started)))
	g.n.cfg.Logger.Warn("the state was rebuilt and catches up with the log", "took", time.Since(started), "cause", cause)
	hint(g.scrubSoon)
	return nil
}

func (g *guard) tooOften(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.rebuilds) > 0 && now.Sub(g.rebuilds[0]) > rebuildWindow {
		g.rebuilds = g.rebuilds[1:]
	}
	return len(g.rebuilds) >= rebuildsAllowed
}

// stepDown hands leadership over, so that nobody waits for an election. If
// nobody takes it, the rebuild deposes this server.
func (g *guard) stepDown() {
	if leader, _ := g.n.Leader(); leader != g.n.cfg.ID || len(g.n.others()) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(g.ctx, stepDownTime)
	defer cancel()
	if err := g.n.TransferLeader(ctx, 0); err != nil {
		g.n.cfg.Logger.Warn("nobody took over the leadership", "error", err)
	}
}

// GuardStats are the figures of what looks after the machine's content.
type GuardStats struct {
	Condemned   error // why the machine is not believed now
	Halted      bool  // writes are halted: servers differ and no majority agrees
	Scrubs      uint64
	ScrubTook   time.Duration // work of the last one, without its pauses
	Damages     uint64        // times this server's machine was found wrong, by whomever
	Differences uint64        // times this server, leading, found others to differ
	Rebuilt     uint64        // machines made anew
	RebuildTook time.Duration // of the last one, until it began to catch up
	Fetched     uint64        // snapshots taken from another server
	Given       uint64        // snapshots given to another server
}

func (g *guard) stats() GuardStats {
	n := &g.counts
	return GuardStats{
		Condemned: g.condemned(), Halted: n.haltedNow.Load(),
		Scrubs: n.scrubs.Load(), ScrubTook: time.Duration(n.scrubNanos.Load()),
		Damages: n.damages.Load(), Differences: n.differences.Load(),
		Rebuilt: n.rebuilt.Load(), RebuildTook: time.Duration(n.mendNanos.Load()),
		Fetched: n.fetched.Load(), Given: n.given.Load(),
	}
}
