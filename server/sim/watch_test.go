package sim

import (
	"fmt"
	"slices"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// watchKey is one watch of a connection.
type watchKey struct {
	path string
	mode protocol.WatchMode
}

func (k watchKey) stays() bool {
	return k.mode == protocol.WatchPersistent || k.mode == protocol.WatchRecursive
}

// event is one event as a client sees it.
type event struct {
	what protocol.EventType
	path string
	zxid uint64
}

func (e event) String() string { return fmt.Sprintf("%d of %s at %d", e.what, e.path, e.zxid) }

// wants tells whether a watch waits for an event.
func (k watchKey) wants(e event) bool {
	if k.mode == protocol.WatchRecursive {
		return e.what != protocol.EventChildrenChanged && within(e.path, k.path)
	}
	if e.path != k.path {
		return false
	}
	switch k.mode {
	case protocol.WatchData:
		return e.what == protocol.EventDeleted || e.what == protocol.EventDataChanged
	case protocol.WatchExists:
		return e.what != protocol.EventChildrenChanged
	case protocol.WatchChildren:
		return e.what == protocol.EventDeleted || e.what == protocol.EventChildrenChanged
	}
	return true
}

func within(path, root string) bool {
	return path == root || root == "/" || len(path) > len(root) && path[:len(root)] == root && path[len(root)] == '/'
}

// eventsOf are the one or two events that an effect is to watches.
func eventsOf(e *znode.Effect) []event {
	switch e.Type {
	case znode.NodeCreated:
		return []event{{protocol.EventCreated, e.Path, e.Zxid}, {protocol.EventChildrenChanged, znode.Parent(e.Path), e.Zxid}}
	case znode.NodeDeleted:
		return []event{{protocol.EventDeleted, e.Path, e.Zxid}, {protocol.EventChildrenChanged, znode.Parent(e.Path), e.Zxid}}
	}
	return []event{{protocol.EventDataChanged, e.Path, e.Zxid}}
}

// watchCheck says of one connection which events must come, and when at the
// latest. It holds the connection's watches as its replies tell of them.
type watchCheck struct {
	w       *world
	live    map[watchKey]bool
	pos     int     // effects before it have been looked at
	due     []event // of those, not received yet
	highest uint64
}

func newWatchCheck(w *world) *watchCheck { return &watchCheck{w: w, live: map[watchKey]bool{}} }

// look puts what the effects up to zxid are to the live watches into due.
func (c *watchCheck) look(zxid uint64) {
	for effects := c.w.model.effects; c.pos < len(effects) && effects[c.pos].Zxid <= zxid; c.pos++ {
		for _, e := range eventsOf(&effects[c.pos]) {
			if fire(c.live, e) {
				c.due = append(c.due, e)
			}
		}
	}
}

// fire tells whether any watch wants e, and uses up the one-shots that do.
func fire(live map[watchKey]bool, e event) (hit bool) {
	for k := range live {
		if k.wants(e) {
			hit = true
			if !k.stays() {
				delete(live, k)
			}
		}
	}
	return hit
}

// event checks that e is the very next one due.
func (c *watchCheck) event(e event) {
	c.look(e.zxid)
	if len(c.due) == 0 {
		c.w.fail("watch: event %v although nothing is due", e)
	}
	if c.due[0] != e {
		c.w.fail("watch: event %v, due is %v", e, c.due[0])
	}
	c.due = c.due[1:]
	if e.zxid < c.highest {
		c.w.fail("watch: event %v after one at %d", e, c.highest)
	}
	c.highest = e.zxid
}

// upTo checks, when something shows the state at zxid, that every event up to
// it came before.
func (c *watchCheck) upTo(zxid uint64, what string) {
	c.look(zxid)
	if len(c.due) > 0 {
		c.w.fail("watch: %s shows zxid %d before event %v", what, zxid, c.due[0])
	}
}

// add takes over a watch that stands since zxid, which upTo was called for.
func (c *watchCheck) add(k watchKey, zxid uint64) {
	if len(c.live) == 0 {
		c.pos = c.w.model.firstAfter(zxid)
	}
	c.live[k] = true
}

// since is a watch to be resumed.
type since struct {
	watchKey
	zxid uint64
}

// resumed checks what a replay told, up to now: exactly what was missed by the
// watches above some floor, and of those below it a gap or the outcome.
func (c *watchCheck) resumed(watches []since, told []event, now uint64) {
	floors := []uint64{0}
	for _, s := range watches {
		floors = append(floors, s.zxid+1)
	}
	slices.Sort(floors)
	for _, floor := range slices.Compact(floors) {
		if left, ok := c.explains(watches, told, now, floor); ok {
			c.live, c.pos = left, c.w.model.firstAfter(now)
			c.w.stats.resumes++
			if floor > 0 {
				c.w.stats.compared++
			}
			return
		}
	}
	c.w.fail("watch: the replay %v up to %d does not explain %v", told, now, watches)
}

// explains tells whether the ring's floor could have been this one, and which
// watches are then left.
func (c *watchCheck) explains(watches []since, told []event, now, floor uint64) (map[watchKey]bool, bool) {
	exact, left := c.replay(watches, now, floor)
	if len(told) < len(exact) {
		return nil, false
	}
	compared := told[:len(told)-len(exact)]
	if !slices.Equal(told[len(compared):], exact) {
		return nil, false
	}
	for _, s := range watches {
		if s.zxid >= floor {
			continue
		}
		i := slices.IndexFunc(compared, func(e event) bool { return s.comparedBy(e) })
		if i < 0 && (s.stays() || c.missed(s, now)) {
			return nil, false
		}
		if s.stays() || i < 0 {
			left[s.watchKey] = true
		}
	}
	for _, e := range compared {
		if !slices.ContainsFunc(watches, func(s since) bool { return s.zxid < floor && s.comparedBy(e) }) {
			return nil, false
		}
	}
	return left, true
}

// comparedBy tells whether an event may be what comparing told of this watch.
func (s since) comparedBy(e event) bool {
	if e.path != s.path || s.stays() != (e.what == protocol.EventGap) {
		return false
	}
	return s.stays() || s.wants(e)
}

// replay is what the ring tells of the watches that it covers.
func (c *watchCheck) replay(watches []since, now, floor uint64) (told []event, left map[watchKey]bool) {
	live := map[watchKey]bool{}
	joined := map[watchKey]bool{}
	effects := c.w.model.effects
	join := func(zxid uint64) {
		for _, s := range watches {
			if s.zxid >= floor && s.zxid < zxid && !joined[s.watchKey] {
				joined[s.watchKey], live[s.watchKey] = true, true
			}
		}
	}
	for i := c.w.model.firstAfter(0); i < len(effects) && effects[i].Zxid <= now; i++ {
		join(effects[i].Zxid)
		for _, e := range eventsOf(&effects[i]) {
			if fire(live, e) {
				told = append(told, e)
			}
		}
	}
	join(now + 1)
	return told, live
}

// missed tells whether a watch would have fired since it was left.
func (c *watchCheck) missed(s since, now uint64) bool {
	effects := c.w.model.effects
	for i := c.w.model.firstAfter(s.zxid); i < len(effects) && effects[i].Zxid <= now; i++ {
		for _, e := range eventsOf(&effects[i]) {
			if s.wants(e) {
				return true
			}
		}
	}
	return false
}
