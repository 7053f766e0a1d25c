package faults

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/client"
)

// callWithin bounds every call: an answer that has not come by then is a fault of the cluster, not a matter of patience.
const callWithin = 40 * time.Second

// line opens a client's connections and can cut the present one, which makes the client hop.
type line struct {
	mu    sync.Mutex // guards conn
	conn  net.Conn
	avoid string // address that is refused: a client that hops goes elsewhere
}

var errAvoided = errors.New("avoided")

func (l *line) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	l.mu.Lock()
	avoid := l.avoid
	l.mu.Unlock()
	if avoid == addr {
		return nil, errAvoided
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.avoid = conn, ""
	return conn, nil
}

// hop cuts the connection and has the next one go to another server, if there is one.
func (l *line) hop(elsewhere bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return
	}
	if elsewhere {
		l.avoid = l.conn.RemoteAddr().String()
	}
	l.conn.Close()
}

// actor is one process of a history: a goroutine with a client, one session after the other.
type actor struct {
	id      int
	load    *load
	rng     *rand.Rand
	timeout time.Duration
	line    *line
	client  *client.Client
	session uint64
	states  sync.WaitGroup
}

// open begins a session, trying until there is one or the load ends.
func (a *actor) open(ctx context.Context) bool {
	for ctx.Err() == nil {
		a.line = &line{}
		opening, cancel := context.WithTimeout(ctx, callWithin)
		c, err := client.Open(opening, a.load.addrs, client.WithDialer(a.line.dial), client.WithSessionTimeout(a.timeout))
		cancel()
		if err != nil {
			continue
		}
		a.client, a.session = c, uint64(c.Session().ID())
		a.live("opened", nil)
		a.states.Go(func() { a.follow(c, a.session) })
		return true
	}
	return false
}

// follow writes down what the client knows of its session.
func (a *actor) follow(c *client.Client, session uint64) {
	for s := range c.Session().States() {
		r := life{Process: a.id, Session: session, State: s.String(), At: a.load.rec.now()}
		if s == client.Expired {
			r.Cause = context.Cause(c.Session().Context()).Error()
		}
		a.load.rec.write(record{Life: &r})
	}
}

func (a *actor) live(state string, cause error) {
	r := life{Process: a.id, Session: a.session, State: state, TimeoutMs: a.client.Session().Timeout().Milliseconds(), At: a.load.rec.now()}
	if cause != nil {
		r.Cause = cause.Error()
	}
	a.load.rec.write(record{Life: &r})
}

// lost tells whether the session has ended without being asked to.
func (a *actor) lost() bool { return a.client.Session().Context().Err() != nil }

// leave closes the session.
func (a *actor) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	a.live("closing", nil)
	_ = a.client.Close(ctx) // a session that is not closed expires
	a.states.Wait()
}

// vanish leaves the session to its timeout.
func (a *actor) vanish() {
	a.live("abandoned", nil)
	a.client.Abandon()
	a.states.Wait()
}

// load is everything that the clients do in one run.
type load struct {
	rec     *recorder
	addrs   []string
	seed    uint64
	ids     atomic.Int64 // unique data
	watches atomic.Int64
	padding int // bytes beside the data of the set
	actors  int
	wg      sync.WaitGroup
}

// launch starts one actor that goes round until the load ends, with a new session whenever it has lost one.
func (l *load) launch(ctx context.Context, timeout time.Duration, round func(context.Context, *actor) error) {
	l.actors++
	a := &actor{id: l.actors, load: l, timeout: timeout, rng: rand.New(rand.NewPCG(l.seed, uint64(l.actors)))}
	l.wg.Go(func() {
		for a.open(ctx) {
			for ctx.Err() == nil && !a.lost() {
				if err := round(ctx, a); err != nil {
					break
				}
			}
			a.leave()
		}
	})
}

// think paces an actor, so that histories stay short enough to check.
func (a *actor) think(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
