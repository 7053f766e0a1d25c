package protocol

// Version is the only version of the native protocol so far.
const Version uint8 = 1

// Magic is the first thing a native client sends. No other protocol of the
// client port begins so: as the length of a ZooKeeper packet it would be
// absurd, and TLS begins with 0x16.
var Magic = [4]byte{'L', 'Y', 'C', 0x01}

// Bounds of a connection that has proved nothing yet.
const (
	PreHelloMaxFrame = 4 << 10  // of a Hello
	WelcomeMaxFrame  = 64 << 10 // of a Welcome: what a client accepts before it knows the limits
)

// MaxXid bounds the xids of a session's writes, and what is acknowledged of them:
// whoever takes the session over begins above both.
const MaxXid uint64 = 1 << 63

// Leap is more than the zxids of a cluster rise while a client is away, and less than they
// do over a restore of a backup: a watch that is resumed from further below may have seen
// a history that is no more, of which the zxids of nodes tell nothing.
const Leap uint64 = 1 << 32

// What no setting can raise: the bounds of what a decoder makes of one frame.
const (
	maxDepth       = 32      // arrays within arrays
	maxMultiOps    = 40_000  // of a multi, a multi-read and their results: beyond the limit, which is refused in better words
	maxMade        = 128_000 // nodes that one multi creates, with missing parents: what the lock can be held for
	maxResume      = 50_000  // watches in one OpResume; a client sends more in several
	maxNames       = 1 << 20
	maxIdentities  = 64 // of one connection
	maxCredentials = 16 // of a Hello
	maxClientBytes = 256
	maxSecretBytes = 64      // a session's password
	maxDetailBytes = 1024    // of a text for a person; longer ones are cut
	maxCauseBytes  = 1024    // why a session is ended by hand
	maxMembers     = 256     // of a cluster
	maxAddrBytes   = 300     // of a member: a name of 253 bytes, a port, some room
	maxPageLimit   = 1 << 30 // a page's limit as a client asks for it
)

// DefaultLimits are a server's unless it is told otherwise. The frame has room
// for a node's full data beside the longest path and an ACL of usual size.
func DefaultLimits() Limits {
	return Limits{
		MaxFrame:        1<<20 + 4<<10,
		MaxData:         1 << 20,
		MaxOutstanding:  1000,
		MaxOutcomes:     1024,
		MaxOutcomeBytes: 256 << 10,
		MaxMultiOps:     20_000,
		MaxWatches:      50_000,
	}
}
