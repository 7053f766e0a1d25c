package native

import (
	"sync/atomic"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/front"
	"github.com/lycaon-io/lycaon/znode"
)

// Native is the protocol of our own clients.
type Native struct {
	cfg       Config
	snapshots chan struct{} // a place for each that is being sent
	surveys   chan struct{} // a place for each of the superuser's that is under way
	others    chan struct{} // and for each of the others'
	census    *census
	sent      atomic.Uint64 // snapshots
}

// New returns the protocol for a front.Front.
func New(cfg Config) *Native {
	return &Native{
		cfg: cfg, snapshots: make(chan struct{}, maxSnapshots),
		surveys: make(chan struct{}, maxSurveys), others: make(chan struct{}, maxSurveys), census: newCensus(),
	}
}

// Snapshots is how many were asked for since the start.
func (n *Native) Snapshots() uint64 { return n.sent.Load() }

// Name implements front.Protocol.
func (n *Native) Name() string { return "the Lycaon native protocol" }

// Begins implements front.Protocol.
func (n *Native) Begins(first byte) bool { return first == protocol.Magic[0] }

// Speak implements front.Protocol.
func (n *Native) Speak(c *front.Conn) front.Speaker { return &conn{Conn: c, native: n} }

// conn is one connection of a native client. Its fields are the reader's.
type conn struct {
	*front.Conn
	native *Native
	req    protocol.Request
	ids    []znode.Identity // of the hello
	admin  bool             // may use the administrative requests
	guest  bool             // has no session
}

// MaxFrame implements front.Speaker.
func (c *conn) MaxFrame() uint32 { return c.Config().Limits.MaxFrame }

// PingBytes implements front.Speaker.
func (c *conn) PingBytes() (bytes int, alone bool) { return protocol.PingBytes, true }

// Append implements front.Speaker. A pong says how fresh the leader's knowledge
// of this server's clients is: that is what a session's life hangs on.
func (c *conn) Append(b []byte, m *protocol.Message) []byte {
	if m.Op == protocol.OpPing && m.Kind == protocol.Reply {
		if ms := c.native.cfg.contactMs(); ms > 0 {
			pong := *m
			pong.More = &protocol.More{Count: ms}
			m = &pong
		}
	}
	return protocol.AppendMessage(b, m)
}
