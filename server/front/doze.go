package front

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/server/internal/beat"
	"github.com/lycaon-io/lycaon/server/internal/rawnet"
)

// doze lets the pings of a connection at rest wake nobody: most connections of a
// server only ping, and a wake-up costs far more than a ping. So the socket of a
// reader that has waited for a while wakes it only for more than a ping, and one
// goroutine for all of them looks now and then whose socket holds something.
//
// A request is longer than a ping and wakes the reader at once, as do the end of
// the connection and a second ping. A ping is answered, and its session touched, up
// to lookEvery late. Where a client's other requests may be as short, as closeSession
// of ZooKeeper's is, up to lookSooner, in case it is one of those. A client that is
// late itself is heard at once: nobody dozes who has heard nothing for half of the
// timeout, so no session ends for a ping that was left lying.
type doze struct {
	threshold *rawnet.Threshold // nil: it never dozes
	place     int               // among the dozers, whose mu guards it
	bytes     int               // of a ping
	sooner    bool              // it may be something else

	rhythm atomic.Int64 // time.Duration between the last two things that the client said

	mu    sync.Mutex // guards what follows, and the threshold once the reader waits
	waits bool       // the reader waits for the first byte of a frame, and may doze
	on    bool       // and is woken only by more than a ping
}

// await waits for input. If the process stood still until the time was over there is
// a moment for what has come meanwhile: not for the rest of a frame of which there was
// some before.
func (c *Conn) await() error {
	before, dozes := c.heard.Load(), c.doze.threshold != nil
	if dozes {
		c.doze.wait()
	}
	_, err := c.r.Peek(1)
	if dozes {
		c.doze.waited()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.readBy = time.Now().Add(prompt)
		c.nc.SetReadDeadline(c.readBy)
		_, err = c.r.Peek(1)
	}
	c.doze.rhythm.Store(c.heard.Load() - before)
	return err
}

func (d *doze) wait() {
	d.mu.Lock()
	d.waits = true
	d.mu.Unlock()
}

// waited is for a reader who has been woken: he then waits for any byte.
func (d *doze) waited() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.on {
		d.threshold.Set(1)
	}
	d.waits, d.on = false, false
}

// rouseLocked wakes a reader who dozes if there is something for him to do. If there
// is nothing he does not doze again before there was.
func (d *doze) rouseLocked() {
	if d.threshold.Set(1) {
		d.waits, d.on = false, false
	}
}

// look has a reader doze, or wake up if there is something for it to do, and
// returns when to look again. Only one goroutine looks.
func (c *Conn) look(now time.Duration, all *dozers) (due time.Duration) {
	silence := now - all.since(c.Heard())
	late := silence >= c.timeout/2 || !all.enough
	d := &c.doze
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.on && (late || d.threshold.Held() > 0):
		d.rouseLocked()
	case d.on:
	case silence < c.quiet(all):
		return now - silence + c.quiet(all)
	case d.waits && !late:
		d.on = d.threshold.Set(d.bytes + 1)
	}
	return now
}

// quiet is how long after the last word a reader dozes: not long before the next is
// to be expected, so that it is not looked at in vain. That is a third of the timeout
// at the latest, as clients ping by protocol: before its first ping one may have been
// silent for longer.
func (c *Conn) quiet(all *dozers) time.Duration {
	rhythm := min(time.Duration(c.doze.rhythm.Load()), c.timeout/3)
	pause := all.pause(c.doze.sooner)
	return max(all.after, rhythm-2*pause-pause/8)
}

// mayDoze has the connection looked at until the end of its reader.
func (c *Conn) mayDoze() {
	d := &c.front.dozers
	bytes, alone := c.speaker.PingBytes()
	if bytes == 0 || c.timeout < dozeShare*d.pause(!alone) {
		return
	}
	c.doze.bytes, c.doze.sooner = bytes, !alone
	if c.doze.threshold = rawnet.ThresholdOf(c.nc); c.doze.threshold != nil {
		d.add(c)
	}
}

// dozers are the connections that may doze, and the goroutine that looks at them
// while there are enough.
type dozers struct {
	after, every, soon time.Duration
	from               int
	origin             time.Time     // of the monotonic times
	enough             bool          // the looking goroutine's
	stop               chan struct{} // closed by dismiss
	ended              sync.WaitGroup

	mu      sync.Mutex // a leaf, but for that of a doze
	conns   []dozer
	sooner  int // of them are to be looked at sooner
	looking bool
}

// dozer is a connection and when to look at it.
type dozer struct {
	c   *Conn
	due time.Duration
}

func (d *dozers) init() {
	d.after, d.every, d.soon, d.from = dozeAfter, lookEvery, lookSooner, dozeFrom
	d.origin, d.stop = time.Now(), make(chan struct{})
}

// pause is from one look to the next.
func (d *dozers) pause(sooner bool) time.Duration {
	if sooner {
		return d.soon
	}
	return d.every
}

func (d *dozers) since(t time.Time) time.Duration { return t.Sub(d.origin) }

func (d *dozers) add(c *Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.doze.place = len(d.conns)
	d.conns = append(d.conns, dozer{c: c})
	if c.doze.sooner {
		d.sooner++
	}
	if len(d.conns) >= d.from && !d.looking {
		d.looking = true
		d.ended.Go(d.run)
	}
}

func (d *dozers) remove(c *Conn) {
	if c.doze.threshold == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	last := len(d.conns) - 1
	moved := d.conns[last]
	d.conns[c.doze.place], moved.c.doze.place = moved, c.doze.place
	d.conns[last] = dozer{}
	d.conns = d.conns[:last]
	if c.doze.sooner {
		d.sooner--
	}
}

func (d *dozers) run() {
	tick := time.NewTimer(beat.Next(d.every))
	defer tick.Stop()
	for over := false; !over; {
		select {
		case <-d.stop:
			return
		case <-tick.C:
		}
		tick.Reset(beat.Next(d.next()))
		over = d.lookAround()
	}
}

// next is the shortest pause of those who doze.
func (d *dozers) next() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pause(d.sooner > 0)
}

// lookAround looks at those whose time it is. It ends with too few: by then nobody
// dozes any more.
func (d *dozers) lookAround() (over bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.since(time.Now())
	d.enough = len(d.conns) >= d.from
	// From the last one on: who takes the place of one that has gone has been looked at.
	for i := len(d.conns) - 1; i >= 0; i-- {
		if one := &d.conns[i]; one.due <= now || !d.enough {
			one.due = one.c.look(now, d)
		}
		if i%lookTurn == 0 {
			d.mu.Unlock() // connections that begin and end wait for it
			d.mu.Lock()
			i = min(i, len(d.conns))
		}
	}
	d.looking = d.enough || len(d.conns) >= d.from
	return !d.looking
}
