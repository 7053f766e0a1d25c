package pipeline

import (
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/server/watch"
	"github.com/lycaon-io/lycaon/znode"
)

// run answers a read or watch request from the present state. The caller
// holds Core.mu, for reading if it is the lane's reader, else for writing;
// either way nobody else uses l.reply.
func (l *Lane) run(r *protocol.Request, ids *identities) {
	m := &l.reply
	*m = protocol.Message{}
	switch {
	case r.Op == protocol.OpSync:
		m.Path = r.Read.Path
	case r.Op == protocol.OpWhoAmI:
		m.More = &protocol.More{Identities: ids.actor.IDs}
	case r.Op.IsRead():
		l.read(r, ids, m)
	case r.Op == protocol.OpWatch:
		l.watch(r, m)
	case r.Op == protocol.OpUnwatch:
		l.eachWatch(r, m, l.core.watches.Remove)
	case r.Op == protocol.OpHasWatch:
		l.eachWatch(r, m, l.core.watches.Has)
	case r.Op == protocol.OpResume:
		l.resume(r, m)
	default:
		fail(m, protocol.Unimplemented, "unknown operation")
	}
	m.Kind, m.Op, m.Xid, m.Zxid = protocol.Reply, r.Op, r.Xid, l.core.machine.Zxid()
	l.pushed(m)
}

// pushAnswer says what was known beforehand. The caller holds Core.mu.
func (l *Lane) pushAnswer(answer *protocol.Message) {
	m := &l.reply
	*m = *answer
	m.Kind = protocol.Reply
	if m.Zxid == 0 {
		m.Zxid = l.core.machine.Zxid()
	}
	l.pushed(m)
}

// pushed pushes m; while entries are applied, the wake comes after the lock.
func (l *Lane) pushed(m *protocol.Message) {
	l.sink.Push(m)
	if l.core.applying {
		l.burst += m.Size()
		l.core.wakeLater(l)
	}
}

// read answers a read and leaves its watch in the same instant: on what is
// there, and for exists also on what is not.
func (l *Lane) read(r *protocol.Request, ids *identities, m *protocol.Message) {
	mode, wanted := oneShot(r)
	if wanted && !l.mayWatch(m, r.Read.Path, mode) {
		return
	}
	l.core.machine.Read(&ids.actor, &r.Read, m)
	if l.core.applying {
		l.burst += inVain(&r.Read, m)
	}
	if wanted && (m.Code == protocol.OK || m.Code == protocol.NoNode && mode == protocol.WatchExists) {
		l.core.watches.Add(l.watcher(), r.Read.Path, mode)
	}
}

// inVain is what was gathered for whole listings that did not fit: the work of
// bytes that are not in the answer.
func inVain(r *protocol.Read, m *protocol.Message) (bytes int) {
	if r.Whole && m.Code == protocol.TooLarge {
		return maxBurstBytes
	}
	if r.Op != protocol.OpMultiRead || m.More == nil {
		return 0
	}
	for i := range m.More.Results {
		if r.Reads[i].Whole && m.More.Results[i].Code == protocol.TooLarge {
			return multiWork
		}
	}
	return 0
}

func oneShot(r *protocol.Request) (mode protocol.WatchMode, wanted bool) {
	switch r.Op {
	case protocol.OpGet:
		mode = protocol.WatchData
	case protocol.OpExists:
		mode = protocol.WatchExists
	case protocol.OpChildren:
		mode = protocol.WatchChildren
	default:
		return 0, false
	}
	return mode, r.Read.Watch
}

func (l *Lane) watch(r *protocol.Request, m *protocol.Message) {
	for i := range r.Watches {
		w := &r.Watches[i]
		if !l.mayWatch(m, w.Path, w.Mode) {
			return
		}
		l.core.watches.Add(l.watcher(), w.Path, w.Mode)
	}
}

// eachWatch fails unless one of the watches is there.
func (l *Lane) eachWatch(r *protocol.Request, m *protocol.Message, do func(watch.Watcher, string, protocol.WatchMode) bool) {
	found := false
	for i := range r.Watches {
		found = do(l.watcher(), r.Watches[i].Path, r.Watches[i].Mode) || found
	}
	if !found {
		fail(m, protocol.NoWatcher, "no such watch on this connection")
	}
}

// resume tells what the watches of an earlier connection have missed and
// takes them over.
func (l *Lane) resume(r *protocol.Request, m *protocol.Message) {
	c := l.core
	switch {
	case !l.watching:
		fail(m, protocol.NotReadOnly, "watches need a session")
	case l.tooMany(len(r.Watches)) && l.tooMany(l.unknown(r.Watches)):
		l.tooManyWatches(m)
	case r.Compare:
		if c.applying {
			l.burst += effectWork * c.ring.Len()
		}
		watch.Renew(c.watches, c.ring, c.machine.Tree(), l.watcher(), r.Watches, c.machine.Zxid())
	default:
		if c.applying {
			l.burst += effectWork * c.ring.Len()
		}
		misresume(r.Watches, c.machine.Zxid())
		watch.Resume(c.watches, c.ring, c.machine.Tree(), l.watcher(), r.Watches, c.machine.Zxid())
	}
}

// unknown counts those that the connection does not have already.
func (l *Lane) unknown(watches []protocol.Watch) (n int) {
	for i := range watches {
		if !l.core.watches.Has(l.watcher(), watches[i].Path, watches[i].Mode) {
			n++
		}
	}
	return n
}

// misresume is where mutants resume from.
func misresume(watches []protocol.Watch, now uint64) {
	for i := range watches {
		switch {
		case mutant.On(mutant.ResumeFromNow):
			watches[i].Since = now
		case mutant.On(mutant.ResumeTwice) && watches[i].Since > 0:
			watches[i].Since--
		}
	}
}

// mayWatch turns m into an error and returns false if the connection may not
// have one more watch.
func (l *Lane) mayWatch(m *protocol.Message, path string, mode protocol.WatchMode) bool {
	switch {
	case !l.watching:
		fail(m, protocol.NotReadOnly, "watches need a session")
		return false
	case !l.tooMany(1), l.core.watches.Has(l.watcher(), path, mode):
		return true
	}
	l.tooManyWatches(m)
	return false
}

// tooMany tells whether so many watches more are beyond what the connection or the server may have:
// none is not, also where lanes that looked at one time have come beyond it.
func (l *Lane) tooMany(more int) bool {
	c := l.core
	return more > 0 && (c.watches.CountOf(l.watcher())+more > c.cfg.MaxWatches || c.watches.Len()+more > c.cfg.MaxServerWatches)
}

func (l *Lane) tooManyWatches(m *protocol.Message) {
	l.core.counts.watchesRefused.Add(1)
	fail(m, protocol.TooManyWatches, "this connection or this server holds as many watches as it may")
}

// laneWatcher is a lane as the watch table sees it.
type laneWatcher Lane

func (l *Lane) watcher() *laneWatcher { return (*laneWatcher)(l) }

// Allowed tells whether the connection may know of a node with that ACL.
func (w *laneWatcher) Allowed(acl znode.ACL) bool {
	return acl.Allows(znode.Read, &w.ids.Load().actor)
}

// Notify passes an event on.
func (w *laneWatcher) Notify(m *protocol.Message) {
	if !mutant.OneIn(1000, mutant.DropEvents) {
		(*Lane)(w).pushed(m)
	}
}
