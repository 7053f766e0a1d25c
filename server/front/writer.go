package front

import (
	"net"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/rawnet"
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

// Close implements pipeline.Sink: it marks the end, and who writes says goodbye.
// If he is stuck, or the client does not close its end, the socket is closed over
// their heads.
func (c *Conn) Close(code protocol.Code, detail string) {
	bye := &protocol.Message{Kind: protocol.Goodbye, Code: code, More: &protocol.More{Detail: detail}}
	if !c.out.end(bye) {
		return
	}
	undertaker := time.AfterFunc(2*farewellTimeout, c.kill)
	c.undertaker.Store(undertaker)
	select {
	case <-c.gone:
		undertaker.Stop() // kill has perhaps not seen it
	default:
	}
}

// kill ends the connection now. It must not be called under Core's lock.
func (c *Conn) kill() {
	c.once.Do(func() {
		close(c.gone)
		if undertaker := c.undertaker.Load(); undertaker != nil {
			undertaker.Stop()
		}
		c.raw.Close()
		if l := c.lane.Load(); l != nil {
			l.Detach()
		}
	})
}

// scribe is what a scribe does who was called.
func (c *Conn) scribe() {
	defer c.contain()
	c.out.answered()
	batch, ok := c.out.takePen()
	if !ok {
		return
	}
	c.scribing, c.turn = true, 0
	c.flushFrom(batch)
}

// flush is the reader's: it writes everything queued, unless a scribe is at it, and
// what is queued while it writes.
func (c *Conn) flush() {
	if batch, ok := c.out.takePen(); ok {
		c.scribing = false
		c.flushFrom(batch)
	}
}

func (c *Conn) flushFrom(batch []protocol.Message) {
	for ok := true; ok; batch, ok = c.out.next(batch, c.scribing && c.turn >= scribeTurn) {
		if err := c.writeBatch(batch); err != nil {
			c.giveUp()
			return
		}
	}
}

// giveUp ends a connection that cannot be written to. That may take Core's lock, for
// which a scribe is not to keep others waiting.
func (c *Conn) giveUp() {
	if c.scribing {
		c.front.scribes.leave()
		defer c.front.scribes.back()
	}
	c.out.abandonPen()
	c.kill()
}

// abandonPen is for a pen that writes no more: nothing else ever will. A reader that
// panics takes it from a scribe who may still be writing, so not even a goodbye may
// come behind that: a second one would write beside him.
func (o *outbox) abandonPen() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ending, o.bye = true, true
	o.queue, o.spare, o.bytes = nil, nil, 0
	o.countLocked()
	o.layDown()
}

func (c *Conn) writeBatch(batch []protocol.Message) error {
	buf := c.page[:0]
	size, told := 0, 0
	for i := range batch {
		m := &batch[i]
		size += m.Size()
		told++
		buf = c.speaker.Append(buf, m)
		last := i == len(batch)-1
		if !last && len(buf) < writeBufferSize {
			continue
		}
		// A goodbye is the last of its batch, and the batch the last of all.
		write := c.writeOut
		if m.Kind == protocol.Goodbye {
			told--
			write = c.writeLast
		}
		// Counted before it is sent: who has heard it may ask how much was said.
		c.front.counts.messagesOut.Add(uint64(told))
		c.sent.Add(uint64(told))
		c.turn += writeFee + len(buf)
		if err := write(buf); err != nil {
			return err
		}
		c.out.written(size)
		buf, size, told = buf[:0], 0, 0
	}
	if cap(buf) <= 4*writeBufferSize {
		c.page = buf
	}
	return nil
}

func (c *Conn) writeOut(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return c.write(b, func() (int, error) { return c.nc.Write(b) })
}

// writeLast ends a connection in a way that lets the last message arrive: a
// socket closed with input unread resets the connection. So the reader goes on
// until the client has closed its end; what cannot be half closed goes at once.
func (c *Conn) writeLast(b []byte) error {
	half := false
	err := c.write(b, func() (n int, err error) {
		n, half, err = rawnet.WriteLast(c.nc, b)
		return n, err
	})
	if err == nil && !half {
		err = net.ErrClosed
	}
	return err
}

// write does one call that writes b. A scribe who may wait for the socket has his place
// taken meanwhile.
func (c *Conn) write(b []byte, call func() (int, error)) error {
	now := time.Now()
	if now.After(c.writeBy.Add(-writeTimeout / 2)) {
		c.writeBy = now.Add(writeTimeout)
		if err := c.nc.SetWriteDeadline(c.writeBy); err != nil {
			return err
		}
	}
	defer c.waited()
	if !c.tells {
		c.waits()
	}
	n, err := call()
	if len(b) > 0 {
		c.front.counts.writes.Add(1)
		c.front.counts.bytesOut.Add(uint64(n))
	}
	return err
}

// waits is called when who holds the pen waits for the socket, or may.
func (c *Conn) waits() {
	if c.scribing && !c.away {
		c.away = true
		c.front.scribes.leave()
	}
}

// waited is called when he does so no more.
func (c *Conn) waited() {
	if c.away {
		c.away = false
		c.front.scribes.back()
	}
}
