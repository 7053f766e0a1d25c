package replicate

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"github.com/lycaon-io/lycaon/server/peer"
)

// hear hosts a touch stream: the signs of life that a follower has collected
// go to the duties, and each is acknowledged at once.
func (s *streams) hear(c *peer.Conn) error {
	in := newFrameReader(c, 4<<10)
	term, a, err := readAnnouncement(c, in)
	if err != nil {
		return err
	}
	r := s.ownReign(term)
	if r == nil {
		return s.farewell(c)
	}
	s.n.announced(a)
	// The end of the reign ends a read.
	defer context.AfterFunc(r.ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })()
	h := hearing{s: s, reign: r, member: c.Remote.ID, conn: c}
	for {
		if err := h.next(in); r.over() {
			return s.farewell(c)
		} else if err != nil {
			return err
		}
	}
}

func readAnnouncement(c *peer.Conn, in *frameReader) (term uint64, a announcement, err error) {
	_ = c.SetReadDeadline(time.Now().Add(helloTime))
	kind, body, err := in.next()
	if err != nil {
		return 0, a, err
	}
	n := numbers{b: body}
	term = n.next()
	if kind != frameHello || n.bad {
		return 0, a, fmt.Errorf("%w: it begins with a frame of kind %q", errGarbled, kind)
	}
	if err := json.Unmarshal(n.b, &a); err != nil {
		return 0, a, fmt.Errorf("%w: announcement: %w", errGarbled, err)
	}
	if a.ID != c.Remote.ID || a.Data != c.Remote.Data {
		return 0, a, fmt.Errorf("%w: server %d with data %s announces %d with %s", errGarbled, c.Remote.ID, c.Remote.Data, a.ID, a.Data)
	}
	return term, a, nil
}

// hearing is the leader's end of a touch stream.
type hearing struct {
	s        *streams
	reign    *reign
	member   uint64
	conn     net.Conn
	revision uint64 // of the directory that the follower was sent
	ids      []uint64
}

func (h *hearing) next(in *frameReader) error {
	_ = h.conn.SetReadDeadline(time.Now().Add(maxFollowerSilence))
	if h.reign.over() {
		return nil // the deadline that ends the reign may just have been moved
	}
	kind, body, err := in.next()
	if err != nil {
		return err
	}
	if kind != frameSigns {
		return nil // of a newer version
	}
	seq, err := h.signs(body)
	if err != nil {
		return err
	}
	return h.answer(seq)
}

func (h *hearing) signs(body []byte) (seq uint64, err error) {
	n := numbers{b: body}
	seq = n.next()
	m := mark{zxid: n.next(), digest: binary.BigEndian.Uint64(n.take(8))}
	count := n.next()
	if count > uint64(len(n.b)) { // each takes a byte at least
		n.bad = true
	}
	h.ids = h.ids[:0]
	for id := uint64(0); count > 0 && !n.bad; count-- {
		id += n.next()
		h.ids = append(h.ids, id)
	}
	if err := n.err("signs of life"); err != nil {
		return 0, err
	}
	h.s.n.duties.heard(h.ids)
	h.reign.note(h.member, m, len(h.ids) > 0)
	return seq, nil
}

func (r *reign) note(member uint64, m mark, clients bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks[member] = m
	if clients {
		r.clients[member] = time.Now()
	}
}

// answer acknowledges a touch, and tells of the members if that has news. An
// acknowledgement after the reign would keep a follower's clients in good
// faith towards a leader that has given them up; so it waits for the next touch
// while this leader cannot be sure that there is no other.
func (h *hearing) answer(seq uint64) error {
	switch {
	case h.reign.over():
		return errFarewell
	case !h.s.n.vouches():
		return nil
	}
	b := appendFrame(nil, frameAck, seq)
	if list, revision := h.s.n.directory(); revision != h.revision {
		text, err := json.Marshal(list)
		if err != nil {
			panic(err) // strings and numbers
		}
		from := len(b)
		b = append(beginFrame(b, frameMembers), text...)
		endFrame(b, from)
		h.revision = revision
	}
	_ = h.conn.SetWriteDeadline(time.Now().Add(tellTime))
	_, err := h.conn.Write(b)
	return err
}
