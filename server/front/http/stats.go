package http

import (
	"net"
	"sync"
	"sync/atomic"
)

type counters struct {
	connections                    atomic.Int64
	connectionsRefused             atomic.Uint64
	requests, scrapes, profiles    atomic.Uint64
	foreignHosts, methods, crosses atomic.Uint64
}

// Stats is how full the front is and what has happened since the start.
type Stats struct {
	Connections    int64 // now
	MaxConnections int64

	ConnectionsRefused uint64 // beyond the bound
	Requests           uint64
	Scrapes            uint64 // of the metrics
	Profiles           uint64
	ForeignHosts       uint64 // refused: asked for by a name that is not ours
	MethodsRefused     uint64 // refused: neither GET nor HEAD
	CrossSite          uint64 // refused: profiles asked for by a page of another site
}

// Stats may be called from any goroutine.
func (f *Front) Stats() Stats {
	n := &f.counts
	return Stats{
		Connections: n.connections.Load(), MaxConnections: maxConnections,
		ConnectionsRefused: n.connectionsRefused.Load(), Requests: n.requests.Load(),
		Scrapes: n.scrapes.Load(), Profiles: n.profiles.Load(),
		ForeignHosts: n.foreignHosts.Load(), MethodsRefused: n.methods.Load(), CrossSite: n.crosses.Load(),
	}
}

// countedConn gives its place back when it is closed, however often.
type countedConn struct {
	net.Conn
	counts *counters
	once   sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.counts.connections.Add(-1) })
	return c.Conn.Close()
}
