package zkfile

import (
	"fmt"
	"math"

	"github.com/lycaon-io/lycaon/znode"
)

// What an ephemeralOwner holds besides a session's id (EphemeralType.java).
const (
	containerOwner = math.MinInt64
	ttlMask        = 0xff << 56
	ttlFeature     = 0xffff << 40 // zero of a TTL
	ttlValue       = 1<<40 - 1

	// ZooKeeper 3.5.0 to 3.5.3 only set the highest bit of a TTL, as the ids
	// of sessions of the servers from 128 on have it too
	// (EphemeralTypeEmulate353.java).
	ttlMask353 = 1 << 63
)

// kind tells what a node is by its owner. A session that is known to have been
// is a session, whatever its id looks like: servers of 3.4 numbered from 128 on
// give ids that look like TTLs.
func (t *Tree) kind(n *node) (kind znode.Kind, ttlMs int64, err error) {
	owner := uint64(n.owner)
	switch {
	case owner == 0:
		return znode.Persistent, 0, nil
	case n.owner == containerOwner:
		return znode.Container, 0, nil
	case t.sessions[n.owner]:
		return znode.Ephemeral, 0, nil
	case owner&ttlMask == ttlMask && owner&ttlFeature == 0:
		return znode.TTL, int64(owner & ttlValue), nil
	case owner&ttlMask == ttlMask:
		return 0, 0, fmt.Errorf("the kind of node that ephemeralOwner 0x%x stands for is not known", owner)
	case owner&(ttlMask|ttlFeature) == ttlMask353:
		return znode.TTL, int64(owner & ttlValue), nil
	}
	return znode.Ephemeral, 0, nil
}

// sessionOf is the session that a node ends with. Of a node that looks like
// another kind it is said too: no session has such an id, or it is known.
func (t *Tree) sessionOf(n *node) (int64, bool) {
	return n.owner, n.owner != 0 && n.owner != containerOwner
}

// ttlOwner is the ephemeralOwner of a TTL node.
func ttlOwner(ttlMs int64) int64 { return int64(uint64(ttlMask) | uint64(ttlMs)) }
