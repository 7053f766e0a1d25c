package main

import (
	"slices"
	"strings"
	"time"
)

// outlook tells when a run of many cells will have ended: by what their like took
// in this run, and by a guess until there is one.
type outlook struct {
	length time.Duration // of one load
	ahead  []cellKey     // in the order that they come
	took   map[cellKey]time.Duration
	last   time.Time // when one had ended, or the first began
}

// like is a cell in any run.
func (k cellKey) like() cellKey {
	k.run = 0
	return k
}

func (o *outlook) begin(now time.Time) {
	o.took, o.last = map[cellKey]time.Duration{}, now
}

// done takes a cell off, with those before it that were passed over. What servers
// took to start counts for the first cell that is played on them.
func (o *outlook) done(k cellKey, now time.Time) {
	i := slices.Index(o.ahead, k)
	if i < 0 {
		return
	}
	o.ahead = o.ahead[i+1:]
	o.took[k.like()], o.last = now.Sub(o.last), now
}

// end is when the last one will have been measured.
func (o *outlook) end() time.Time {
	at := o.last
	for _, k := range o.ahead {
		took, known := o.took[k.like()]
		if !known {
			took = o.guess(k.scene)
		}
		at = at.Add(took)
	}
	return at
}

// guess is about what a scene took on two cores, for all systems.
func (o *outlook) guess(scene string) time.Duration {
	switch {
	case scene == idleScene:
		return 6 * time.Second // of its share: all rest together
	case scene == killScene, scene == pauseScene:
		return 10 * time.Second
	case scene == createScene(million), scene == batchScene(million):
		return 15 * time.Second
	case scene == createScene(5*million):
		return 90 * time.Second
	case scene == snapshotScene, scene == createScene(hundredThousand):
		return 10 * time.Second
	case scene == "writes": // with the start of servers, and until they are warm
		return 8 * time.Second
	case strings.HasPrefix(scene, "kill"): // with the start of servers
		return 5 * time.Second
	}
	return rehearsal + o.length + 300*time.Millisecond
}
