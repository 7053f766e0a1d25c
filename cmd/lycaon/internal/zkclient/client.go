package zkclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/protocol/jute"
)

const (
	defaultLinks   = 4
	defaultGiveUp  = time.Minute
	dialWithin     = 5 * time.Second
	answerWithin   = 20 * time.Second // of a request, however many are before it
	closeWithin    = 2 * time.Second
	sessionTimeout = 30 * time.Second
	firstPause     = 100 * time.Millisecond // when no server could be reached
	longestPause   = 2 * time.Second
	maxTries       = 10        // of a request on connections that then break
	maxAnswer      = 256 << 20 // a listing of millions of names; memory grows with what comes
)

// Config says whom to ask, and as whom.
type Config struct {
	Servers []string // host:port
	Auth    []jute.Auth
	Links   int           // connections; 4 if 0
	GiveUp  time.Duration // how long a request waits for a server to be reached; a minute if 0
	Dial    func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Client asks a ZooKeeper.
type Client struct {
	cfg     Config
	slots   []*slot
	turn    atomic.Uint64
	running sync.WaitGroup
	zxid    atomic.Int64 // newest one seen: a server that is behind it turns us away
}

// slot is the place of one connection. Its lock is held while a new one is
// made, so that the others wait for it.
type slot struct {
	mu   sync.Mutex
	link *link
}

// ErrAuthFailed says that the servers do not take what we prove ourselves with.
var ErrAuthFailed = protocol.ErrAuthFailed

// errLost is of a request whose connection broke before the answer.
var errLost = errors.New("the connection was lost")

// Open makes the first connection.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	if len(cfg.Servers) == 0 {
		return nil, errors.New("no ZooKeeper server is named")
	}
	if cfg.Links == 0 {
		cfg.Links = defaultLinks
	}
	if cfg.GiveUp == 0 {
		cfg.GiveUp = defaultGiveUp
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	c := &Client{cfg: cfg}
	for range cfg.Links {
		c.slots = append(c.slots, &slot{})
	}
	if _, err := c.linkOf(ctx, 0); err != nil {
		return nil, err
	}
	return c, nil
}

// Close ends the sessions and the connections. Nothing may be asked any more.
func (c *Client) Close() {
	for _, s := range c.slots {
		s.mu.Lock()
		if s.link != nil {
			s.link.close()
		}
		s.mu.Unlock()
	}
	c.running.Wait()
}

// Ask sends all calls on one connection, in order, and returns their answers,
// each of a state not older than that before it. What ZooKeeper has against a
// call is in its answer; the error says that no server could be asked.
func (c *Client) Ask(ctx context.Context, calls ...jute.Call) ([]jute.Answer, error) {
	return c.askOn(ctx, int(c.turn.Add(1)%uint64(len(c.slots))), calls)
}

// AskAll sends the call once on every connection.
func (c *Client) AskAll(ctx context.Context, call jute.Call) error {
	for i := range c.slots {
		answers, err := c.askOn(ctx, i, []jute.Call{call})
		if err != nil {
			return err
		}
		if err := Failure(&call, &answers[0]); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) askOn(ctx context.Context, i int, calls []jute.Call) ([]jute.Answer, error) {
	for try := 1; ; try++ {
		l, err := c.linkOf(ctx, i)
		if err != nil {
			return nil, err
		}
		answers, err := l.ask(ctx, calls)
		if !errors.Is(err, errLost) || try == maxTries {
			return answers, err
		}
		i = (i + 1) % len(c.slots)
	}
}

// linkOf returns the connection of slot i, a new one if need be.
func (c *Client) linkOf(ctx context.Context, i int) (*link, error) {
	s := c.slots[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != nil && !s.link.broken() {
		return s.link, nil
	}
	l, err := c.reach(ctx, i)
	if err != nil {
		return nil, err
	}
	s.link = l
	return l, nil
}

// reach tries the servers, beginning with another one for each slot, until one
// takes us.
func (c *Client) reach(ctx context.Context, first int) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.GiveUp)
	defer cancel()
	var why []error // of the last round that had its time
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		var failed []error
		for i := range c.cfg.Servers {
			addr := c.cfg.Servers[(first+i)%len(c.cfg.Servers)]
			l, err := c.connect(ctx, addr)
			if err == nil {
				return l, nil
			}
			if errors.Is(err, ErrAuthFailed) {
				return nil, fmt.Errorf("%s: %w", addr, err)
			}
			failed = append(failed, fmt.Errorf("%s: %w", addr, err))
		}
		if why == nil || ctx.Err() == nil {
			why = failed
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("no ZooKeeper could be reached: %w", errors.Join(append(why, context.Cause(ctx))...))
		case <-time.After(pause):
		}
	}
}

// Failure turns what an answer says against its call into an error that wraps
// the sentinel of the same number.
func Failure(call *jute.Call, a *jute.Answer) error {
	if a.Err == 0 {
		return nil
	}
	return fmt.Errorf("ZooKeeper: %v %s: %w", call.Op, call.Path, protocol.Code(a.Err).Err())
}

// saw takes note of how far the servers have come.
func (c *Client) saw(zxid int64) {
	for {
		newest := c.zxid.Load()
		if zxid <= newest || c.zxid.CompareAndSwap(newest, zxid) {
			return
		}
	}
}
