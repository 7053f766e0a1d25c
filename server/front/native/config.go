package native

import (
	"context"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// Config says who the server is and what it offers beside the tree. What is
// nil is not offered.
type Config struct {
	ServerID uint64
	Server   string // product and version, for the Welcome

	// Contact is how long ago the newest word of this server was spoken that the
	// leader has acknowledged; 0 while this server leads. It must not wait. None: 0.
	Contact func() time.Duration

	Status         func() protocol.Status
	ExpireSession  func(ctx context.Context, session uint64, cause string) error
	Members        func() []protocol.Member
	ClusterStatus  func(ctx context.Context) []protocol.MemberStatus // asks every member
	ChangeMember   func(ctx context.Context, c protocol.MemberChange) error
	TransferLeader func(ctx context.Context, id uint64) error                               // 0: whom the leader chooses
	Sessions       func(ctx context.Context, q protocol.SessionQuery) *protocol.SessionPage // asks the others for those that are not held here
}

func (cfg *Config) contactMs() int64 {
	if cfg.Contact == nil {
		return 0
	}
	const up = time.Millisecond - 1
	return int64((cfg.Contact() + up) / time.Millisecond)
}
