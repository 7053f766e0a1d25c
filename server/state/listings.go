package state

import (
	"strings"
	"sync"

	"github.com/lycaon-io/lycaon/protocol"
)

// listings keeps the names of large directories that are listed again and again,
// in a form that answers share: such an answer takes neither a walk nor an
// encoding. It is a cache, which readers share under the caller's read lock. No
// outcome depends on it, and a write knows nothing of it.
//
// A path and the pzxid of its node stand for one set of names: each create and
// delete below a node gives it the zxid of its transaction as its pzxid, no two
// transactions that change something have the same zxid, and a read sees the tree
// only between two of them.
type listings struct {
	mu    sync.RWMutex
	known map[string]listing // by path
	bytes int                // of all of them
}

// listing is a directory as it was listed when its pzxid was this.
type listing struct {
	pzxid uint64
	names *protocol.More // to be shared; nil when it was asked for once
	text  int            // bytes of the names
	large bool           // it is too large to be shared
}

// fits tells whether it answers r, if nothing has changed, within room bytes.
func (l *listing) fits(r *protocol.Read, room int) bool {
	if l.names == nil || !r.Whole && (r.After != "" || r.Limit > 0) {
		return false
	}
	bound, mark := roomOf(r, room)
	return l.room(mark) <= bound
}

// room is what the names take in an answer, each with its mark.
func (l *listing) room(mark int) int { return l.text + mark*len(l.names.Names) }

// memory bounds what is held for a listing of path: the names, what both
// protocols make of them, and the paths of nodes that are no more.
func (l *listing) memory(path string) int {
	n := listingRoom + len(path)
	if l.names != nil {
		n += memoryOf(path, l.text, len(l.names.Names))
	}
	return n
}

func memoryOf(path string, text, names int) int { return 3*text + names*(keptNameRoom+len(path)) }

// of returns what is kept of a path.
func (l *listings) of(path string) listing {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.known[path]
}

// note takes a full listing in and returns it in the form to be answered, shared
// if this is the second one without a change between. When there is no room, all
// are forgotten, and each costs two walks more.
func (l *listings) note(path string, pzxid uint64, names *protocol.More) *protocol.More {
	was := l.of(path)
	if was.pzxid == pzxid && was.large {
		return names
	}
	now := listing{pzxid: pzxid}
	if was.pzxid == pzxid && was.names == nil {
		// Other readers do not wait for these walks.
		now.share(path, names)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	was, known := l.known[path]
	if was.pzxid == pzxid && was.names != nil {
		return was.names // of a reader who was faster
	}
	if now.names != nil {
		names = now.names
	}
	l.bytes += now.memory(path)
	if known {
		l.bytes -= was.memory(path)
	}
	if l.known == nil || l.bytes > maxListings {
		l.known, l.bytes = map[string]listing{}, now.memory(path)
	}
	l.known[strings.Clone(path)] = now
	return names
}

// share makes the form that answers share, if there is room for it.
func (l *listing) share(path string, names *protocol.More) {
	l.text = textOf(names.Names)
	if l.large = memoryOf(path, l.text, len(names.Names)) > maxListing; !l.large {
		l.names = protocol.ShareNames(names.Names)
	}
}

func textOf(names []string) (bytes int) {
	for _, name := range names {
		bytes += len(name)
	}
	return bytes
}
