package state

import (
	"bytes"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// actors remembers decoded identities by their encoding: the writes of one
// connection all carry the same.
type actors struct {
	known    map[string][]znode.Identity
	last     []byte
	lastSeen []znode.Identity
}

func (c *actors) decode(encoded []byte) ([]znode.Identity, error) {
	if c.last != nil && bytes.Equal(encoded, c.last) {
		return c.lastSeen, nil
	}
	ids, ok := c.known[string(encoded)]
	if !ok {
		owned := bytes.Clone(encoded) // the identities alias it
		var err error
		if ids, err = protocol.DecodeIdentities(owned, nil); err != nil {
			return nil, err
		}
		if c.known == nil || len(c.known) >= maxActors {
			c.known = make(map[string][]znode.Identity)
		}
		c.known[string(owned)] = ids
	}
	c.last, c.lastSeen = append(c.last[:0], encoded...), ids
	return ids, nil
}
