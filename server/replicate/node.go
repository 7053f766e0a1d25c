package replicate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/peer"
	"github.com/lycaon-io/lycaon/server/state"
)

var (
	// ErrClosed says that the node is closed or closing.
	ErrClosed = errors.New("replicate: closed")
	// ErrNoSession says that a session to be ended does not exist.
	ErrNoSession = errors.New("replicate: no such session")
	// ErrDeadline says that something did not happen in its time.
	ErrDeadline = errors.New("replicate: deadline passed")
)

// Machine is the replicated machine with the lanes around it.
type Machine interface {
	Apply(entry []byte) error    // one goroutine; an error is an unknown format
	Freeze() *state.Image        // O(1)
	Install(m *state.Machine)    // in place of the present one
	Resend()                     // appends everything unapplied again, in order
	View(f func(*state.Machine)) // f reads; it is brief and calls nothing of ours
	Touched() []uint64           // sessions heard of since the last call
}

// Store is raft's log and stable store; it must be monotonic.
type Store interface {
	raft.LogStore
	raft.StableStore
}

// Config says who this server is and how its duties run. Durations of 0 get
// their defaults.
type Config struct {
	ID         uint64
	Address    string // of the peer port, host:port: the server's address for raft
	Data       string // id of the data directory
	ClientAddr string // told to the other servers and through them to clients; "" is not told
	Version    string
	Logger     *slog.Logger

	Initial []Member  // the members that found the cluster, this server included; empty: alone, or joining
	Join    []string  // peer addresses of a cluster to be joined
	Peers   *peer.Mux // nil: this server has no peers
	// JoinedCluster is called with the cluster's id when a server that joins
	// has learned it, before it takes part.
	JoinedCluster func(cluster string) error

	Tick              time.Duration // how often deadlines are looked at: 500 ms
	MinSessionTimeout time.Duration // touches are collected six times in it: 1 s
	ReapInterval      time.Duration // between looks at containers and TTL nodes: 1 s
	SnapshotBytes     int64         // of log between two snapshots: 64 MiB
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&c.Tick, 500*time.Millisecond)
	set(&c.MinSessionTimeout, time.Second)
	set(&c.ReapInterval, time.Second)
	if c.SnapshotBytes == 0 {
		c.SnapshotBytes = 64 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Node is one server's part in the order: proposer, raft, and the duties of a
// leader. It is the Log of the lanes and observes the sessions.
type Node struct {
	cfg   Config
	store Store
	snaps raft.SnapshotStore

	machine Machine
	raft    *raft.Raft
	fsm     *fsm
	prop    *proposer
	duties  *duties
	streams *streams

	doubts  chan struct{} // a hint: something may be lost
	ready   chan struct{} // closed once what was logged before the start is applied
	fatal   chan error
	stop    chan struct{}
	workers sync.WaitGroup
	opened  atomic.Bool
	closing sync.Once

	reloading    sync.Mutex // makes a read-modify-write of raft's settings one step
	lastSnapshot atomic.Uint64
	leadTerm     atomic.Uint64 // 0: this server does not lead
	counts       nodeCounts
}

type nodeCounts struct {
	leaderships, resends, overdue, snapshotErrors atomic.Uint64
}

// New returns a Node that does nothing before Open, so that it can be given
// to the lanes as their log and observer.
func New(cfg Config, store Store, snaps raft.SnapshotStore) *Node {
	n := &Node{
		cfg: cfg.withDefaults(), store: store, snaps: snaps,
		doubts: make(chan struct{}, 1), ready: make(chan struct{}),
		fatal: make(chan error, 1), stop: make(chan struct{}),
	}
	n.prop = newProposer(func() { hint(n.doubts) })
	n.streams = newStreams(n)
	n.duties = newDuties(n.cfg.Logger, n.prop, min(touchInterval(n.cfg.MinSessionTimeout), n.cfg.Tick))
	return n
}

// Open restores the machine from the newest snapshot, starts raft, and gives
// an empty store its first configuration: this server alone.
func (n *Node) Open(m Machine) error {
	n.machine, n.duties.machine = m, m
	n.fsm = &fsm{
		machine: m, fatal: n.fail, threshold: n.cfg.SnapshotBytes, persisted: n.keepBridge,
		snapshotDue: make(chan struct{}, 1), newTerm: make(chan struct{}, 1),
	}
	trans := loneTransport(n.cfg.Address)
	conf := raftConfig(n.cfg.ID, true, n.cfg.Logger)
	if err := assertSettings(conf, n.store, trans); err != nil {
		return err
	}
	if err := n.bootstrap(conf, trans); err != nil {
		return err
	}
	if err := n.noteSnapshot(); err != nil {
		return err
	}
	var err error
	if n.raft, err = n.newRaft(conf, trans); err != nil {
		return n.openError(err)
	}
	if len(n.fatal) > 0 {
		// raft fell back to an older snapshot behind an image that this version
		// does not read.
		return errors.Join(n.openError(nil), n.raft.Shutdown().Error())
	}
	n.prop.raft = n.raft
	n.opened.Store(true)
	n.standAtOnce()
	n.workers.Go(n.run)
	n.workers.Go(n.takeSnapshots)
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

// standAtOnce makes a lone voter elect itself now instead of after its
// heartbeat timeout: raft looks at its timer again when the timeout falls.
func (n *Node) standAtOnce() {
	servers := n.raft.GetConfiguration().Configuration().Servers
	if len(servers) != 1 {
		return
	}
	n.reload(func(c *raft.ReloadableConfig) { c.HeartbeatTimeout -= time.Millisecond })
	n.reload(func(c *raft.ReloadableConfig) { c.HeartbeatTimeout += time.Millisecond })
}

// reload changes raft's settings. raft copies the zero values of what it is
// given too, hence from the present ones.
func (n *Node) reload(change func(*raft.ReloadableConfig)) {
	n.reloading.Lock()
	defer n.reloading.Unlock()
	c := n.raft.ReloadableConfig()
	change(&c)
	if err := n.raft.ReloadConfig(c); err != nil {
		n.cfg.Logger.Error("raft refused a change of its settings", "error", err)
	}
}

// Append gives a transaction to the log. It never blocks; what is lost on the way is
// asked for again by Machine.Resend.
func (n *Node) Append(t *state.Txn) { n.prop.Append(t) }

// Ready is closed once everything that was logged before this start has been
// applied and this server proposes.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Fatal gives the error after which this server must not go on.
func (n *Node) Fatal() <-chan error { return n.fatal }

func (n *Node) fail(err error) {
	select {
	case n.fatal <- err:
	default: // the first one counts
	}
}

// Condition is nil while this server can take writes, and says what is in the
// way otherwise.
func (n *Node) Condition() error {
	if !n.opened.Load() {
		return errors.New("replicate: reading the newest snapshot")
	}
	select {
	case <-n.ready:
	default:
		return fmt.Errorf("replicate: applying the log: at entry %d of %d", n.fsm.counts.index.Load(), n.raft.LastIndex())
	}
	s := n.prop.Stats()
	switch {
	case n.leadTerm.Load() == 0:
		return errors.New("replicate: this server does not lead and knows no leader")
	case !s.Proposing:
		return errors.New("replicate: the log refused a write; trying again")
	case s.OldestFlight > slowFlight:
		return fmt.Errorf("replicate: a write to the log has been under way for %s", s.OldestFlight.Round(time.Millisecond))
	}
	return nil
}

// Close lets what is under way end, stops raft and waits, as long as ctx.
func (n *Node) Close(ctx context.Context) error {
	if !n.opened.Load() {
		return nil
	}
	err := ErrClosed
	n.closing.Do(func() { err = n.close(ctx) })
	return err
}

func (n *Node) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeWait)
	defer cancel()
	select {
	case <-n.prop.drained():
	case <-ctx.Done():
	}
	n.fsm.closing.Store(true)
	close(n.stop)
	ended := make(chan error, 1)
	go func() {
		// raft goes last: what it has taken and not begun when it shuts down is
		// never answered.
		n.workers.Wait()
		n.prop.watchers.Wait()
		ended <- n.raft.Shutdown().Error()
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: raft did not stop", ErrDeadline)
	}
}
