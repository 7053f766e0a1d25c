package watch

import (
	"math"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// Renew sets w's watches again by ZooKeeper's rules. Each one-shot is compared
// with its node as it is: one that ZooKeeper would answer at once is told, in the
// order of watches, and used up; every other is left in t. So a client that is
// wrong about what it had seen hears of it here as it would there. Two things the
// comparison cannot see, and ZooKeeper misses: a node that came and went, of which the
// ring tells, and what a restore of a backup has undone. Watches that may be of before one
// are told.
//
// A staying watch is left and told nothing. Since is the zxid of the last reply
// that the client got, which events do not raise: to replay from there would tell
// a client that only listens all that it has heard since it began.
//
// Events carry the zxid of tree, now, so that no client sees one fall. Renew runs
// under the pipeline's lock, as Resume does.
func Renew(t *Table, r *Ring, tree Peeker, w Watcher, watches []protocol.Watch, now uint64) {
	passed := passed(r, tree, watches)
	for _, watch := range watches {
		stat, acl, there := tree.Peek(watch.Path)
		what := answerTo(watch, stat, there, r.foreign(watch.Since))
		if what == 0 && watch.Mode == protocol.WatchExists {
			if made := passed[watch.Path]; made != nil && w.Allowed(made.ACL) {
				what, acl, there = protocol.EventCreated, made.ACL, true
			}
		}
		switch {
		case what == 0:
			t.Add(w, watch.Path, watch.Mode)
		case !there || w.Allowed(acl):
			ev := event{what: what, zxid: now, path: strings.Clone(watch.Path)} // the request's may alias its frame
			w.Notify(ev.message())
		}
	}
}

// answerTo is what ZooKeeper answers a watch with, 0 for nothing; to one of another
// history, that the node has changed.
func answerTo(watch protocol.Watch, stat znode.Stat, there, foreign bool) protocol.EventType {
	switch {
	case watch.Mode == protocol.WatchPersistent || watch.Mode == protocol.WatchRecursive:
		return 0
	case watch.Mode == protocol.WatchExists && there:
		return protocol.EventCreated
	case watch.Mode == protocol.WatchExists:
		return 0
	case !there:
		return protocol.EventDeleted
	case watch.Mode == protocol.WatchChildren && (foreign || stat.Pzxid > watch.Since):
		return protocol.EventChildrenChanged
	case watch.Mode == protocol.WatchData && (foreign || stat.Mzxid > watch.Since):
		return protocol.EventDataChanged
	}
	return 0
}

// passed finds the creates that exists watches of nodes that are not there have
// missed, by path.
func passed(r *Ring, tree Peeker, watches []protocol.Watch) map[string]*znode.Effect {
	since := map[string]uint64{}
	oldest := uint64(math.MaxUint64)
	for _, watch := range watches {
		if watch.Mode != protocol.WatchExists {
			continue
		}
		if _, _, there := tree.Peek(watch.Path); !there {
			since[watch.Path] = watch.Since
			oldest = min(oldest, watch.Since)
		}
	}
	if len(since) == 0 {
		return nil
	}
	found := map[string]*znode.Effect{}
	effects, _ := r.Since(oldest)
	for e := range effects {
		if e.Type != znode.NodeCreated {
			continue
		}
		if known, waits := since[e.Path]; waits && e.Zxid > known && found[e.Path] == nil {
			found[e.Path] = e
		}
	}
	return found
}
