package front

import "time"

// LookByHand has any number of connections doze as soon as Look is called, and
// nobody else look; a timeout is too short for it below dozeShare times Seldom.
// It comes before the first connection.
func (f *Front) LookByHand() {
	f.mu.Lock() // as whoever begins a connection does
	defer f.mu.Unlock()
	d := &f.dozers
	d.after, d.every, d.soon, d.from, d.looking = 0, Seldom, Sooner, 0, true
}

// The pauses between two looks, for the most and where it matters more.
const (
	Seldom = 4 * time.Second
	Sooner = Seldom / 2
)

// Look looks at all connections once.
func (f *Front) Look() { f.dozers.lookAround() }

// Pause is until connections are looked at again.
func (f *Front) Pause() time.Duration { return f.dozers.next() }

// Enough is how many connections it takes.
func (f *Front) Enough(from int) {
	f.dozers.mu.Lock()
	defer f.dozers.mu.Unlock()
	f.dozers.from = from
}

// Dozing is how many connections doze, and what the sockets of these hold.
func (f *Front) Dozing() (n, bytes int) {
	f.dozers.mu.Lock()
	defer f.dozers.mu.Unlock()
	for _, one := range f.dozers.conns {
		d := &one.c.doze
		d.mu.Lock()
		if d.on {
			n++
			bytes += d.threshold.Held()
		}
		d.mu.Unlock()
	}
	return n, bytes
}

// Silence has every connection not have been heard for part of its timeout.
func (f *Front) Silence(part float64) {
	for _, c := range f.Conns() {
		c.heard.Store(int64(time.Since(c.began) - time.Duration(part*float64(c.timeout))))
	}
}

// Rhythm has every connection have been silent for part of its timeout before its
// last word.
func (f *Front) Rhythm(part float64) {
	for _, c := range f.Conns() {
		c.doze.rhythm.Store(int64(part * float64(c.timeout)))
	}
}

// Overdue has the time of all that doze be over.
func (f *Front) Overdue() {
	for _, c := range f.Conns() {
		c.doze.mu.Lock()
		if c.doze.on {
			c.readBy = time.Unix(1, 0)
			c.nc.SetReadDeadline(c.readBy)
		}
		c.doze.mu.Unlock()
	}
}
