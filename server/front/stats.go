package front

import "sync/atomic"

// Counters count what has happened since the start. Speakers raise the exported
// ones.
type Counters struct {
	HandshakesFailed, AuthFailures, NotServing, BadRequests atomic.Uint64

	accepted, acceptErrors, connectionsRefused, foreign atomic.Uint64
	slowConsumers, idle, panics, requests, tooLarge     atomic.Uint64
	bytesIn, bytesOut, messagesOut, writes              atomic.Uint64
}

// Stats is how full the connections are and what has happened since the start.
type Stats struct {
	Connections    int // now
	OutboxBytes    int64
	MaxOutboxBytes int64 // bound of one connection

	Accepted           uint64
	AcceptErrors       uint64
	ConnectionsRefused uint64 // beyond a bound
	HandshakesFailed   uint64 // no hello, a bad one, or one that was refused
	Foreign            uint64 // that spoke another protocol
	AuthFailures       uint64
	SlowConsumers      uint64 // closed since they did not read
	Idle               uint64 // closed since they were silent for their session's timeout
	NotServing         uint64 // sessions and reads refused since this server did not serve
	Panics             uint64 // contained, each the end of one connection
	Requests           uint64
	BadRequests        uint64 // answered with an error before the lane saw them
	TooLarge           uint64 // frames beyond the limit, among those
	BytesIn, BytesOut  uint64
	MessagesOut        uint64
	Writes             uint64 // write calls
}

// Stats may be called from any goroutine.
func (f *Front) Stats() Stats {
	n := &f.counts
	s := Stats{
		MaxOutboxBytes: int64(f.cfg.MaxOutboxBytes),
		Accepted:       n.accepted.Load(), AcceptErrors: n.acceptErrors.Load(), ConnectionsRefused: n.connectionsRefused.Load(),
		HandshakesFailed: n.HandshakesFailed.Load(), Foreign: n.foreign.Load(), AuthFailures: n.AuthFailures.Load(),
		SlowConsumers: n.slowConsumers.Load(), Idle: n.idle.Load(), Panics: n.panics.Load(), NotServing: n.NotServing.Load(),
		Requests: n.requests.Load(), BadRequests: n.BadRequests.Load(), TooLarge: n.tooLarge.Load(),
		BytesIn: n.bytesIn.Load(), BytesOut: n.bytesOut.Load(), MessagesOut: n.messagesOut.Load(), Writes: n.writes.Load(),
	}
	for _, c := range f.Conns() {
		s.Connections++
		s.OutboxBytes += int64(c.out.depth())
	}
	return s
}
