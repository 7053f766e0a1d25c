package client

import (
	"fmt"
	"slices"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// sign is a ping: sent, and answered by the server of the connection.
type sign struct{ sent, answered time.Duration }

func (l *link) pong(m *protocol.Message) error {
	if m.Xid != l.lastPing || l.lastPing == l.lastPong || m.Code != protocol.OK {
		return fmt.Errorf("%w: an answer to a ping that was not sent", ErrProtocol)
	}
	l.lastPong = m.Xid
	l.c.prompt() // the next one has its time
	l.heardOf(sign{time.Duration(m.Xid) * time.Millisecond, l.c.now()}, contactIn(m))
	return nil
}

// contactIn is how long ago, by a pong, the server has heard of the leader.
func contactIn(pong *protocol.Message) time.Duration {
	if pong.More == nil {
		return 0
	}
	return time.Duration(min(pong.More.Count, maxContactMs)) * time.Millisecond
}

// heardOf takes a ping's answer, by which the newest word of the server that the
// leader has acknowledged is of that age. Sessions live by what the leader
// knows: of a server that follows, not this ping but those answered before
// that word, since a server passes on all that it has heard. A server that
// the leader has lost answers pings for a while, and they keep nothing alive.
func (l *link) heardOf(ping sign, age time.Duration) {
	if l.contact = age; age == 0 {
		l.signs = l.signs[:0]
		l.c.acknowledged(ping.sent)
		return
	}
	known := 0
	for known < len(l.signs) && l.signs[known].answered <= ping.sent-age {
		known++
	}
	if known > 0 {
		l.c.acknowledged(l.signs[known-1].sent)
	}
	if len(l.signs) == maxSigns {
		known = max(known, 1) // the oldest says least
	}
	l.signs = append(slices.Delete(l.signs, 0, known), ping)
}

// acknowledged notes that the cluster heard what was sent then. The caller
// holds mu.
func (c *Client) acknowledged(sentAt time.Duration) { c.lastAck = max(c.lastAck, sentAt) }
