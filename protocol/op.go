package protocol

import "fmt"

// Op names what a request asks for. Its numbers are the wire's.
type Op uint8

// Writes: they go through the log, and a Multi is made of the first five and of
// guards. A
// server that does not know one stops when it finds it there.
const (
	OpCreate Op = 1 + iota
	OpDelete
	OpSet
	OpSetACL
	OpCheck
	OpMulti
	OpCloseSession
	OpRaiseSequence // for the superuser: the count of children ever created, in a copied tree
	OpGuard         // Fenced unless a node is still the one that was created by a certain transaction
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

// Administration. What only asks how things are is for anybody; the rest wants
// the superuser's identity.
const (
	OpSnapshot Op = 64 + iota // streams an image
	OpStatus
	OpExpireSession
	OpMembers        // the servers of the cluster, for anybody
	OpClusterStatus  // how each of them is, for anybody
	OpMemberChange   // one at a time
	OpTransferLeader // to a voter
	OpSessions       // the live ones, and where the client of each is
)

// OpHasWatch answers NoWatcher unless the connection has one of Watches. It is
// never on the wire of the native protocol.
const OpHasWatch Op = 240

// IsWrite tells whether op is ordered by the log as a client's write.
func (op Op) IsWrite() bool { return op >= OpCreate && op <= OpGuard }

// IsRead tells whether op is answered from local state.
func (op Op) IsRead() bool { return op >= OpGet && op <= OpSessionInfo }

var opNames = map[Op]string{
	OpCreate: "create", OpDelete: "delete", OpSet: "set", OpSetACL: "setACL", OpCheck: "check",
	OpMulti: "multi", OpCloseSession: "closeSession", OpRaiseSequence: "raiseSequence", OpGuard: "guard",
	OpGet: "get", OpExists: "exists", OpChildren: "children", OpGetACL: "getACL", OpCount: "count",
	OpEphemerals: "ephemerals", OpMultiRead: "multiRead", OpSync: "sync", OpWhoAmI: "whoAmI", OpSessionInfo: "sessionInfo",
	OpWatch: "watch", OpUnwatch: "unwatch", OpResume: "resume",
	OpPing: "ping", OpAuth: "auth",
	OpSnapshot: "snapshot", OpStatus: "status", OpExpireSession: "expireSession",
	OpMembers: "members", OpClusterStatus: "clusterStatus", OpMemberChange: "memberChange", OpTransferLeader: "transferLeader",
	OpSessions: "sessions",
}

// String returns the name of op as docs/PROTOCOL.md has it.
func (op Op) String() string {
	if name, ok := opNames[op]; ok {
		return name
	}
	return fmt.Sprintf("operation %d", uint8(op))
}
