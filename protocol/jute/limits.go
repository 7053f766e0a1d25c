package jute

import "github.com/lycaon-io/lycaon/znode"

const (
	// MaxFrame is the greatest length that a request may announce, as ZooKeeper's
	// jute.maxbuffer has it: room for a million bytes of data.
	MaxFrame = 0xfffff

	// PingBytes is the length of a ping's frame, its length included. Of all requests
	// only those that say nothing are as short: closeSession and whoAmI.
	PingBytes = lengthBytes + requestHeaderBytes

	lengthBytes        = 4
	requestHeaderBytes = 8  // xid, type
	replyHeaderBytes   = 16 // xid, zxid, err
	statBytes          = 68

	// The least bytes of an element: what a count is held against before
	// anything is made of it.
	minString = 4
	minEntry  = 12 // perms, scheme, id
	minUser   = 8  // scheme, name
)

// systemPaths are there from the start, with data that is empty to ZooKeeper's
// clients and null here until it is set. So are the children below them, which ZooKeeper does
// not count as created: its cversion is that much behind.
var systemPaths = [...]struct {
	path     string
	children uint8
}{
	{"/", 1},
	{"/zookeeper", 2},
	{"/zookeeper/config", 0},
	{"/zookeeper/quota", 0},
}

// maxEntries is what is made of an ACL before it is refused for its length.
const maxEntries = znode.MaxACLEntries + 1
