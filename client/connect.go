package client

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// errXidsSpent: no server will take another write of this session. What a new one
// is told of it is nonsense, and of that server alone.
var errXidsSpent = fmt.Errorf("%w: the session has no xid left for another write", ErrProtocol)

// errNoneLeft: nobody is left to try before the next pause.
var errNoneLeft = errors.New("every server was tried")

// connect opens or re-attaches the session on a server: on the first that
// takes it of those not tried since the last pause. That one does not know the
// credentials or the version is final only if it is so of each: an admin token
// is one server's alone, and an upgrade goes server by server.
func (c *Client) connect() (l *link, final bool, err error) {
	var failures []error
	answered := false
	for {
		c.mu.Lock()
		servers, refused := c.pool.untried(c.now()), c.pool.allRefuse()
		if answered {
			// Those who answer that there is no leader yet will have one sooner
			// than a server that is paused takes a hello.
			servers = c.pool.rested(servers, c.now())
		}
		c.mu.Unlock()
		switch {
		case len(servers) > 0:
		case len(failures) == 0:
			return nil, false, errNoneLeft
		case refused:
			return nil, true, failures[len(failures)-1]
		default:
			return nil, false, errors.Join(failures...)
		}
		l, err := c.try(servers)
		if lost := isSessionLoss(codeOf(err)) || errors.Is(err, errXidsSpent); err == nil || c.ctx.Err() != nil || lost {
			return l, lost, err
		}
		failures = append(failures, err)
		answered = answered || codeOf(err) != protocol.OK
	}
}

// try dials these servers and says hello to the first one that is reached.
// Whoever fails in it is marked, one at least.
func (c *Client) try(servers []string) (*link, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.helloTimeout())
	defer cancel()
	conn, addr, err := c.dialAny(ctx, servers, c.noteFailed)
	if err != nil {
		return nil, err
	}
	var l *link
	err = c.within(c.ctx, c.welcomePatience(addr), conn, func() (err error) {
		l, err = c.greet(conn, addr)
		return err
	})
	if err != nil {
		c.noteFailed(addr)
		if isRefusal(codeOf(err)) {
			c.noteRefused(addr)
		}
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	return l, nil
}

func (c *Client) noteFailed(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pool.fail(addr, c.now())
}

func (c *Client) noteRefused(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pool.refuse(addr)
}

// within lets f use conn for so long, and closes it if f fails.
func (c *Client) within(ctx context.Context, d time.Duration, conn net.Conn, f func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d, errNoWelcome)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err := f()
	stop() // too late, it closes a connection that was taken over: serve ends that like any other
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}
	return err
}

var errNoWelcome = errors.New("the server did not answer")

// helloTimeout lets a client try several servers within its session.
func (c *Client) helloTimeout() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	timeout := c.sess.timeout
	if timeout == 0 {
		timeout = c.cfg.sessionTimeout
	}
	return min(max(timeout/4, helloTimeoutMin), helloTimeoutMax)
}

// welcomePatience is how long a server that was reached may take to welcome
// this client. One that is paused is reached, since its kernel answers; so
// while there are others to turn to it gets a moment, twice as long each time
// all have been tried, for it may be the whole cluster that is slow. An attempt
// given up never fences a later one.
func (c *Client) welcomePatience(addr string) time.Duration {
	most := c.helloTimeout()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.pool.hasOther(addr) {
		return most
	}
	return min(welcomePatienceMin<<min(c.pool.rounds, 10), most)
}

// dialAny dials the servers in turn, the next one as soon as one has failed or
// taken too long, and takes the first connection. Who fails or takes long is
// told to failed.
func (c *Client) dialAny(ctx context.Context, servers []string, failed func(addr string)) (net.Conn, string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		addr string
		conn net.Conn
		err  error
	}
	results := make(chan result)
	dial := func(addr string) {
		conn, err := c.dial(ctx, addr)
		select {
		case results <- result{addr, conn, err}:
		case <-ctx.Done():
			if conn != nil {
				conn.Close()
			}
		}
	}
	open, started := map[string]bool{}, 0
	giveUp := func() {
		for addr := range open {
			failed(addr)
		}
	}
	var failures []error
	late := func() []error {
		for _, addr := range servers[:started] {
			if open[addr] {
				failures = append(failures, fmt.Errorf("%s: no connection: %w", addr, context.Cause(ctx)))
			}
		}
		return failures
	}
	hedge := time.NewTimer(hedgeDelay)
	defer hedge.Stop()
	next := func() {
		if started < len(servers) {
			addr := servers[started]
			c.wg.Go(func() { dial(addr) })
			open[addr], started = true, started+1
			hedge.Reset(hedgeDelay)
		}
	}
	next()
	for {
		select {
		case <-hedge.C:
			next()
		case r := <-results:
			delete(open, r.addr)
			if r.err == nil {
				giveUp()
				return r.conn, r.addr, nil
			}
			failed(r.addr)
			failures = append(failures, fmt.Errorf("%s: %w", r.addr, r.err))
			if len(open) == 0 && started == len(servers) {
				return nil, "", errors.Join(failures...)
			}
			next()
		case <-ctx.Done():
			giveUp()
			return nil, "", cmp.Or(errors.Join(late()...), context.Cause(ctx))
		}
	}
}

func (c *Client) dial(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := c.cfg.dial(ctx, "tcp", addr)
	if err != nil || c.cfg.tls == nil {
		return conn, err
	}
	conf := c.cfg.tls
	if conf.ServerName == "" && !conf.InsecureSkipVerify {
		conf = conf.Clone()
		conf.ServerName, _, _ = net.SplitHostPort(addr)
	}
	secure := tls.Client(conn, conf)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS with %s: %w", addr, err)
	}
	return secure, nil
}

// greet says hello and takes the welcome.
func (c *Client) greet(conn net.Conn, addr string) (*link, error) {
	sentAt := c.now()
	if _, err := conn.Write(protocol.AppendHello(protocol.Magic[:], c.hello(c.cfg.mode, addr))); err != nil {
		return nil, err
	}
	l := newLink(c, conn, addr)
	welcome, err := readWelcome(l.r)
	if err != nil {
		return nil, err
	}
	if welcome.Code != protocol.OK {
		return nil, &farewellError{code: welcome.Code, detail: welcome.Detail}
	}
	l.limit = welcome.Limits.MaxFrame
	return l, c.welcomed(l, welcome, sentAt)
}

func readWelcome(r *bufio.Reader) (*protocol.Welcome, error) {
	begin, _ := r.Peek(4) // a stranger's first words, where a length is due
	begin = slices.Clone(begin)
	frame, err := readFrame(r, nil, protocol.WelcomeMaxFrame)
	if errors.Is(err, ErrProtocol) {
		err = fmt.Errorf("%w: it begins with %q", err, begin)
	}
	if err != nil {
		return nil, fmt.Errorf("awaiting the welcome: %w", err)
	}
	w, err := protocol.DecodeWelcome(frame)
	if err != nil {
		return nil, fmt.Errorf("awaiting the welcome: %w: %w", ErrProtocol, err)
	}
	return &w, nil
}

func (c *Client) hello(mode protocol.HelloMode, addr string) *protocol.Hello {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &protocol.Hello{
		MinVersion: protocol.Version, MaxVersion: protocol.Version,
		Mode: mode, Client: clientName,
		TimeoutMs: c.cfg.sessionTimeout.Milliseconds(),
		LastZxid:  c.lastZxid,
	}
	creds := c.cfg.credentials
	if c.sess.id != 0 && mode != protocol.HelloGuest {
		c.sess.attempt++
		h.Mode = protocol.HelloAttach
		h.Session, h.Password, h.Attempt = c.sess.id, slices.Clone(c.sess.password), c.sess.attempt
		h.Ack = c.lowestOpen()
		creds = c.credentialsAt(addr)
	}
	h.Credentials = wires(creds)
	return h
}

// credentialsAt leaves out what another server would refuse the session for. The caller
// holds mu.
func (c *Client) credentialsAt(addr string) []Credential {
	return slices.DeleteFunc(slices.Clone(c.cfg.credentials), func(cred Credential) bool {
		return cred.server != 0 && cred.server != c.pool.ids[addr]
	})
}

// welcomed takes over what the server granted and puts the watches in front
// of everything that waits.
func (c *Client) welcomed(l *link, w *protocol.Welcome, sentAt time.Duration) error {
	if err := c.checkWelcome(w); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	c.sess.timeout = time.Duration(w.TimeoutMs) * time.Millisecond
	if c.cfg.mode != protocol.HelloGuest { // a guest is welcome where nobody can answer it, too
		c.lastRefusal = nil
		c.sess.id = w.Session
		if len(w.Password) > 0 {
			c.sess.password = w.Password
		}
	}
	c.limits = w.Limits
	c.nextXid = max(c.nextXid, w.HighXid)
	c.pool.met(l.addr, w.ServerID)
	c.taken(w.ServerID)
	c.saw(w.Zxid)
	c.acknowledged(sentAt)
	l.greeted, l.lastPingAt = c.now(), sentAt
	c.link = l
	c.lastFailure = nil
	c.watches.reconnected(c)
	c.askMembers(l)
	c.setState(Connected)
	c.prompt()
	return nil
}

// taken is told who has taken all credentials that may be of any server. The caller
// holds mu.
func (c *Client) taken(by uint64) {
	creds := slices.Clone(c.cfg.credentials)
	for i, cred := range creds {
		if cred.server == 0 {
			creds[i] = cred.ownedBy(by)
		}
	}
	c.cfg.credentials = creds
}

// checkWelcome distrusts the server: what it grants must be usable.
func (c *Client) checkWelcome(w *protocol.Welcome) error {
	c.mu.Lock()
	id, seen := c.sess.id, c.lastZxid // as in the hello: no connection was up since
	c.mu.Unlock()
	guest := c.cfg.mode == protocol.HelloGuest
	switch {
	case !guest && (w.Session == 0 || id != 0 && w.Session != id):
		return fmt.Errorf("%w: welcomed to session %#x instead of %#x", ErrProtocol, w.Session, id)
	case !guest && len(w.Password) != passwordSize && (id == 0 || len(w.Password) > 0):
		return fmt.Errorf("%w: a session password of %d bytes", ErrProtocol, len(w.Password))
	case w.TimeoutMs < min(leastTimeout, c.cfg.sessionTimeout).Milliseconds() || w.TimeoutMs > (24*time.Hour).Milliseconds():
		return fmt.Errorf("%w: a session timeout of %d ms", ErrProtocol, w.TimeoutMs)
	case w.Zxid > maxZxid || w.Zxid < seen:
		return fmt.Errorf("%w: a state of zxid %d", ErrProtocol, w.Zxid)
	case w.HighXid >= protocol.MaxXid && id != 0:
		return fmt.Errorf("%w: one has run as %d", errXidsSpent, w.HighXid)
	case w.HighXid >= protocol.MaxXid:
		return fmt.Errorf("%w: a write of xid %d", ErrProtocol, w.HighXid)
	}
	return checkGrant(w)
}

// checkGrant is checkWelcome of a connection that has no session.
func checkGrant(w *protocol.Welcome) error {
	lim := w.Limits
	switch {
	case w.Version != protocol.Version:
		return fmt.Errorf("%w: version %d was never offered", ErrProtocol, w.Version)
	case lim.MaxFrame == 0 || lim.MaxFrame > maxFrame || lim.MaxOutstanding == 0 || lim.MaxOutcomes == 0 || lim.MaxWatches == 0:
		return fmt.Errorf("%w: limits %+v", ErrProtocol, lim)
	}
	return nil
}
