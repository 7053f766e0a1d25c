package state

import "github.com/lycaon-io/lycaon/protocol"

// TxnKind says what a transaction of a batch is.
type TxnKind uint8

const (
	TxnWrite  TxnKind = 1 + iota // a client's write, OpCloseSession included
	TxnOpen                      // a new session
	TxnAttach                    // a session moves to a connection of Origin
	TxnExpire                    // the leader ends a session
	TxnReap                      // the leader deletes an idle container or TTL node
	TxnNoop                      // orders something: sync, a linearizable read, a new leader
	TxnConfig                    // the leader tells the tree who the members are
)

// What programs have learned to apply since the first version, each with all
// before it. A replica of an older program would stop at it or come to another
// state, so nobody proposes it before every member knows it.
const (
	KnowsConfig      = 1 + iota // TxnConfig
	KnowsBrief                  // a multi with a brief answer, or of more than OldMultiOps operations
	KnowsGenerations            // nothing to apply: to open a log that lies in generations
	Knows            = KnowsGenerations
)

// OldMultiOps is how many operations of a multi a program before KnowsBrief decodes.
const OldMultiOps = 10_000

// Txn is one transaction on its way through the log. Origin is the
// incarnation of the server that wants to know the outcome, Ticket its own
// number for it; both are 0 when nobody waits. A TxnWrite is known by session,
// generation and sequence instead.
type Txn struct {
	Kind   TxnKind
	Origin uint64
	Ticket uint64

	Session    uint64
	Generation uint64
	Seq        uint64 // TxnWrite: 1 for the first write of a generation
	Xid        uint64 // TxnWrite: 0 keeps no outcome
	Ack        uint64 // TxnWrite, TxnAttach: lowest unacknowledged xid
	Op         protocol.Op
	IDs        []byte // TxnWrite: identities, encoded by protocol.AppendIdentities
	Body       []byte // TxnWrite: the request's body

	PasswordHash  [32]byte // TxnOpen, TxnAttach: SHA-256 of the password
	TimeoutMs     int64    // TxnOpen, TxnAttach: negotiated
	MaxEphemerals int64    // TxnOpen: 0 = no bound
	Attempt       uint64   // TxnAttach
	Cause         string   // TxnExpire
	Path          string   // TxnReap
	Mzxid, Pzxid  uint64   // TxnReap: only if unchanged since
	Members       string   // TxnConfig: a line of each, "" for nobody
}

// Verdict says what became of a transaction.
type Verdict uint8

const (
	Applied   Verdict = 1 + iota // ran; Answer tells how it went
	Repeated                     // its outcome was known already; Answer is that outcome
	Duplicate                    // an earlier copy ran: nothing to tell
	Gap                          // an earlier one is missing: not run, will come again
	Fenced                       // of an older generation: nothing to tell
)

// Outcome is what one transaction did.
type Outcome struct {
	Verdict Verdict
	Answer  protocol.Message // Kind Reply; Zxid is the machine's after it
	// Opened or attached: the session as it stands. Closed or expired: what ended.
	Session    uint64
	Generation uint64
	TimeoutMs  int64
	Ended      bool
	Cause      string
}
