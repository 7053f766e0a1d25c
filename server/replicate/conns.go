package replicate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/peer"
)

// raftConns are the connections of one life of raft: closing them is what ends
// the calls that wait for a peer, and those of a former life must not reach
// the next one.
type raftConns struct {
	mux    *peer.Mux
	local  raft.ServerAddress
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex // guards what follows
	open   map[*raftConn]struct{}
	closed bool
}

type raftConn struct {
	net.Conn
	to    raft.ServerAddress // "" for an accepted one
	conns *raftConns
}

func newRaftConns(mux *peer.Mux, local raft.ServerAddress) *raftConns {
	c := &raftConns{mux: mux, local: local, open: map[*raftConn]struct{}{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

func (c *raftConn) Close() error {
	c.conns.mu.Lock()
	delete(c.conns.open, c)
	c.conns.mu.Unlock()
	return c.Conn.Close()
}

// keep takes note of a connection, unless all are closed already.
func (c *raftConns) keep(conn net.Conn, to raft.ServerAddress) (net.Conn, error) {
	kept := &raftConn{Conn: conn, to: to, conns: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	c.open[kept] = struct{}{}
	return kept, nil
}

// drop closes the connections to one server.
func (c *raftConns) drop(to raft.ServerAddress) {
	c.closeIf(func(conn *raftConn) bool { return conn.to == to })
}

func (c *raftConns) closeIf(match func(*raftConn) bool) {
	c.mu.Lock()
	var matching []*raftConn
	for conn := range c.open {
		if match(conn) {
			matching = append(matching, conn)
		}
	}
	c.mu.Unlock()
	for _, conn := range matching {
		_ = conn.Close() // whoever uses it is told
	}
}

func (c *raftConns) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.closeIf(func(*raftConn) bool { return true })
}

// target is a member's address with its id: the handshake wants to see both.
func target(id raft.ServerID, to raft.ServerAddress) raft.ServerAddress {
	return raft.ServerAddress(id) + "@" + to
}

func parseTarget(s raft.ServerAddress) (peer.Target, error) {
	id, rest, _ := strings.Cut(string(s), "@")
	a, err := parseMemberAddr(raft.ServerAddress(rest))
	if err != nil {
		return peer.Target{}, err
	}
	return peer.Target{ID: parseServerID(raft.ServerID(id)), Addr: a.addr, Data: a.data}, nil
}

// Dial connects to a member that shows the data directory that the cluster
// knows it by. It gives up early, so that a network that heals is noticed soon.
func (c *raftConns) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	t, err := parseTarget(to)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.ctx, min(timeout, dialTimeout))
	defer cancel()
	conn, err := c.mux.Dial(ctx, peer.Raft, t)
	if err != nil {
		return nil, fmt.Errorf("replicate: reach server %d: %w", t.ID, err)
	}
	return c.keep(conn, to)
}

// raftListener takes the streams of other servers for raft.
type raftListener struct {
	*raftConns
	listener net.Listener // nil: accepts none, dials only
}

func (c *raftConns) accepting() *raftListener {
	return &raftListener{c, c.mux.Listener(peer.Raft)}
}

func (c *raftConns) dialing() *raftListener { return &raftListener{c, nil} }

func (l *raftListener) Accept() (net.Conn, error) {
	if l.listener == nil {
		<-l.ctx.Done()
		return nil, net.ErrClosed
	}
	conn, err := l.listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.keep(conn, "")
}

func (l *raftListener) Close() error {
	l.cancel()
	if l.listener == nil {
		return nil
	}
	return l.listener.Close()
}

func (l *raftListener) Addr() net.Addr { return raftAddr(l.local) }

// raftAddr is what raft takes for this server's address.
type raftAddr raft.ServerAddress

func (raftAddr) Network() string  { return "lycaon" }
func (a raftAddr) String() string { return string(a) }
