package replicate

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/peer"
	"github.com/lycaon-io/lycaon/server/state"
)

var (
	// ErrClosed says that the node is closed or closing.
	ErrClosed = errors.New("replicate: closed")
	// ErrNoSession says that a session to be ended does not exist.
	ErrNoSession = errors.New("replicate: no such session")
	// ErrRemoved says that this server is no member of its cluster any more.
	ErrRemoved = errors.New("replicate: this server was removed from its cluster")
	// ErrRefused says that the cluster does not admit this server.
	ErrRefused = errors.New("replicate: the cluster does not admit this server")
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

	CutOff(silence time.Duration) int           // closes connections whose sessions a silence of the leader endangers
	CloseAll(code protocol.Code, detail string) // closes every connection
	HaltWrites(detail string)                   // refuses writes with this reason; "" lifts it
	Mark() (zxid, digest uint64)                // the newest zxid and the digest right after it
	MarkAt(zxid uint64) (digest uint64, ok bool)
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
	Cluster    string // id of the cluster; "" is not known before JoinedCluster
	Address    string // of the peer port, host:port: the server's address for raft
	Data       string // id of the data directory
	ClientAddr string // told to the other servers and through them to clients; "" is not told
	Version    string
	Logger     *slog.Logger

	Together bool      // the data was made for one of several servers: it never founds a cluster alone
	Initial  []Member  // the members that found the cluster, this server included; empty: alone, or joining
	Join     []string  // peer addresses of a cluster to be joined
	Peers    *peer.Mux // nil: this server has no peers
	// JoinedCluster is called with the cluster's id when a server that joins
	// has learned it, before it takes part.
	JoinedCluster func(cluster string) error
	// Loading, unless nil, is called before a snapshot is loaded while nobody is
	// served yet, and what it returns afterwards.
	Loading func() (loaded func())
	// Loaded, unless nil, gives the machine that a snapshot was loaded into before
	// Open, once; nil: it was not, and is read.
	Loaded func(snapshot string) *state.Machine

	Tick              time.Duration // how often deadlines are looked at: 500 ms
	MinSessionTimeout time.Duration // touches are sent six times in it, and taken for heard four times: 1 s
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

	machine  Machine
	inst     atomic.Pointer[instance]
	fsm      *fsm
	prop     *proposer
	duties   *duties
	streams  *streams
	progress *progress
	book     *book
	claims   *claims
	guard    *guard

	doubts    chan struct{} // a hint: something may be lost
	adoptees  chan struct{} // a hint: a member said something new of itself
	begun     chan struct{} // a hint: raft has begun
	arrivals  chan struct{} // a hint: that of another server has
	gone      chan uint64   // the leader whose connections broke
	places    chan place    // of this server among those that stand
	rebuilds  chan rebuild
	founded   chan struct{} // a server that had no data may take part now
	ready     chan struct{} // closed once what was logged before the start is applied
	fatal     chan error
	stop      chan struct{}
	ctx       context.Context // ends with stop
	cancel    context.CancelFunc
	workers   sync.WaitGroup
	joining   sync.Mutex // held by whoever joins the workers from without, and to stop them
	opened    atomic.Bool
	closing   sync.Once
	readyOnce sync.Once
	started   time.Time

	changing     chan struct{} // held by whoever changes the membership
	reloading    sync.Mutex    // makes a read-modify-write of raft's settings one step
	lastSnapshot atomic.Uint64
	leadTerm     atomic.Uint64            // 0: this server does not lead
	leader       atomic.Pointer[reigning] // never nil
	assurance    assurance                // while this server leads
	lostLead     atomic.Int64             // when this server ceased to lead, in nanoseconds since started; 0: it never led
	joined       atomic.Pointer[string]   // the cluster's id, once this server was admitted
	awaiting     atomic.Uint64            // zxid+1 that must be applied before this server serves; 0: not told yet
	serving      atomic.Bool              // caught up since the start
	counts       nodeCounts
}

// reigning says who leads in which term; id 0 is nobody.
type reigning struct{ id, term uint64 }

type nodeCounts struct {
	leaderships, resends, overdue, snapshotErrors                        atomic.Uint64
	leaderChanges, rebuilds, earlyStands, memberChanges, transfersFailed atomic.Uint64
}

// New returns a Node that does nothing before Open, so that it can be given
// to the lanes as their log and observer.
func New(cfg Config, store Store, snaps raft.SnapshotStore) *Node {
	if cfg.Loaded != nil {
		snaps = loadedSnapshots{snaps, cfg.Loaded}
	}
	n := &Node{
		cfg: cfg.withDefaults(), store: store, snaps: snaps, started: time.Now(),
		doubts: make(chan struct{}, 1), adoptees: make(chan struct{}, 1),
		gone: make(chan uint64, 1), places: make(chan place), rebuilds: make(chan rebuild), founded: make(chan struct{}),
		begun: make(chan struct{}, 1), arrivals: make(chan struct{}, 1),
		ready: make(chan struct{}), changing: make(chan struct{}, 1),
		fatal: make(chan error, 1), stop: make(chan struct{}),
		progress: newProgress(), book: newBook(), claims: newClaims(),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.leader.Store(&reigning{})
	n.prop = newProposer(func() { hint(n.doubts) })
	n.prop.raft = proposals{n}
	n.streams = newStreams(n)
	n.duties = newDuties(n.cfg.Logger, n.prop, min(listenInterval(n.cfg.MinSessionTimeout), n.cfg.Tick))
	n.guard = newGuard(n)
	n.fsm = &fsm{
		condemned: n.guard.condemned, damaged: n.guard.damaged,
		fatal: n.fail, threshold: n.cfg.SnapshotBytes, persisted: n.keepBridge, restored: n.restored, committing: n.streams.committing, applied: n.applied,
		snapshotDue: make(chan struct{}, 1), newTerm: make(chan struct{}, 1), loading: n.loading,
	}
	return n
}

// Open restores the machine from the newest snapshot and starts raft. A server
// whose store is empty first has to know that it may: alone it founds its
// cluster at once; one of several asks the others, while Open returns.
func (n *Node) Open(m Machine) error {
	n.machine, n.duties.machine, n.fsm.machine = m, m, m
	if err := n.startOver(); err != nil {
		return err
	}
	empty, err := n.empty()
	if err != nil {
		return err
	}
	if empty {
		alone, err := n.mayFoundAlone()
		if err != nil {
			return err
		}
		if alone {
			if err := n.bootstrap([]Member{{ID: n.cfg.ID, PeerAddr: n.cfg.Address, Data: n.cfg.Data}}); err != nil {
				return err
			}
			empty = false
		}
	}
	if !empty {
		if err := n.begin(); err != nil {
			return err
		}
	}
	n.opened.Store(true)
	n.handle()
	n.workers.Go(n.run)
	n.workers.Go(n.takeSnapshots)
	n.streams.serve()
	n.guard.watch()
	if n.cfg.Peers != nil {
		n.workers.Go(n.adopt)
		n.workers.Go(n.attend)
	}
	if empty {
		n.workers.Go(n.found)
	}
	return nil
}

// loading runs before an image is loaded, and what it returns afterwards.
func (n *Node) loading() (loaded func()) {
	if n.cfg.Loading == nil || n.opened.Load() {
		return func() {}
	}
	return n.cfg.Loading()
}

// standAtOnce makes a lone voter elect itself now instead of after its
// heartbeat timeout.
func (n *Node) standAtOnce() {
	servers := n.configuration().Servers
	if len(servers) != 1 || servers[0].ID != serverID(n.cfg.ID) {
		return
	}
	n.lookAtTimer()
}

// lookAtTimer has raft look now whether it has gone without a leader for the
// heartbeat timeout: it does when that falls. One that never had a contact has.
func (n *Node) lookAtTimer() {
	n.reload(func(c *raft.ReloadableConfig) {
		c.HeartbeatTimeout += time.Millisecond
		c.ElectionTimeout += time.Millisecond // never below the other
	}, func(c *raft.ReloadableConfig) {
		c.HeartbeatTimeout -= time.Millisecond
		c.ElectionTimeout -= time.Millisecond
	})
}

// reload changes raft's settings, one change after the other and nobody else's
// between them. raft copies the zero values of what it is given too, hence from the
// present ones.
func (n *Node) reload(changes ...func(*raft.ReloadableConfig)) {
	n.reloading.Lock()
	defer n.reloading.Unlock()
	inst := n.instance()
	if inst == nil {
		return
	}
	c := inst.raft.ReloadableConfig()
	for _, change := range changes {
		change(&c)
		if err := inst.raft.ReloadConfig(c); err != nil {
			n.cfg.Logger.Error("raft refused a change of its settings", "error", err)
		}
	}
}

// Append gives a transaction to the log, through the leader if that is another
// server. It never blocks; what is lost on the way is asked for again by
// Machine.Resend. kept is the body of a write where it stands now, which nobody
// changes any more; nil: nowhere.
func (n *Node) Append(t *state.Txn) (kept []byte) {
	if id := n.leader.Load().id; id != 0 && id != n.cfg.ID {
		return n.streams.Append(t)
	}
	return n.prop.Append(t)
}

// Ready is closed once everything that was logged before this start has been
// applied, and this server proposes or follows one that does.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Fatal gives the error after which this server must not go on.
func (n *Node) Fatal() <-chan error { return n.fatal }

func (n *Node) fail(err error) {
	select {
	case n.fatal <- err:
	default: // the first one counts
	}
}
