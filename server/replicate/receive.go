package replicate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/server/peer"
	"github.com/lycaon-io/lycaon/server/state"
)

// inlet is the leader's end of a follower's forward stream.
type inlet struct {
	s      *streams
	reign  *reign
	member uint64
	conn   net.Conn
	ctx    context.Context // ends with the stream, or with the reign
	end    context.CancelFunc

	doubts chan struct{} // a hint: the follower is to send again
	echo   chan uint64   // a pulse to be answered

	welcome chan uint64 // the zxid that the follower asked for, once it is known

	takesWords bool          // of commits, over this stream
	notices    chan struct{} // a hint: a notice may be due
	told       atomic.Uint64 // newest entry of whose commit it was told
}

// receive hosts a forward stream. It reads nothing before this server leads,
// so that what a follower sends early waits for its leader in order.
func (s *streams) receive(c *peer.Conn) error {
	in := newFrameReader(c, receiveBuffer)
	term, asks, takesWords, err := readHello(c, in)
	if err != nil {
		return err
	}
	r := s.ownReign(term)
	if r == nil {
		return s.farewell(c)
	}
	i := &inlet{
		s: s, reign: r, member: c.Remote.ID, conn: c,
		doubts: make(chan struct{}, 1), echo: make(chan uint64, 1), notices: make(chan struct{}, 1),
		welcome: make(chan uint64, 1), takesWords: takesWords,
	}
	i.ctx, i.end = context.WithCancel(r.ctx)
	r.admit(i)
	defer r.dismiss(i)
	var teller sync.WaitGroup
	teller.Go(i.tell)
	if asks {
		teller.Go(i.greet)
	}
	s.nudges.Go(i.nudges)
	defer teller.Wait()
	defer i.end()
	return i.read(in)
}

// readHello returns the term that the follower has in mind, whether it asks how much
// it must have applied before it serves, and whether it takes words of commits.
func readHello(c net.Conn, in *frameReader) (term uint64, asks, takesWords bool, err error) {
	_ = c.SetReadDeadline(time.Now().Add(helloTime))
	kind, body, err := in.next()
	if err != nil {
		return 0, false, false, err
	}
	n := numbers{b: body}
	term, asks = n.next(), n.next() != 0
	if kind != frameHello {
		return 0, false, false, fmt.Errorf("%w: it begins with a frame of kind %q", errGarbled, kind)
	}
	takesWords = len(n.b) > 0 && n.next() != 0
	return term, asks, takesWords, n.err("hello")
}

// admit makes this the follower's stream. A former one may still hold what was
// sent long ago: it ends.
func (r *reign) admit(i *inlet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if former := r.inlets[i.member]; former != nil {
		former.end()
	}
	r.inlets[i.member] = i
}

func (r *reign) dismiss(i *inlet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inlets[i.member] == i {
		delete(r.inlets, i.member)
	}
}

// read feeds the proposer, and stops reading while its queue is long: then the
// follower's own buffer fills, and at last the credit of its clients.
func (i *inlet) read(in *frameReader) error {
	var load cargo
	for {
		if !i.s.n.prop.awaitRoom(i.ctx.Done()) {
			return context.Cause(i.ctx)
		}
		_ = i.conn.SetReadDeadline(time.Now().Add(maxFollowerSilence))
		kind, body, err := in.next()
		if err != nil {
			return err
		}
		switch kind {
		case frameTxns:
			if err := load.feed(body, i); err != nil {
				return err
			}
		case framePulse:
			n := numbers{b: body}
			select {
			case i.echo <- n.next():
			default: // the one before is not answered yet
			}
		default:
			return fmt.Errorf("%w: a frame of kind %q", errGarbled, kind)
		}
	}
}

// cargo is the room that transactions are decoded in, some at a time, so that
// the proposer's lock is held briefly.
type cargo struct {
	txns [cargoTxns]state.Txn
	raw  [cargoTxns][]byte
}

// feed gives the proposer the transactions of one frame, as bytes: they were
// checked as strictly as an entry of the log, and nothing is encoded anew.
// Nothing of a frame that is malformed anywhere gets through.
func (l *cargo) feed(frame []byte, from *inlet) error {
	batch, err := state.DecodeBatch(frame)
	if err != nil {
		return fmt.Errorf("%w: %w", errGarbled, err)
	}
	for {
		n, err := l.load(&batch)
		if err != nil {
			return fmt.Errorf("%w: %w", errGarbled, err)
		}
		if n == 0 {
			return nil
		}
		from.s.n.prop.AppendFrom(from, l.txns[:n], l.raw[:n])
	}
}

func (l *cargo) load(batch *state.Batch) (n int, err error) {
	for n < cargoTxns {
		more, err := batch.Next(&l.txns[n])
		if err != nil || !more {
			return n, err
		}
		if kind := l.txns[n].Kind; kind == state.TxnReap || kind == state.TxnConfig {
			return 0, errors.New("a follower does what only a leader may")
		}
		l.raw[n] = batch.Raw()
		n++
	}
	return n, nil
}

// doubt has the follower send everything unapplied again.
func (i *inlet) doubt() { hint(i.doubts) }

// closed tells the proposer, under its lock, that nothing of this stream
// counts any more.
func (i *inlet) closed() bool { return i.ctx.Err() != nil }

// tell writes to the follower: the welcome once it is due, doubts, pulses.
func (i *inlet) tell() {
	defer i.conn.Close()
	for {
		var frame []byte
		select {
		case <-i.ctx.Done():
			if i.reign.over() {
				_ = i.s.farewell(i.conn)
			}
			return
		case zxid := <-i.welcome:
			frame = appendFrame(nil, frameWelcome, i.reign.term, zxid)
		case <-i.doubts:
			i.s.counts.doubts.Add(1)
			frame = appendFrame(nil, frameDoubt)
		case number := <-i.echo:
			frame = appendFrame(nil, framePulse, number)
		}
		_ = i.conn.SetWriteDeadline(time.Now().Add(tellTime))
		if _, err := i.conn.Write(frame); err != nil {
			return
		}
	}
}

// greet finds out what a follower must have applied to lack nothing that
// anybody has been told of: everything committed before it asked, in whatever
// term. The leader's own zxid of an earlier time is not enough, nor is that of
// now, since another server may have applied more.
func (i *inlet) greet() {
	select {
	case <-i.reign.caughtUp:
	case <-i.ctx.Done():
		return
	}
	for pause := minRedial; i.s.n.barrier(i.ctx) != nil; pause = min(2*pause, maxRedial) {
		rest(i.ctx, pause)
		if i.closed() {
			return
		}
	}
	i.s.n.machine.View(func(m *state.Machine) { i.welcome <- m.Zxid() })
}
