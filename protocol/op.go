package protocol

// Op names what a request asks for. Its numbers are the wire's.
type Op uint8

// Writes: they go through the log, and a Multi is made of the first five.
const (
	OpCreate Op = 1 + iota
	OpDelete
	OpSet
	OpSetACL
	OpCheck
	OpMulti
	OpCloseSession
)

// Reads: answered by the server that holds the connection.
const (
	OpGet Op = 16 + iota
	OpExists
	OpChildren
	OpGetACL
	OpCount      // descendants
	OpEphemerals // of the asking session
	OpMultiRead  // of OpGet, OpExists, OpChildren, OpGetACL, OpCount
	OpSync       // answers the zxid reached by a no-op through the log
	OpWhoAmI
	OpSessionInfo // of any session: alive, or how it ended
)

// Watches: they live on the connection.
const (
	OpWatch   Op = 32 + iota // add
	OpUnwatch                // remove
	OpResume                 // re-establish after a re-attach
)

// The connection itself.
const (
	OpPing Op = 48 + iota
	OpAuth
)

// Administration: wants the superuser's or the data directory's identity.
const (
	OpSnapshot Op = 64 + iota // streams an image
	OpStatus
	OpExpireSession
)

// IsWrite tells whether op is ordered by the log as a client's write.
func (op Op) IsWrite() bool { return op >= OpCreate && op <= OpCloseSession }

// IsRead tells whether op is answered from local state.
func (op Op) IsRead() bool { return op >= OpGet && op <= OpSessionInfo }
