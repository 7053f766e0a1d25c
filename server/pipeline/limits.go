package pipeline

import "cmp"

// What one request costs beside its bytes: the slot it waits in.
const slotCost = 256

// Bounds that are no setting: nobody reaches them in health.
const (
	chunkTxns      = 64       // transactions applied under one hold of the lock; a multi is one transaction
	maxPending     = 10_000   // opens and attaches on their way through the log
	maxIdentities  = 64       // of one connection: they ride in each of its writes
	maxIDBytes     = 16 << 10 // of them, encoded
	maxBurstBytes  = 16 << 20 // of the answers that one connection is given at one instant, under the lock
	effectWork     = 16       // what a resume adds to that for each effect it may look at
	multiWork      = 2 << 20  // what a multi-read adds that gathered listings in vain
	maxQuotas      = 10_000   // of the tree: now and then they are all looked at, and nothing is applied meanwhile
	keptWaiters    = 4096     // a list of who waits for a no-op that had room for more is not used again
	queueKeptSlots = 64       // a lane's queue longer than this is given back when it runs empty
)

// Config says who this server is and what it bears. A bound of 0 gets its
// default; MaxSessions alone is off at 0.
type Config struct {
	Origin uint64 // this incarnation of the server: a restart takes a new one

	MaxLaneRequests  int   // one lane's requests not yet completed: 1000
	MaxLaneBytes     int64 // the same in bytes: 4 MiB
	MaxLanesBytes    int64 // of all lanes together: 256 MiB
	MaxWatches       int   // of one connection: 50,000
	MaxServerWatches int   // of all connections together: 2,000,000
	MaxSessions      int   // of the cluster, as this server sees it; 0 = no bound
	RingEffects      int   // recent effects kept for resuming watches: 65,536
	RingBytes        int   // the same in bytes: 64 MiB
	KeptStepBytes    int64 // kept answers of all sessions: each so many halve what one may keep: 64 MiB
	KeptLeastBytes   int   // what one may keep whatever others do: 4 KiB

	Observer Observer // may be nil
}

func (cfg Config) withDefaults() Config {
	cfg.MaxLaneRequests = cmp.Or(cfg.MaxLaneRequests, 1000)
	cfg.MaxLaneBytes = cmp.Or(cfg.MaxLaneBytes, 4<<20)
	cfg.MaxLanesBytes = cmp.Or(cfg.MaxLanesBytes, 256<<20)
	cfg.MaxWatches = cmp.Or(cfg.MaxWatches, 50_000)
	cfg.MaxServerWatches = cmp.Or(cfg.MaxServerWatches, 2_000_000)
	cfg.RingEffects = cmp.Or(cfg.RingEffects, 65_536)
	cfg.RingBytes = cmp.Or(cfg.RingBytes, 64<<20)
	cfg.KeptStepBytes = cmp.Or(cfg.KeptStepBytes, 64<<20)
	cfg.KeptLeastBytes = cmp.Or(cfg.KeptLeastBytes, 4<<10)
	return cfg
}
