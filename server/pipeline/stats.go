package pipeline

import (
	"sync/atomic"

	"github.com/lycaon-io/lycaon/server/state"
)

// counters grow for ever, save parked, which is a depth.
type counters struct {
	txns, noops, resent, resentBytes            atomic.Uint64
	duplicates, gaps, fenced, repeated          atomic.Uint64
	fencedLanes, broken, cutOff                 atomic.Uint64
	laneFull, serverFull                        atomic.Uint64
	watchesRefused, sessionsRefused, identities atomic.Uint64
	quotaRefused, keepsRefused                  refusals
	arrivalsRefused, writesRefused              atomic.Uint64
	parked                                      atomic.Int64
}

// refusals counts requests that were refused.
type refusals struct{ atomic.Uint64 }

// count counts one more if its refusal was taken; if not, it is handed in again.
func (n *refusals) count(v verdict) verdict {
	if v == taken {
		n.Add(1)
	}
	return v
}

// admitted counts what became of a write and tells whether it is to be
// answered.
func (n *counters) admitted(v state.Verdict) bool {
	switch v {
	case state.Duplicate:
		n.duplicates.Add(1)
	case state.Gap:
		n.gaps.Add(1)
	case state.Fenced:
		n.fenced.Add(1)
	case state.Repeated:
		n.repeated.Add(1)
		return true
	default:
		return true
	}
	return false
}

// Stats is how full everything is and what has happened since the start.
type Stats struct {
	Zxid     uint64
	Sessions int // of the cluster
	Lanes    int // sessions held here
	Guests   int

	LaneBytes    int64 // held by requests not yet completed, all lanes
	MaxLaneBytes int64 // of all lanes: the bound
	Requests     int64 // not yet completed
	Parked       int64 // reads among them
	Arrivals     int   // opens and attaches under way
	NoopInFlight bool
	Watches      int
	RingEffects  int
	RingBytes    int
	RingFloor    uint64 // watches that resume from here on are told exactly
	Kept         int64  // memory of the answers that all sessions keep
	KeepLimit    int    // of one session, at present

	Txns                 uint64 // applied, of any kind
	Noops                uint64 // sent
	Resent, ResentBytes  uint64 // writes given to the log again
	Duplicates, Gaps     uint64 // writes in the log that were skipped
	Fenced               uint64 // writes in the log of a generation that had ended
	Repeated             uint64 // writes answered by the outcome kept
	FencedLanes          uint64 // connections closed since their session moved on
	Broken               uint64 // connections closed since two used one generation
	CutOff               uint64 // connections closed since the leader was out of reach
	LaneFull, ServerFull uint64 // times a reader had to wait for credit
	WatchesRefused       uint64
	QuotaRefused         uint64 // writes of this server's clients, by a quota or since there are as many as may be
	KeepsRefused         uint64 // writes whose session keeps as much as it may at present
	SessionsRefused      uint64
	ArrivalsRefused      uint64 // opens, attaches and guests for which there was no room
	WritesRefused        uint64 // while RefuseWrites was in force
	IdentitiesRefused    uint64
}

// Stats may be called from any goroutine.
func (c *Core) Stats() Stats {
	n := &c.counts
	s := Stats{
		LaneBytes: c.credit.used.Load(), MaxLaneBytes: c.cfg.MaxLanesBytes,
		Parked: n.parked.Load(), Arrivals: c.pending.len(), NoopInFlight: c.waits.underWay() != 0,
		Txns: n.txns.Load(), Noops: n.noops.Load(), Resent: n.resent.Load(), ResentBytes: n.resentBytes.Load(),
		Duplicates: n.duplicates.Load(), Gaps: n.gaps.Load(), Fenced: n.fenced.Load(), Repeated: n.repeated.Load(),
		FencedLanes: n.fencedLanes.Load(), Broken: n.broken.Load(), CutOff: n.cutOff.Load(),
		LaneFull: n.laneFull.Load(), ServerFull: n.serverFull.Load(),
		Kept: c.kept.Load(), KeepsRefused: n.keepsRefused.Load(),
		QuotaRefused: n.quotaRefused.Load(), WatchesRefused: n.watchesRefused.Load(), SessionsRefused: n.sessionsRefused.Load(),
		ArrivalsRefused: n.arrivalsRefused.Load(), WritesRefused: n.writesRefused.Load(), IdentitiesRefused: n.identities.Load(),
	}
	s.KeepLimit, _ = c.keepLimit()
	c.mu.RLock()
	defer c.mu.RUnlock()
	s.Zxid, s.Sessions = c.machine.Zxid(), c.machine.Sessions().Len()
	s.Lanes, s.Guests = len(c.lanes), len(c.guests)
	s.Watches = c.watches.Len()
	s.RingEffects, s.RingBytes, s.RingFloor = c.ring.Len(), c.ring.Bytes(), c.ring.Floor()
	for _, l := range c.lanes {
		s.Requests += int64(l.depth.Load())
	}
	for l := range c.guests {
		s.Requests += int64(l.depth.Load())
	}
	return s
}
