package native

import (
	"bufio"
	"bytes"
	"fmt"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
)

// snapshot streams the image of this instant. Its replies go out as they are
// made, ahead of what waits in the lane, and the connection takes no further
// request until the last; clients use a connection of its own for it. The
// socket's pace is the stream's: at most one piece is queued.
func (c *conn) snapshot() error {
	select {
	case c.native.snapshots <- struct{}{}:
		defer func() { <-c.native.snapshots }()
	default:
		return c.refuseRequest(protocol.Throttled, "other snapshots are being sent")
	}
	c.native.sent.Add(1)
	c.Config().Logger.Info("a snapshot was asked for", "by", c.RemoteAddr())
	stream := &snapshotStream{c: c, xid: c.req.Xid}
	img := c.Core().Freeze()
	stream.zxid = img.Zxid()
	pieces := bufio.NewWriterSize(stream, min(snapshotPiece, int(c.Config().Limits.MaxFrame)/2))
	err := state.WriteImage(pieces, img, nil)
	if err == nil {
		err = pieces.Flush()
	}
	if err != nil {
		return fmt.Errorf("sending a snapshot: %w", err)
	}
	return stream.send(&protocol.Message{More: &protocol.More{Count: stream.sent}})
}

type snapshotStream struct {
	c         *conn
	xid, zxid uint64
	sent      int64
}

func (s *snapshotStream) Write(p []byte) (int, error) {
	s.sent += int64(len(p))
	return len(p), s.send(&protocol.Message{Partial: true, Data: bytes.Clone(p)})
}

// send returns when the message has been written.
func (s *snapshotStream) send(m *protocol.Message) error {
	m.Op, m.Xid, m.Zxid = protocol.OpSnapshot, s.xid, s.zxid
	s.c.Push(m)
	return s.c.Flushed()
}
