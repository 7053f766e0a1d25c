package migrate

import (
	"context"
	"strings"

	"github.com/lycaon-io/lycaon/znode"
)

// Parts are what a Look is to fetch besides the Stat.
type Parts uint8

const (
	Data Parts = 1 << iota
	ACL
	Children

	All = Data | ACL | Children
)

// Stat says which state of a node was seen.
type Stat struct {
	Czxid, Mzxid, Pzxid uint64 // transaction that created it, last set its data, last changed its children
	Aversion            int64  // changes of the ACL
	Created             int64  // children ever created: the number of the next sequential one
	Ephemeral           bool   // belongs to a session, and is not copied
}

// Node is what a Look saw. No part is older than Stat.
type Node struct {
	Stat
	Data     []byte // nil is null
	ACL      znode.ACL
	Children []string
}

// Source is where the tree comes from. Look fails with znode.ErrNoNode or
// znode.ErrNoAuth where that is the matter with the node; any other error ends
// the migration.
type Source interface {
	Look(ctx context.Context, path string, want Parts) (Node, error)
	// Sync waits until what is looked at is no older than now.
	Sync(ctx context.Context) error
}

// Target is where the tree goes. Nobody else writes there.
type Target interface {
	Look(ctx context.Context, path string, want Parts) (Node, error)
	// Apply makes all changes or none. With an error of one of them it says which.
	Apply(ctx context.Context, changes []Change) (culprit int, err error)
	// Raise makes the number of the next sequential child at least this.
	Raise(ctx context.Context, path string, atLeast int64) error
}

// What a Change does.
const (
	Create ChangeKind = iota
	SetData
	SetACL
	Delete // a node without children
)

// ChangeKind says what a Change does.
type ChangeKind uint8

// Change is one step of making the target like the source.
type Change struct {
	Kind ChangeKind
	Path string
	Data []byte
	ACL  znode.ACL
}

// size is about what a change takes in a request.
func (c *Change) size() int {
	size := len(c.Path) + len(c.Data)
	for i := range c.ACL {
		size += len(c.ACL[i].Scheme) + len(c.ACL[i].ID) + 8
	}
	return size
}

// changed returns the parts that may differ between two states of a path.
func (s *Stat) changed(now *Stat) (parts Parts) {
	if now.Czxid != s.Czxid {
		return All // another node
	}
	if now.Mzxid != s.Mzxid {
		parts |= Data
	}
	if now.Aversion != s.Aversion {
		parts |= ACL
	}
	if now.Pzxid != s.Pzxid || now.Created != s.Created {
		parts |= Children
	}
	return parts
}

// systemPath holds nodes that each service makes for itself.
const systemPath = "/zookeeper"

func isSystem(path string) bool {
	return path == systemPath || strings.HasPrefix(path, systemPath+"/")
}

// concealed tells an ACL that was shown without what proves its users, to
// somebody without ADMIN.
func concealed(acl znode.ACL) bool {
	for i := range acl {
		if acl[i].Scheme == znode.SchemeDigest && strings.HasSuffix(acl[i].ID, ":x") {
			return true
		}
	}
	return false
}
