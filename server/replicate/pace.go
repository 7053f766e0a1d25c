package replicate

import (
	"errors"
	"time"
)

const (
	// Work that nobody waits for is done in slices: one delays a write by no
	// more than it takes, and what runs for longer is taken off the processor by
	// the scheduler only after 10 ms.
	paceSlice = time.Millisecond
	// paceRest times its work is the pause after a slice: a tenth of a core is
	// used, and the frozen state, whose old nodes stay in memory as long, is not
	// held for more than ten times the work.
	paceRest = 9
	// maxPause bounds what one slice that hung costs.
	maxPause = 100 * time.Millisecond
)

var errPaceEnded = errors.New("replicate: closed meanwhile")

// pacer pauses work. It takes the time that a slice took for work, so that it
// is more careful where others want the processor or the disk.
type pacer struct {
	done   <-chan struct{}
	rest   func() float64 // of a full rest, how much there is to be at present
	since  time.Time      // start of the present slice
	worked time.Duration
}

func fullRest() float64 { return 1 }

func (p *pacer) pace() error {
	took := time.Since(p.since)
	if took < paceSlice {
		return nil
	}
	p.worked += took
	pause := min(time.Duration(paceRest*p.rest()*float64(took)), maxPause)
	select {
	case <-p.done:
		return errPaceEnded
	case <-time.After(pause):
	}
	p.since = time.Now()
	return nil
}
