package differential

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/lycaon-io/lycaon/protocol/jute"
)

// client is a slot of a side.
type client struct {
	conn     net.Conn // nil: disconnected
	reader   *bufio.Reader
	ready    [][]byte // frames received and not yet read
	hops     int
	session  int64
	password []byte
	xid      int32
	newest   int64 // zxid of any answer
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
	}
	c.conn, c.reader, c.ready = nil, nil, nil
}

// hangUp ends the connection and waits until the server has done the same: then
// its watches are gone, which others may notice in ZooKeeper 3.8.
func (c *client) hangUp() []*item {
	if c.conn == nil {
		return nil
	}
	defer c.close()
	if err := c.conn.(*net.TCPConn).CloseWrite(); err != nil && !ended(err) {
		return []*item{failedItem(err)}
	}
	if _, err := readFrame(c); err == nil || !ended(err) {
		return []*item{{kind: itemBroken, fields: []field{{"why", "more behind the last reply"}}}}
	}
	return nil
}

func (c *client) xidOf(o *op) int32 {
	switch o.Op {
	case opPing:
		return jute.XidPing
	case opAuth:
		return jute.XidAuth
	case opSetWatches, opSetWatches2:
		return jute.XidSetWatches
	}
	c.xid++
	return c.xid
}

func (s *side) ending(c *client) string {
	if _, err := s.frame(c); ended(err) {
		return "closed"
	} else if err != nil {
		return err.Error()
	}
	return "more"
}

// frame reads the next packet without its length.
func (s *side) frame(c *client) ([]byte, error) {
	for len(c.ready) == 0 {
		frame, err := readFrame(c)
		if err != nil {
			return nil, err
		}
		if s.tamper == nil {
			return frame, nil
		}
		c.ready = s.tamper(frame)
	}
	next := c.ready[0]
	c.ready = c.ready[1:]
	return next, nil
}

func readFrame(c *client) ([]byte, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(answerWithin)); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(c.reader, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxAnswer {
		return nil, fmt.Errorf("a packet of %d bytes", n)
	}
	frame := make([]byte, n)
	_, err := io.ReadFull(c.reader, frame)
	return frame, err
}

// ended says that the other end has closed the connection, in whatever words.
func ended(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Timeout() {
		return false
	}
	return errors.Is(err, io.EOF) || op != nil
}

func failedItem(err error) *item {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return &item{kind: itemSilent}
	case ended(err):
		return &item{kind: itemClosed}
	}
	return &item{kind: itemBroken, fields: []field{{"why", err.Error()}}}
}
