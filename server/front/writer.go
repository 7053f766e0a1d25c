package front

import (
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// Push implements pipeline.Sink.
func (c *Conn) Push(m *protocol.Message) {
	if !c.out.push(m) {
		c.front.counts.slowConsumers.Add(1)
		c.Close(protocol.Throttled, "this connection did not read what it was told")
	}
}

// Wake implements pipeline.Sink. On the reader's own goroutine it does
// nothing: the reader flushes when it has drained its input.
func (c *Conn) Wake() { c.out.wake() }

// Close implements pipeline.Sink: it marks the end, and the writer says
// goodbye. If the writer is stuck, the socket is closed over its head.
func (c *Conn) Close(code protocol.Code, detail string) {
	bye := &protocol.Message{Kind: protocol.Goodbye, Code: code, More: &protocol.More{Detail: detail}}
	if c.out.end(bye) {
		c.undertaker.Reset(2 * farewellTimeout)
	}
}

// kill ends the connection now. It must not be called under Core's lock.
func (c *Conn) kill() {
	c.once.Do(func() {
		c.undertaker.Stop()
		close(c.gone)
		c.raw.Close()
		if l := c.lane.Load(); l != nil {
			l.Detach()
		}
	})
}

// write is the writer goroutine. It ends with the connection.
func (c *Conn) write() {
	defer c.kill()
	defer c.contain()
	for {
		select {
		case <-c.out.signal:
		case <-c.gone:
			return
		}
		ends := c.out.bidden() // asked before the flush, which then is the last one
		c.flush()
		if ends {
			c.sayGoodbye()
			return
		}
	}
}

// flush writes everything queued, unless somebody else is at it, and what is
// queued while it writes.
func (c *Conn) flush() {
	batch, ok := c.out.takePen()
	for ok {
		if err := c.writeBatch(batch); err != nil {
			c.out.abandonPen()
			c.kill()
			return
		}
		batch, ok = c.out.next(batch)
	}
}

// abandonPen is for a pen that writes no more: nothing else ever will.
func (o *outbox) abandonPen() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ending = true
	o.queue, o.spare, o.bytes = nil, nil, 0
	o.layDown()
}

func (c *Conn) writeBatch(batch []protocol.Message) error {
	buf := c.page[:0]
	size, told := 0, len(batch)
	for i := range batch {
		m := &batch[i]
		size += m.Size()
		if m.Kind == protocol.Goodbye {
			told--
		}
		buf = c.speaker.Append(buf, m)
		if len(buf) >= writeBufferSize || i == len(batch)-1 {
			if len(buf) > 0 {
				if err := c.writeOut(buf); err != nil {
					return err
				}
			}
			c.out.written(size)
			buf, size = buf[:0], 0
		}
	}
	if cap(buf) <= 4*writeBufferSize {
		c.page = buf
	}
	c.front.counts.messagesOut.Add(uint64(told))
	c.sent.Add(uint64(told))
	return nil
}

func (c *Conn) writeOut(b []byte) error {
	now := time.Now()
	if now.After(c.writeBy.Add(-writeTimeout / 2)) {
		c.writeBy = now.Add(writeTimeout)
		if err := c.nc.SetWriteDeadline(c.writeBy); err != nil {
			return err
		}
	}
	c.front.counts.writes.Add(1)
	n, err := c.nc.Write(b)
	c.front.counts.bytesOut.Add(uint64(n))
	return err
}

// sayGoodbye ends a connection in a way that lets the last message arrive: a
// socket closed with input unread resets the connection. If somebody else has the
// pen, that message is still with him.
func (c *Conn) sayGoodbye() {
	c.out.awaitPen()
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		c.nc.SetReadDeadline(time.Now().Add(farewellTimeout))
		<-c.drained
	}
}
