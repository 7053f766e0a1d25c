package state

import (
	"bytes"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// actors remembers by their encoding those who have these identities, without a session:
// the writes of one connection all carry the same.
type actors struct {
	known    map[string]znode.Actor
	last     []byte
	lastSeen znode.Actor
}

func (c *actors) decode(encoded []byte) (znode.Actor, error) {
	if c.last != nil && bytes.Equal(encoded, c.last) {
		return c.lastSeen, nil
	}
	actor, ok := c.known[string(encoded)]
	if !ok {
		owned := bytes.Clone(encoded) // the identities alias it
		ids, err := protocol.DecodeIdentities(owned, nil)
		if err != nil {
			return znode.Actor{}, err
		}
		if c.known == nil || len(c.known) >= maxActors {
			c.known = make(map[string]znode.Actor)
		}
		actor = znode.NewActor(0, ids)
		c.known[string(owned)] = actor
	}
	c.last, c.lastSeen = append(c.last[:0], encoded...), actor
	return actor, nil
}
