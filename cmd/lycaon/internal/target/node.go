package target

import (
	"time"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/znode"
)

// Node is a node to be.
type Node struct {
	Path string
	Data []byte // nil is null
	// AnyData: a node that is replaced keeps its data.
	AnyData bool
	// ACL is nil for a node that is open to everybody. A node that is replaced
	// keeps its own then.
	ACL   znode.ACL
	Kind  znode.Kind // Persistent, Container or TTL
	TTLMs int64      // of a TTL node
	// Sequence is at least the number that its next sequential child gets: the
	// count of children ever created below it. To set one takes the superuser.
	Sequence int64
}

// Existing says what becomes of a node that is there already.
type Existing uint8

const (
	Refuse  Existing = iota // it is an error
	Keep                    // it stays as it is
	Replace                 // it gets the data and the ACL, and stays of its kind
)

// create is n as an operation that makes it.
func (n *Node) create(more ...client.CreateOption) client.Op {
	opts := more
	if n.ACL != nil {
		opts = append(opts, client.WithACL(n.ACL))
	}
	switch n.Kind {
	case znode.Container:
		opts = append(opts, client.Container())
	case znode.TTL:
		opts = append(opts, client.TTL(time.Duration(n.TTLMs)*time.Millisecond))
	}
	return client.OpCreate(n.Path, n.Data, opts...)
}

// replace is n as operations on the node in its place. One that a server removes by
// itself may have gone since it was seen, and is made again.
func (n *Node) replace() (ops []client.Op) {
	if n.Kind == znode.Container || n.Kind == znode.TTL {
		bare := Node{Path: n.Path, Kind: n.Kind, TTLMs: n.TTLMs}
		ops = append(ops, bare.create(client.IfAbsent()))
	}
	if !n.AnyData {
		ops = append(ops, client.OpSet(n.Path, n.Data))
	}
	if n.ACL != nil {
		ops = append(ops, client.OpSetACL(n.Path, n.ACL))
	}
	return ops
}

// size is about what n takes in a request.
func (n *Node) size() int {
	size := len(n.Path) + len(n.Data)
	for i := range n.ACL {
		size += len(n.ACL[i].Scheme) + len(n.ACL[i].ID) + 8
	}
	return size
}
