package watch

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// Peeker looks at a node of the tree without asking for a permission.
type Peeker interface {
	Peek(path string) (znode.Stat, znode.ACL, bool)
}

// Resume brings w's watches up to date, as if each had stood since its Since,
// and leaves those in t that are not used up.
//
// A watch whose Since the ring covers gets exactly the events it missed, in
// order of zxid. Of any other only the outcome can be told: a staying watch
// gets EventGap with its Since as the zxid, a one-shot is compared with its
// node, or told anyhow if it may be of another history, and if something happened
// the zxid is Since+1, the first that it may have happened at. These come first.
// Their zxids are as low as they are because a client that is cut off before
// EventReplayDone may resume its other watches below the zxid of the last event it
// heard, and must not skip what these have not been told.
//
// What is told stands between an EventProgress of zxid 0 and EventReplayDone: a
// client with other watches may have heard it as it happened.
//
// What takes more than maxReplayBytes is told up to a zxid, and the rest of it as
// if the ring did not cover that: these come last, by the zxid after which they
// may have happened.
//
// Resume runs under the pipeline's lock, so that nothing fires in t before its
// watches are there; now is the zxid of tree.
func Resume(t *Table, r *Ring, tree Peeker, w Watcher, watches []protocol.Watch, now uint64) {
	w.Notify(&protocol.Message{Kind: protocol.Event, Event: protocol.EventProgress})
	rs := resume{ring: r, tree: tree, watcher: w}
	rs.forget()
	bySince := slices.Clone(watches)
	slices.SortStableFunc(bySince, func(a, b protocol.Watch) int { return cmp.Compare(a.Since, b.Since) })
	covered := 0
	for covered < len(bySince) && bySince[covered].Since < r.Floor() {
		covered++
	}
	unchanged := rs.compareAll(bySince[:covered])
	rs.replay(bySince[covered:])
	rs.keep(unchanged)
	for _, watch := range watches {
		if rs.left.Has(rs.missed, watch.Path, watch.Mode) {
			t.Add(w, watch.Path, watch.Mode)
		}
	}
	w.Notify(&protocol.Message{Kind: protocol.Event, Event: protocol.EventReplayDone, Zxid: now})
}

// maxReplayBytes of events are told by one resume, half of what a connection may be
// behind. Who would be told more would be cut off, resume, and be told the same.
const maxReplayBytes = 8 << 20

type resume struct {
	ring    *Ring
	tree    Peeker
	watcher Watcher
	missed  *gathering
	left    *Table // watches that are not used up, as those of missed
}

// gathering keeps events until it is known how many are told.
type gathering struct {
	Watcher
	events []*protocol.Message
	bytes  int
}

func (m *gathering) Notify(ev *protocol.Message) {
	m.events = append(m.events, ev)
	m.bytes += ev.Size()
}

func (rs *resume) forget() { rs.left, rs.missed = NewTable(), &gathering{Watcher: rs.watcher} }

func (rs *resume) keep(watches []protocol.Watch) {
	for _, watch := range watches {
		rs.left.Add(rs.missed, watch.Path, watch.Mode)
	}
}

// replay tells what the watches have missed. They come by rising Since.
func (rs *resume) replay(watches []protocol.Watch) {
	if len(watches) == 0 {
		return
	}
	last, all := rs.gather(watches, math.MaxUint64)
	if !all {
		rs.gather(watches, last)
	}
	for _, ev := range rs.missed.events {
		rs.watcher.Notify(ev)
	}
	if !all {
		rs.passOver(watches, last)
	}
}

// gather fires the ring's effects up to a zxid at the watches, each of which joins
// before the first effect above its Since. If that is too much to be told, what
// comes up to last is not.
func (rs *resume) gather(watches []protocol.Watch, upTo uint64) (last uint64, all bool) {
	rs.forget()
	effects, _ := rs.ring.Since(watches[0].Since)
	joined := 0
	for e := range effects {
		if e.Zxid > upTo {
			break
		}
		from := joined
		for joined < len(watches) && watches[joined].Since < e.Zxid {
			joined++
		}
		rs.keep(watches[from:joined])
		rs.left.Fire(e)
		if rs.missed.bytes > maxReplayBytes {
			return e.Zxid - 1, false
		}
		if joined == len(watches) && rs.left.Len() == 0 {
			return upTo, true
		}
	}
	rs.keep(watches[joined:])
	return upTo, true
}

// passOver tells the watches that are left what can be told without the effects
// behind last.
func (rs *resume) passOver(watches []protocol.Watch, last uint64) {
	var behind []protocol.Watch
	for _, watch := range watches {
		if rs.left.Has(rs.missed, watch.Path, watch.Mode) {
			watch.Since = max(watch.Since, last)
			behind = append(behind, watch)
		}
	}
	rs.left = NewTable()
	rs.keep(rs.compareAll(behind))
}

// compareAll tells what can be told of watches that the ring does not cover,
// the same thing once, and returns those that stand.
func (rs *resume) compareAll(watches []protocol.Watch) (standing []protocol.Watch) {
	var owed []event
	for _, watch := range watches {
		what, acl, guarded := rs.compare(watch)
		ev := event{what: what, zxid: watch.Since, path: strings.Clone(watch.Path)} // the request's may alias its frame
		if what == 0 || what == protocol.EventGap {
			standing = append(standing, watch)
		} else {
			ev.zxid++
		}
		if what != 0 && (!guarded || rs.watcher.Allowed(acl)) {
			owed = append(owed, ev)
		}
	}
	slices.SortStableFunc(owed, func(a, b event) int { return cmp.Compare(a.zxid, b.zxid) })
	done := make(map[told]bool)
	for _, ev := range owed {
		if key := (told{ev.what, ev.zxid, ev.path}); !done[key] {
			done[key] = true
			rs.watcher.Notify(ev.message())
		}
	}
	return standing
}

type told struct {
	what protocol.EventType
	zxid uint64
	path string
}

// compare returns the event that a watch has missed, 0 for none, and the ACL
// that guards it. That a node is not there is guarded by nothing: anyone may
// ask whether it exists.
func (rs *resume) compare(watch protocol.Watch) (what protocol.EventType, acl znode.ACL, guarded bool) {
	if watch.Mode == protocol.WatchPersistent || watch.Mode == protocol.WatchRecursive {
		return protocol.EventGap, nil, false
	}
	stat, acl, there := rs.tree.Peek(watch.Path)
	foreign := rs.ring.foreign(watch.Since)
	switch {
	case !there:
		if !foreign && rs.absentSince(watch.Path, watch.Since) {
			return 0, nil, false
		}
		return protocol.EventDeleted, nil, false
	case watch.Mode == protocol.WatchChildren:
		if foreign || stat.Pzxid > watch.Since {
			what = protocol.EventChildrenChanged
		}
	case watch.Mode == protocol.WatchExists && stat.Czxid > watch.Since:
		what = protocol.EventCreated
	case foreign || stat.Mzxid > watch.Since:
		what = protocol.EventDataChanged
	}
	return what, acl, true
}

// foreign tells whether since may be of a history that a restore of a backup has undone.
// Then a node that looks untouched since may have been another when its watcher saw it.
func (r *Ring) foreign(since uint64) bool {
	return since < r.floor && r.floor-since > protocol.Leap
}

// absentSince tells whether a node that is not there was not there at zxid
// since either: no child came to or went from the nearest node above it. Where
// that cannot be told the watcher hears of a delete, which may never have
// been, rather than wait for one that was. So does who may not read the node
// above: its Pzxid is none of his business.
func (rs *resume) absentSince(path string, since uint64) bool {
	for path != "/" {
		path = znode.Parent(path)
		if stat, acl, there := rs.tree.Peek(path); there {
			return stat.Pzxid <= since && rs.watcher.Allowed(acl)
		}
	}
	return false
}
