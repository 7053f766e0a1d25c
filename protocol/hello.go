package protocol

import "github.com/lycaon-io/lycaon/znode"

// HelloMode says what a connection wants to be.
type HelloMode uint8

const (
	HelloOpen   HelloMode = 1 + iota // a new session
	HelloAttach                      // an existing one, by id and password
	HelloGuest                       // none: reads and administration only
)

// Credential proves an identity. Schemes: "digest" (user:password), "super" is
// reached by a digest that the server knows, "admin-token" (the secret in the
// server's data directory).
type Credential struct {
	Scheme string
	Data   Secret
}

// Hello is the first frame of a client.
type Hello struct {
	MinVersion, MaxVersion uint8
	Mode                   HelloMode
	Client                 string // name and version, for logs
	TimeoutMs              int64  // asked for
	Session                uint64 // attach
	Password               Secret // attach: the 16 bytes of the Welcome
	Attempt                uint64 // attach: rises with each try of this client; an equal one repeats the answer
	LastZxid               uint64 // newest zxid the client has seen; a server behind it answers NotReady
	Ack                    uint64 // attach: lowest unacknowledged xid
	Credentials            []Credential
}

// Limits are told in the Welcome; a client keeps within them.
type Limits struct {
	MaxFrame        uint32 // the greatest length that a frame may announce: header and body
	MaxData         uint32 // bytes of one node's data
	MaxOutstanding  uint32 // requests without an answer
	MaxOutcomes     uint32 // answers of writes not yet acknowledged
	MaxOutcomeBytes uint32
	MaxMultiOps     uint32
	MaxWatches      uint32
}

// Welcome answers a Hello. With a Code other than OK only Code, Detail and
// Zxid count, and the server closes after it.
type Welcome struct {
	Version    uint8
	Code       Code
	Detail     string // why refused; of SessionExpired the cause
	ServerID   uint64
	Server     string // product and version
	Session    uint64
	Password   Secret
	Generation uint64
	TimeoutMs  int64
	Zxid       uint64
	Limits     Limits
	Identities []znode.Identity
	HighXid    uint64 // attach: of the session's writes that have run or are acknowledged; a new write needs a higher one
}
