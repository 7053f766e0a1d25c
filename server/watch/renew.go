package watch

import (
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// Renew sets w's watches again by ZooKeeper's rules. Each one-shot is compared
// with its node as it is, whatever else is known of the past: one that ZooKeeper
// would answer at once is told, in the order of watches, and used up; every other
// is left in t. So a client that is wrong about what it had seen hears of it here
// as it would there.
//
// A staying watch is left and told nothing. Since is the zxid of the last reply
// that the client got, which events do not raise: to replay from there would tell
// a client that only listens all that it has heard since it began.
//
// Renew runs under the pipeline's lock, as Resume does.
func Renew(t *Table, tree Peeker, w Watcher, watches []protocol.Watch) {
	for _, watch := range watches {
		stat, acl, there := tree.Peek(watch.Path)
		what, zxid := answerTo(watch, stat, there)
		switch {
		case what == 0:
			t.Add(w, watch.Path, watch.Mode)
		case !there || w.Allowed(acl):
			ev := event{what: what, zxid: zxid, path: strings.Clone(watch.Path)} // the request's may alias its frame
			w.Notify(ev.message())
		}
	}
}

// answerTo is what ZooKeeper answers a watch with, 0 for nothing, and the zxid
// of that; of a delete the first one that it may have.
func answerTo(watch protocol.Watch, stat znode.Stat, there bool) (what protocol.EventType, zxid uint64) {
	switch {
	case watch.Mode == protocol.WatchPersistent || watch.Mode == protocol.WatchRecursive:
		return 0, 0
	case watch.Mode == protocol.WatchExists && there:
		return protocol.EventCreated, stat.Czxid
	case watch.Mode == protocol.WatchExists:
		return 0, 0
	case !there:
		return protocol.EventDeleted, watch.Since + 1
	case watch.Mode == protocol.WatchChildren && stat.Pzxid > watch.Since:
		return protocol.EventChildrenChanged, stat.Pzxid
	case watch.Mode == protocol.WatchData && stat.Mzxid > watch.Since:
		return protocol.EventDataChanged, stat.Mzxid
	}
	return 0, 0
}
