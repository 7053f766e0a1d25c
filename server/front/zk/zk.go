package zk

import (
	"context"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/front"
	"github.com/lycaon-io/lycaon/server/front/zk/digestmd5"
)

// Setting is a line of conf.
type Setting struct{ Key, Value string }

// Config says what a ZooKeeper offers beside the tree. What is nil is not
// offered.
type Config struct {
	Status   func() protocol.Status
	Members  func() []protocol.Member
	Settings []Setting    // as conf tells them
	DataDir  func() int64 // bytes of the data directory

	Words Words           // that are answered
	Users *digestmd5.File // of SASL DIGEST-MD5

	// ChangeMember is what reconfig does.
	ChangeMember func(ctx context.Context, c protocol.MemberChange) error
}

// ZooKeeper is the protocol of ZooKeeper's clients.
type ZooKeeper struct {
	cfg       Config
	onlookers onlookers
	latency   latency
	start     time.Time

	mu             sync.Mutex // guards what srst last saw
	received, sent uint64
}

// New returns the protocol for a front.Front.
func New(cfg Config) *ZooKeeper {
	return &ZooKeeper{cfg: cfg, start: time.Now()}
}

// Name implements front.Protocol.
func (z *ZooKeeper) Name() string { return "ZooKeeper's client protocol" }

// Begins implements front.Protocol: the length of a handshake begins with a 0,
// and a word with a letter.
func (z *ZooKeeper) Begins(first byte) bool { return first == 0 || first >= 'a' && first <= 'z' }

// Speak implements front.Protocol.
func (z *ZooKeeper) Speak(c *front.Conn) front.Speaker { return newConn(z, c) }
