package client

import (
	"fmt"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// EventType says what an Event tells.
type EventType uint8

const (
	EventCreated         EventType = 1 + iota // of a watch for one node, or of the subtree
	EventDeleted                              // likewise
	EventChanged                              // the data was set
	EventChildrenChanged                      // not told by Subtree watches, which see the children themselves
	// EventGap says that events are missing here, and that a telling of the
	// present state follows: an EventPresent for each node there is, then
	// EventSynced. What is not told as present does not exist.
	EventGap
	EventPresent // the node exists; Stat is its present one
	EventSynced  // the state has been told
)

var eventNames = [...]string{
	EventCreated: "created", EventDeleted: "deleted", EventChanged: "changed", EventChildrenChanged: "children changed",
	EventGap: "gap", EventPresent: "present", EventSynced: "synced",
}

func (t EventType) String() string {
	if int(t) < len(eventNames) && t > 0 {
		return eventNames[t]
	}
	return fmt.Sprintf("event type %d", uint8(t))
}

// Event is one thing a Watch tells. Events of one watch come in the order of
// their zxids. While a Gap is being filled, a change may be told after an
// EventPresent that shows it already.
type Event struct {
	Type EventType
	Path string
	Zxid uint64
	Stat znode.Stat // of EventPresent
}

// String is for people, and leaves the Stat out.
func (e Event) String() string { return fmt.Sprintf("%s %s zxid %#x", e.Type, e.Path, e.Zxid) }

// bit is the place of t in a set of types.
func (t EventType) bit() uint32 { return 1 << t }

const changeTypes = 1<<EventCreated | 1<<EventDeleted | 1<<EventChanged | 1<<EventChildrenChanged

var eventTypes = map[protocol.EventType]EventType{
	protocol.EventCreated:         EventCreated,
	protocol.EventDeleted:         EventDeleted,
	protocol.EventDataChanged:     EventChanged,
	protocol.EventChildrenChanged: EventChildrenChanged,
}

// modeTypes is what a server tells a watch of each mode.
var modeTypes = map[protocol.WatchMode]uint32{
	protocol.WatchExists:     1<<EventCreated | 1<<EventDeleted | 1<<EventChanged,
	protocol.WatchChildren:   1<<EventDeleted | 1<<EventChildrenChanged,
	protocol.WatchPersistent: changeTypes,
	protocol.WatchRecursive:  1<<EventCreated | 1<<EventDeleted | 1<<EventChanged,
}
