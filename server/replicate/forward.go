package replicate

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/server/internal/beat"
	"github.com/lycaon-io/lycaon/server/peer"
)

// forwarder is the follower's end of the forward stream: one goroutine writes
// what has gathered, one hears what the leader has to say of it.
type forwarder struct {
	s   *streams
	out *Outbox

	mu   sync.Mutex // guards conn
	conn net.Conn   // the open stream
}

func newForwarder(s *streams) *forwarder {
	return &forwarder{s: s, out: NewOutbox(maxOutboxBytes, func() { hint(s.n.doubts) })}
}

// run is one stream from its start to its end. It begins with everything that
// is unapplied here, so that nothing of the former one is missed, and goes on
// with what is appended meanwhile.
func (f *forwarder) run(r *reign, c *peer.Conn) error {
	f.hold(c)
	defer f.hold(nil)
	ended := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() { f.write(r, c, ended) })
	defer writer.Wait()
	defer c.Close() // ends a write
	defer close(ended)
	defer f.out.Shut()
	f.s.n.counts.resends.Add(1)
	f.out.Open(f.s.n.machine.Resend)
	return f.listen(r, c)
}

func (f *forwarder) hold(c net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conn = c
}

// breakOff ends the stream, if there is one, so that another is dialed.
func (f *forwarder) breakOff() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conn != nil {
		f.conn.Close()
	}
}

// write sends what has gathered whenever there is something, each frame with
// one write: what comes during one is the next. Who is ready to run goes first:
// some have more for it, and the one that woke this goroutine has it run before
// them. Pulses in between have the leader show that it reads.
func (f *forwarder) write(r *reign, c net.Conn, ended <-chan struct{}) {
	pulse := time.NewTimer(beat.Next(pulseInterval))
	defer pulse.Stop()
	asks := uint64(1)
	if f.s.n.serving.Load() {
		asks = 0
	}
	if _, err := c.Write(appendFrame(nil, frameHello, r.term, asks, 1)); err != nil {
		c.Close()
		return
	}
	for number := uint64(1); ; {
		select {
		case <-ended:
			return
		case <-f.out.more:
			runtime.Gosched()
			for _, frame := range f.out.Take() {
				if _, err := c.Write(frame); err != nil {
					c.Close() // listen tells why
					return
				}
			}
		case <-pulse.C:
			pulse.Reset(beat.Next(pulseInterval))
			if _, err := c.Write(appendFrame(nil, framePulse, number)); err != nil {
				c.Close()
				return
			}
			number++
		}
	}
}

// listen takes what the leader says until the stream ends.
func (f *forwarder) listen(r *reign, c net.Conn) error {
	in := newFrameReader(c, 512)
	for {
		_ = c.SetReadDeadline(time.Now().Add(maxForwardSilence))
		kind, body, err := in.next()
		if err != nil {
			return fmt.Errorf("forward stream: %w", err)
		}
		switch n := (numbers{b: body}); kind {
		case frameWelcome:
			_, zxid := n.next(), n.next()
			if err := n.err("welcome"); err != nil {
				return err
			}
			if !r.over() {
				f.s.n.caughtUpWith(zxid)
			}
		case frameCommit:
			term, index := n.next(), n.next()
			if err := n.err("commit"); err != nil {
				return err
			}
			if !r.over() {
				f.s.n.toldOf(logID{index, term}, r.leader, string(n.b))
			}
		case frameDoubt:
			f.out.Doubted()
		case frameFarewell:
			return errFarewell
		}
	}
}

// timedOut tells whether nothing came, from whatever layer the word is.
func timedOut(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
