// Package beat has the things that a server does again and again be done at the
// same moments: what a wake-up of an idle process costs is threads that start and
// stop, whatever is then done. It only chooses the moments, and reads the wall
// clock for them, so that servers with clocks alike send each other what they send
// at the same time too. It may be used from any goroutine.
package beat

import "time"

const (
	// soon is the share of an interval that is too short for one: the wall clock
	// may be slightly behind the one by which timers go.
	soon = 8
	// bar is what all beats begin anew with, so that a third of a second meets a
	// second though it is no whole number of nanoseconds.
	bar = time.Minute
)

// Next is when to do next what is done every so often: at the next multiple of
// that, not at once.
func Next(every time.Duration) time.Duration { return After(every/soon, every) }

// After is how long to wait, and then to the next multiple of grid.
func After(wait, grid time.Duration) time.Duration {
	into := time.Duration((time.Now().UnixNano() + int64(wait)) % int64(bar))
	rest := grid - 1 - (into+grid-1)%grid
	return wait + min(rest, bar-into)
}
