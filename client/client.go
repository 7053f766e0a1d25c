package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// Client is one session with a cluster.
type Client struct {
	cfg    config
	epoch  time.Time       // times inside are durations since it
	ctx    context.Context // of the session: ends with it
	cancel context.CancelCauseFunc
	calls  sync.Pool      // of *call; not shared between clients
	wg     sync.WaitGroup // every goroutine of this client
	urge   chan struct{}  // of one place: the keeper has something new to look at

	mu           sync.Mutex // guards all below
	state        State
	stateChanged chan struct{} // closed and replaced at each change
	closing      bool
	lastRefusal  error // why there is no connection: what a server answered,
	lastFailure  error // and what else went wrong
	sess         sessionState
	lastZxid     uint64
	lastAck      time.Duration // when the newest sign of life was sent that the cluster is known to have heard
	limits       protocol.Limits
	link         *link // nil while disconnected
	pool         pool
	patience     time.Duration // with a silent server, if it is more than the least
	asking       bool          // for the members
	resting      bool          // the keeper looks again only when it is time for a ping

	nextXid uint64
	pending queue[*call]  // not yet sent, or not on this connection
	ghosts  int           // abandoned ones among them
	sent    queue[*call]  // on this connection, unanswered, in order
	owed    int           // bytes of them
	lateAt  time.Duration // when the keeper looks for calls that have waited for too long, 0: none waits
	window  window
	narrow  int // requests unanswered at most, if that is less than the server bears; else 0
	watches watchSet
}

type sessionState struct {
	id       uint64
	password []byte
	attempt  uint64
	timeout  time.Duration
}

// Open returns when a session exists, or fails when ctx ends or a server
// refuses this client for good. Without a deadline in ctx the request timeout
// bounds it.
func Open(ctx context.Context, servers []string, opts ...Option) (*Client, error) {
	return open(ctx, servers, protocol.HelloOpen, opts)
}

// OpenGuest returns a client without a session: for reads and administration.
// Its writes fail with ErrReadOnly. It costs the cluster no write, which
// makes it the cheapest way to look at one node.
func OpenGuest(ctx context.Context, servers []string, opts ...Option) (*Client, error) {
	return open(ctx, servers, protocol.HelloGuest, opts)
}

// OpenLazy returns at once and connects behind the first calls, which wait for
// the session. Bad options are told by every call.
func OpenLazy(servers []string, opts ...Option) *Client {
	c, err := newClient(servers, protocol.HelloOpen, opts)
	if err != nil {
		c.end(Closed, err)
		return c
	}
	c.launch()
	return c
}

func open(ctx context.Context, servers []string, mode protocol.HelloMode, opts []Option) (*Client, error) {
	c, err := newClient(servers, mode, opts)
	if err != nil {
		c.cancel(err)
		return nil, &Error{Op: "open", Err: err}
	}
	ctx, cancel := c.bound(ctx)
	defer cancel()
	c.launch()
	if err := c.awaitConnected(ctx); err != nil {
		c.end(Closed, ErrClosed)
		c.wg.Wait()
		return nil, opError("open", "", err)
	}
	return c, nil
}

func newClient(servers []string, mode protocol.HelloMode, opts []Option) (*Client, error) {
	cfg, err := newConfig(servers, mode, opts)
	c := &Client{
		cfg: cfg, epoch: time.Now().Add(-time.Second), // so that 0 is before everything
		urge: make(chan struct{}, 1), stateChanged: make(chan struct{}),
		limits: protocol.Limits{MaxFrame: defaultMaxFrame, MaxOutstanding: 1},
		pool:   newPool(cfg.servers),
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.watches.init()
	if cfg.mode == protocol.HelloAttach {
		c.adopt(cfg.resume)
	}
	return c, err
}

// adopt prepares for another client's session. Whatever that client has done
// since its token was taken, this one's numbers must be higher than its: those
// count up from 1, these from the microseconds of the wall clock. With a clock
// behind an earlier heir's the attach is refused as one that comes late. How high
// the writes of an heir of another kind have come, the Welcome tells.
func (c *Client) adopt(t SessionToken) {
	now := uint64(time.Now().UnixMicro())
	c.sess = sessionState{id: uint64(t.ID), password: t.password[:], attempt: max(t.attempt, now), timeout: t.timeout}
	c.nextXid = max(t.xid, now)
	c.lastZxid = t.zxid
}

func (c *Client) launch() {
	c.wg.Go(c.run)
	c.wg.Go(c.keep)
}

// bound gives ctx the request timeout if it has no deadline of its own.
func (c *Client) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has || c.cfg.requestTimeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.cfg.requestTimeout)
}

func (c *Client) awaitConnected(ctx context.Context) error {
	for {
		c.mu.Lock()
		state, changed := c.state, c.stateChanged
		c.mu.Unlock()
		switch state {
		case Connected:
			return nil
		case Expired, Closed:
			return context.Cause(c.ctx)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			c.mu.Lock()
			defer c.mu.Unlock()
			return errors.Join(ErrDisconnected, context.Cause(ctx), c.lastRefusal, c.lastFailure)
		}
	}
}

// Session is this client's session.
func (c *Client) Session() *Session { return &Session{c} }

// Close ends the session, with its ephemeral nodes, and returns when every
// goroutine of the client has. Calls under way get their answers first. An
// error says that no server took the farewell, so that the session stays
// until its timeout; the client is closed all the same. While another Close is
// at it this one waits for it, and an error is of ctx.
func (c *Client) Close(ctx context.Context) error {
	if c.beginClose() {
		err := c.farewell(ctx)
		c.end(Closed, ErrClosed)
		c.wg.Wait()
		return err
	}
	select {
	case <-c.ctx.Done():
	case <-ctx.Done():
		if c.ctx.Err() == nil {
			return opError("close", "", context.Cause(ctx))
		}
	}
	c.wg.Wait()
	return nil
}

// Abandon closes the client and leaves the session to its timeout, or to
// another client that resumes it.
func (c *Client) Abandon() {
	c.end(Closed, ErrClosed)
	c.wg.Wait()
}

// beginClose tells whether this is the first Close of a client that has not ended.
func (c *Client) beginClose() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.closing && c.ctx.Err() == nil
	c.closing = true
	return first
}

// errParted is the ErrClosed of a client whose session the cluster has ended, too.
var errParted = fmt.Errorf("%w", ErrClosed)

func (c *Client) farewell(ctx context.Context) error {
	cl := c.newCall(protocol.OpCloseSession)
	var err error
	c.mu.Lock()
	if c.cfg.mode != protocol.HelloGuest {
		err = c.startLocked(cl)
	}
	connected, known := c.link != nil, c.sess.id != 0
	c.mu.Unlock()
	if c.cfg.mode == protocol.HelloGuest || !connected && !known {
		return nil
	}
	if err == nil {
		err = c.awaitFarewell(ctx, cl, connected)
	}
	if err == nil || errors.Is(err, ErrSessionExpired) || errors.Is(err, errParted) {
		return nil
	}
	return opError("close", "", err)
}

func (c *Client) awaitFarewell(ctx context.Context, cl *call, connected bool) error {
	if !connected {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, closeGrace)
		defer cancel()
	}
	_, err := c.wait(ctx, cl)
	return err
}

// end makes the client useless for the given cause. Only the first call
// counts.
func (c *Client) end(state State, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return
	}
	c.cancel(cause)
	c.setState(state)
	if c.link != nil {
		c.link.cut()
	}
	c.failAll(cause)
	c.watches.failAll(cause)
}

// failAll settles every call. The caller holds mu.
func (c *Client) failAll(cause error) {
	for _, q := range []*queue[*call]{&c.sent, &c.pending} {
		for q.len() > 0 {
			cl := q.pop()
			c.finish(cl, &Error{Err: cause, Maybe: cl.isWrite() && cl.everSent()})
		}
	}
	c.window.reset()
	c.ghosts = 0
}

// setState tells a change. The caller holds mu.
func (c *Client) setState(s State) {
	if c.state == s {
		return
	}
	c.state = s
	close(c.stateChanged)
	c.stateChanged = make(chan struct{})
}

func (c *Client) now() time.Duration { return time.Since(c.epoch) }

// saw raises the newest zxid this client has been shown. The caller holds mu.
func (c *Client) saw(zxid uint64) { c.lastZxid = max(c.lastZxid, zxid) }
