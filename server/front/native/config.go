package native

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// Config says what a Front offers. Bounds of 0 do not bind, except Limits,
// which must be complete.
type Config struct {
	ServerID uint64
	Server   string // product and version, for the Welcome
	Limits   protocol.Limits

	MinSessionTimeout, MaxSessionTimeout time.Duration
	MaxEphemerals                        int64 // of one session
	MaxConnections                       int
	MaxConnectionsPerIP                  int
	MaxOutboxBytes                       int // of one connection, estimated; 16 MiB if 0

	TLS         *tls.Config     // nil: none. With ClientCAs the peer's certificate is an identity
	SuperDigest string          // "user:base64(sha1(user:password))"; empty: none
	AdminToken  protocol.Secret // empty: none

	// Serving returns nil while sessions may be served here, else why not: then no
	// session begins and no guest reads. It is asked often and must not wait.
	// None: always.
	Serving func() error
	// Contact is how long ago the newest word of this server was spoken that the
	// leader has acknowledged; 0 while this server leads. It must not wait. None: 0.
	Contact func() time.Duration

	Status         func() protocol.Status
	ExpireSession  func(ctx context.Context, session uint64, cause string) error
	Members        func() []protocol.Member
	ClusterStatus  func(ctx context.Context) []protocol.MemberStatus // asks every member
	ChangeMember   func(ctx context.Context, c protocol.MemberChange) error
	TransferLeader func(ctx context.Context, id uint64) error // 0: whom the leader chooses

	Logger *slog.Logger
}

// notServing is nil while sessions and the reads of guests are served.
func (cfg *Config) notServing() error {
	if cfg.Serving == nil {
		return nil
	}
	return cfg.Serving()
}

func (cfg *Config) contactMs() int64 {
	if cfg.Contact == nil {
		return 0
	}
	const up = time.Millisecond - 1
	return int64((cfg.Contact() + up) / time.Millisecond)
}
