package front

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/pipeline"
)

// ErrClosed is what Serve returns after Close.
var ErrClosed = errors.New("front: closed")

// Front serves connections over one Core.
type Front struct {
	cfg       Config
	core      *pipeline.Core
	protocols []Protocol
	counts    Counters
	wg        sync.WaitGroup // connections
	draining  atomic.Bool
	scribes   scribes
	crowd     crowd
	dozers    dozers
	readers   sync.WaitGroup // goroutines, also those that wait
	waiting   atomic.Int32   // readers whose connections have ended
	idle      chan *Conn     // to them; closed by dismiss
	dismissed sync.Once

	mu        sync.Mutex
	closed    bool
	listeners map[net.Listener]struct{}
	conns     map[*Conn]struct{}
	perIP     map[netip.Addr]int
	served    int // conns that count against the bounds
	refusing  int
}

// New returns a Front that serves nothing yet, in any of these protocols.
func New(cfg Config, core *pipeline.Core, protocols ...Protocol) *Front {
	f := &Front{
		cfg: cfg.withDefaults(), core: core, protocols: protocols, idle: make(chan *Conn),
		listeners: map[net.Listener]struct{}{}, conns: map[*Conn]struct{}{}, perIP: map[netip.Addr]int{},
	}
	f.crowd.most = int64(f.cfg.MaxAllOutboxBytes)
	f.scribes.init()
	f.dozers.init()
	return f
}

// Serve accepts connections until Close, when it returns ErrClosed, or until
// the listener fails for good.
func (f *Front) Serve(ln net.Listener) error {
	if !f.addListener(ln) {
		ln.Close()
		return ErrClosed
	}
	defer f.removeListener(ln)
	pause := time.Millisecond
	for {
		nc, err := ln.Accept()
		if err == nil {
			pause = time.Millisecond
			f.begin(nc)
			continue
		}
		if f.isClosed() {
			return ErrClosed
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		// Out of descriptors, or a peer that went away: it passes.
		f.counts.acceptErrors.Add(1)
		f.cfg.Logger.Warn("cannot accept a connection", "err", err)
		time.Sleep(pause)
		pause = min(2*pause, time.Second)
	}
}

// begin serves one connection on a goroutine of its own, if there is one on that
// of a connection that has ended: its stack has grown already.
func (f *Front) begin(nc net.Conn) {
	c := f.admit(nc)
	if c == nil {
		return
	}
	select {
	case f.idle <- c:
	default:
		f.readers.Go(func() { f.read(c) })
	}
}

// read serves connections until there are enough who wait for the next.
func (f *Front) read(c *Conn) {
	for c != nil {
		f.run(c)
		f.wg.Done()
		if f.waiting.Add(1) <= keptReaders {
			c = <-f.idle
		} else {
			c = nil
		}
		f.waiting.Add(-1)
	}
}

// ServeConn serves one connection and returns when it has ended.
func (f *Front) ServeConn(nc net.Conn) {
	if c := f.admit(nc); c != nil {
		defer f.wg.Done()
		f.run(c)
	}
}

func (f *Front) run(c *Conn) {
	defer f.remove(c)
	defer c.out.leave()
	c.serve()
}

// admit counts a connection in. One beyond the bounds is still greeted, to be
// told why, as long as there are few of them.
func (f *Front) admit(nc net.Conn) *Conn {
	c := newConn(f, nc)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		nc.Close()
		return nil
	}
	f.counts.accepted.Add(1)
	switch {
	case f.cfg.MaxConnections > 0 && f.served >= f.cfg.MaxConnections:
		c.refusal = "the server holds as many connections as it may"
	case f.cfg.MaxConnectionsPerIP > 0 && f.perIP[c.ip] >= f.cfg.MaxConnectionsPerIP:
		c.refusal = "the server holds as many connections from this address as it may"
	}
	if c.refusal != "" {
		f.counts.connectionsRefused.Add(1)
		if f.refusing >= maxRefusals {
			nc.Close()
			return nil
		}
		f.refusing++
	} else {
		f.served++
		f.perIP[c.ip]++
	}
	f.conns[c] = struct{}{}
	f.wg.Add(1)
	return c
}

func (f *Front) remove(c *Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
	if c.refusal != "" {
		f.refusing--
		return
	}
	f.served--
	if f.perIP[c.ip]--; f.perIP[c.ip] == 0 {
		delete(f.perIP, c.ip)
	}
}

func (f *Front) addListener(ln net.Listener) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.listeners[ln] = struct{}{}
	return true
}

func (f *Front) removeListener(ln net.Listener) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.listeners, ln)
}

func (f *Front) isClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// GoingDown is what clients are told by a server that closes.
const GoingDown = "the server is going down"

// Drain tells every connection to move, after what it has been told already,
// and has every new one answered the same, until Close. It does not wait.
func (f *Front) Drain() {
	f.draining.Store(true)
	for _, c := range f.Conns() {
		c.Close(protocol.Closing, GoingDown)
	}
}

// Draining tells whether Drain was called.
func (f *Front) Draining() bool { return f.draining.Load() }

// Close accepts no more, bids every connection goodbye after what it has been
// told already, and returns when all their goroutines have ended. When ctx
// ends the sockets are closed at once.
func (f *Front) Close(ctx context.Context) error {
	for _, c := range f.shutDoors() {
		c.Close(protocol.Closing, GoingDown)
	}
	done := make(chan struct{})
	go func() {
		f.wg.Wait()
		f.dismiss()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for _, c := range f.Conns() {
		c.kill()
	}
	<-done
	return ctx.Err()
}

// dismiss ends the goroutines that outlive connections. There are none any more,
// and none begins.
func (f *Front) dismiss() {
	f.dismissed.Do(func() {
		close(f.idle)
		close(f.dozers.stop)
	})
	f.readers.Wait()
	f.scribes.close()
	f.dozers.ended.Wait()
}

// DropConnections closes every socket without a word, as a broken network
// would.
func (f *Front) DropConnections() {
	for _, c := range f.Conns() {
		c.kill()
	}
}

func (f *Front) shutDoors() []*Conn {
	f.mu.Lock()
	f.closed = true
	for ln := range f.listeners {
		ln.Close()
	}
	f.mu.Unlock()
	return f.Conns()
}

// Conns are the connections there are.
func (f *Front) Conns() []*Conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]*Conn, 0, len(f.conns))
	for c := range f.conns {
		all = append(all, c)
	}
	return all
}
