package front

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// Config says what holds for clients of every protocol. Bounds of 0 do not
// bind, except Limits, which must be complete.
type Config struct {
	Limits protocol.Limits

	MinSessionTimeout, MaxSessionTimeout time.Duration
	MaxEphemerals                        int64 // of one session
	MaxConnections                       int
	MaxConnectionsPerIP                  int
	MaxOutboxBytes                       int // of one connection, estimated, but for one message behind the first 256 KiB; 16 MiB if 0
	MaxAllOutboxBytes                    int // of all, beyond the first 256 KiB of each, but for one message of each; 512 MiB if 0

	TLS         *tls.Config     // nil: none. With ClientCAs the peer's certificate is an identity
	SuperDigest string          // "user:base64(sha1(user:password))"; empty: none
	AdminToken  protocol.Secret // empty: none

	// Serving returns nil while sessions may be served here, else why not: then no
	// session begins and no guest reads. It is asked often and must not wait.
	// None: always.
	Serving func() error

	// AllKnow tells whether every server of the cluster can apply what newer
	// programs have learned (state.KnowsBrief, ...). It may wait until that is known.
	// None: always.
	AllKnow func(ctx context.Context, what int) bool

	Logger *slog.Logger
}

func (cfg Config) withDefaults() Config {
	if cfg.MaxOutboxBytes == 0 {
		cfg.MaxOutboxBytes = defaultMaxOutboxBytes
	}
	if cfg.MaxAllOutboxBytes == 0 {
		cfg.MaxAllOutboxBytes = defaultMaxAllOutboxBytes
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// NotServing is nil while sessions and the reads of guests are served.
func (cfg *Config) NotServing() error {
	if cfg.Serving == nil {
		return nil
	}
	return cfg.Serving()
}

// Clamp returns the session timeout that a client gets which asks for so many
// milliseconds.
func (cfg *Config) Clamp(askedMs int64) time.Duration {
	const longest = int64(time.Duration(1<<63-1) / time.Millisecond)
	asked := time.Duration(min(askedMs, longest)) * time.Millisecond
	if cfg.MaxSessionTimeout > 0 {
		asked = min(asked, cfg.MaxSessionTimeout)
	}
	return max(asked, cfg.MinSessionTimeout, time.Millisecond)
}
