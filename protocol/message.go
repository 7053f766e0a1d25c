package protocol

import (
	"fmt"

	"github.com/lycaon-io/lycaon/znode"
)

// Consistency is what a read asks for beyond its session's own past.
type Consistency uint8

const (
	Local        Consistency = iota // never older than what this session has seen
	AtLeast                         // waits until this server has applied Request.Arg
	Linearizable                    // waits for a no-op through the log
)

// Request is one client request. Body aliases the frame it came in; whoever
// keeps it longer copies it. Reads and watches are decoded before they are
// submitted (Read, Watches); a write's Body has been validated and travels as
// it is.
type Request struct {
	Op          Op
	Consistency Consistency
	Xid         uint64 // rises by the client's count; 0 keeps no outcome
	Arg         uint64 // of a write: the client's lowest unacknowledged xid; of an AtLeast read: the zxid
	Body        []byte
	Read        Read
	Watches     []Watch // of OpWatch (one), OpUnwatch and OpHasWatch (one of several is enough), OpResume (any)
	Compare     bool    // of OpResume: by ZooKeeper's rules, from the nodes as they are
	Unkept      bool    // of a write: Xid only numbers the reply, no outcome is kept
	Owned       bool    // of a read: its path is in memory that nobody changes and that is little larger; who keeps it needs no copy
}

// Read is a decoded read.
type Read struct {
	Op      Op
	Path    string // of OpEphemerals: the prefix
	Watch   bool   // leaves a one-shot watch (OpGet, OpExists, OpChildren)
	After   string // cursor of a page (OpChildren, OpEphemerals)
	Limit   int    // of a page; 0 = all that fits in a frame
	Whole   bool   // no page: all of it, or TooLarge (OpChildren, OpEphemerals)
	Session uint64 // of OpSessionInfo
	Reads   []Read // of OpMultiRead
}

// WatchMode says what a watch waits for and whether it stays.
type WatchMode uint8

const (
	WatchData       WatchMode = 1 + iota // one-shot: data changed, deleted
	WatchExists                          // one-shot: created, data changed, deleted
	WatchChildren                        // one-shot: children changed, deleted
	WatchPersistent                      // stays: all four of that path
	WatchRecursive                       // stays: created, data changed, deleted of the path and all below
)

// Watch is one watch of a connection. Since is the zxid up to which a resuming
// client already knows what happened; it counts only in OpResume.
type Watch struct {
	Path  string
	Mode  WatchMode
	Since uint64
}

// EventType numbers the first four as ZooKeeper does.
type EventType uint8

const (
	EventCreated         EventType = 1
	EventDeleted         EventType = 2
	EventDataChanged     EventType = 3
	EventChildrenChanged EventType = 4
	EventGap             EventType = 16 // of a staying watch: what happened since its Since is not known
	EventReplayDone      EventType = 17 // ends the answer to OpResume; its zxid is the new resume point
	EventProgress        EventType = 18 // nothing up to its zxid is outstanding for this connection; 0 begins the answer to OpResume
)

var eventNames = map[EventType]string{
	EventCreated: "created", EventDeleted: "deleted", EventDataChanged: "dataChanged", EventChildrenChanged: "childrenChanged",
	EventGap: "gap", EventReplayDone: "replayDone", EventProgress: "progress",
}

// String returns the name of e as docs/PROTOCOL.md has it.
func (e EventType) String() string {
	if name, ok := eventNames[e]; ok {
		return name
	}
	return fmt.Sprintf("event %d", uint8(e))
}

// MessageKind tells a reply from what the server says unasked.
type MessageKind uint8

const (
	Reply MessageKind = iota
	Event
	Goodbye // last message: Code and Detail say why the server ends the connection
)

// Message is one thing a connection is told. It is queued as it is and encoded
// by the connection's writer; everything it points at is immutable.
type Message struct {
	Kind  MessageKind
	Op    Op        // of a Reply: what it answers
	Event EventType // of an Event
	Code  Code
	Xid   uint64 // of a Reply
	Zxid  uint64
	Path  string     // create: the name given; Event: the node
	Data  []byte     // get; nil is null
	Stat  znode.Stat // create, set, setACL, get, exists, children, getACL
	Body  []byte     // if set, the encoded reply body: nothing else is encoded (a kept outcome)
	// Partial says that another reply with this xid follows (snapshot: Data is the
	// next piece of the image).
	Partial bool
	More    *More // what few replies carry
}

// More holds the parts of a Message that only some replies have.
type More struct {
	Existed    bool     // create if absent found the node
	Names      []string // children, ephemerals
	Truncated  bool     // names: the page ended at its limit
	ACL        znode.ACL
	Count      int64     // count: descendants; recursive delete: nodes deleted; last reply of a snapshot: bytes of the image; ping: age of the leader's contact in ms; brief multi: index of the operation that failed
	Results    []Message // multi, multi-read: one an operation; brief multi: of the one that failed
	Identities []znode.Identity
	Session    *SessionInfo
	Status     *Status
	Members    []Member       // members
	Cluster    []MemberStatus // clusterStatus
	Sessions   *SessionPage   // sessions
	Detail     string         // text for a person, with an error

	shared *shared // of ShareNames and ShareEvent
}

// SessionInfo answers OpSessionInfo. A session that ended keeps its Cause for
// a while.
type SessionInfo struct {
	ID         uint64
	Alive      bool
	TimeoutMs  int64
	Generation uint64
	Ephemerals int
	Cause      string
	EndedZxid  uint64
}
