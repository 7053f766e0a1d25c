package replicate

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/server/internal/beat"
	"github.com/lycaon-io/lycaon/server/peer"
)

// toucher tells the leader which sessions gave a sign of life here, and from
// the answers knows for how long nothing has reached the leader.
type toucher struct {
	s      *streams
	origin time.Time // of the monotonic times

	mu      sync.Mutex // guards what follows; a leaf
	seq     uint64
	unacked []signs       // sent, or to be sent again over the next stream; the oldest first
	acked   time.Duration // of the newest touch that was acknowledged
	known   bool          // there was a leader to be in contact with
}

// signs are what one touch tells.
type signs struct {
	seq uint64
	at  time.Duration // it and those before it tell of everything up to then; none: others follow for that
	ids []uint64      // rising
}

// none is no time of signs.
const none time.Duration = -1

func newToucher(s *streams) *toucher { return &toucher{s: s, origin: time.Now()} }

func (t *toucher) now() time.Duration { return time.Since(t.origin) }

// contact is the age of the newest touch that was acknowledged, counted from
// before its signs were collected: all that was answered here until then is
// known to the leader.
func (t *toucher) contact() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.known {
		return never
	}
	return t.now() - t.acked
}

// ledUntil counts the end of a reign of this server's own, so long ago, as a contact.
func (t *toucher) ledUntil(ago time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acked, t.known = t.now()-ago, true
}

// watch closes the connections of sessions that this server may not speak for
// any more, since the leader is about to give them up. From when it may have to,
// it looks more often than touches are sent, so that the shortest timeouts are
// kept too; before that there is nothing to look at.
func (t *toucher) watch() {
	look := time.NewTimer(beat.Next(t.s.every))
	defer look.Stop()
	for {
		select {
		case <-t.s.ctx.Done():
			return
		case <-look.C:
		}
		silence := t.s.contact()
		if silence < 2*t.s.every {
			look.Reset(beat.After(2*t.s.every-silence, t.s.every/2))
			continue
		}
		look.Reset(t.s.every / 4)
		if n := t.s.n.machine.CutOff(silence); n > 0 {
			t.s.n.cfg.Logger.Warn("connections closed: this server has lost the leader", "closed", n, "silence", silence)
		}
	}
}

// run is one stream from its start to its end. What an earlier one may have
// lost goes first, so that an acknowledgement covers every sign of life before
// the touch that it answers.
func (t *toucher) run(r *reign, c *peer.Conn) error {
	var sender sync.WaitGroup
	ended := make(chan struct{})
	sender.Go(func() { t.send(r, c, ended) })
	defer sender.Wait()
	defer c.Close()
	defer close(ended)
	err := t.listen(c)
	if timedOut(err) {
		// The other stream between the two is as dead, and its kernel may retry
		// for as long again after the way is free.
		t.s.forward.breakOff()
	}
	return err
}

func (t *toucher) send(r *reign, c net.Conn, ended <-chan struct{}) {
	tick := time.NewTimer(beat.Next(t.s.every))
	defer tick.Stop()
	b := t.hello(r)
	b = t.again(b)
	for {
		b = t.touch(b)
		_ = c.SetWriteDeadline(time.Now().Add(maxTouchSilence(t.s.every)))
		if _, err := c.Write(b); err != nil {
			c.Close() // listen tells why
			return
		}
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		tick.Reset(beat.Next(t.s.every))
		b = b[:0]
	}
}

func (t *toucher) hello(r *reign) []byte {
	text, err := json.Marshal(t.s.n.introduction())
	if err != nil {
		panic(err) // strings and a number
	}
	b := beginFrame(nil, frameHello)
	b = append(binary.AppendUvarint(b, r.term), text...)
	endFrame(b, 0)
	return b
}

// again appends what was not acknowledged over the former stream.
func (t *toucher) again(b []byte) []byte {
	m := t.mark()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.unacked {
		b = appendSigns(b, &t.unacked[i], m)
	}
	return b
}

// mark is the machine's, which has a lock of its own: whoever holds that one may
// ask for the contact, and so for ours.
func (t *toucher) mark() (m mark) {
	m.zxid, m.digest = t.s.n.machine.Mark()
	return m
}

// touch appends the signs of life since the last one, in several frames if
// they are many.
func (t *toucher) touch(b []byte) []byte {
	now := t.now() // who was answered before this is among them
	ids, m := t.s.n.machine.Touched(), t.mark()
	t.mu.Lock()
	defer t.mu.Unlock()
	for first := true; first || len(ids) > 0; first = false {
		part := ids[:min(len(ids), maxTouchIDs)]
		ids = ids[len(part):]
		t.seq++
		s := signs{seq: t.seq, at: none, ids: part}
		if len(ids) == 0 {
			s.at = now
		}
		b = appendSigns(b, &s, m)
		t.keepLocked(s)
	}
	return b
}

// keepLocked remembers signs until they are acknowledged. While nothing is,
// they are gathered in one, so that an outage takes no more room than there
// are sessions.
func (t *toucher) keepLocked(s signs) {
	if n := len(t.unacked); n >= maxUnackedTouches {
		last := &t.unacked[n-1]
		last.seq, last.at, last.ids = s.seq, s.at, union(last.ids, s.ids)
		return
	}
	t.unacked = append(t.unacked, s)
}

// union merges rising ids.
func union(a, b []uint64) []uint64 {
	all := make([]uint64, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			all, a = append(all, a[0]), a[1:]
		case a[0] > b[0]:
			all, b = append(all, b[0]), b[1:]
		default:
			all, a, b = append(all, a[0]), a[1:], b[1:]
		}
	}
	return append(append(all, a...), b...)
}

func appendSigns(b []byte, s *signs, m mark) []byte {
	from := len(b)
	b = beginFrame(b, frameSigns)
	b = binary.AppendUvarint(b, s.seq)
	b = binary.AppendUvarint(b, m.zxid)
	b = binary.BigEndian.AppendUint64(b, m.digest)
	b = binary.AppendUvarint(b, uint64(len(s.ids)))
	var before uint64
	for _, id := range s.ids {
		b = binary.AppendUvarint(b, id-before)
		before = id
	}
	endFrame(b, from)
	return b
}

// listen takes the leader's answers until the stream ends.
func (t *toucher) listen(c net.Conn) error {
	in := newFrameReader(c, 4<<10)
	for {
		_ = c.SetReadDeadline(time.Now().Add(maxTouchSilence(t.s.every)))
		kind, body, err := in.next()
		if err != nil {
			return fmt.Errorf("touch stream: %w", err)
		}
		switch kind {
		case frameAck:
			n := numbers{b: body}
			seq := n.next()
			if err := n.err("acknowledgement"); err != nil {
				return err
			}
			t.acknowledged(seq)
		case frameMembers:
			var list []announcement
			if err := json.Unmarshal(body, &list); err != nil {
				return fmt.Errorf("%w: members: %w", errGarbled, err)
			}
			t.s.n.learned(list)
		case frameFarewell:
			return errFarewell
		}
	}
}

// acknowledged drops what the leader has heard: the answers come in the order
// of the touches.
func (t *toucher) acknowledged(seq uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.unacked) > 0 && t.unacked[0].seq <= seq {
		if at := t.unacked[0].at; at != none {
			t.acked, t.known = max(t.acked, at), true
		}
		t.unacked[0] = signs{}
		t.unacked = t.unacked[1:]
	}
}

// maxTouchSilence is how long the other end may say nothing.
func maxTouchSilence(every time.Duration) time.Duration { return max(minTouchSilence, 3*every) }
