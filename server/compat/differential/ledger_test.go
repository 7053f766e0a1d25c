package differential

import (
	"fmt"
	"sort"

	"github.com/lycaon-io/lycaon/protocol/jute"
)

// ledger translates what one system numbers in its own way (transactions,
// sessions, times) into what can be compared: the number of the request that
// made it. A failed write takes a zxid in ZooKeeper and none in Lycaon, so only
// those of successes have a meaning.
type ledger struct {
	zxids    []int64 // of successes, rising
	requests []int   // the request that made each
	sessions map[int64]int
	times    map[int64]int64 // by zxid
}

func newLedger() *ledger {
	return &ledger{sessions: map[int64]int{}, times: map[int64]int64{}}
}

// record notes that request has made transaction zxid; false if that does not
// rise.
func (l *ledger) record(zxid int64, request int) bool {
	if n := len(l.zxids); n > 0 && zxid <= l.zxids[n-1] {
		return false
	}
	l.zxids = append(l.zxids, zxid)
	l.requests = append(l.requests, request)
	return true
}

// exact names the transaction that zxid must be.
func (l *ledger) exact(zxid int64) string {
	i := l.after(zxid)
	switch {
	case zxid == 0:
		return "0"
	case i > 0 && l.zxids[i-1] == zxid:
		return fmt.Sprintf("request %d", l.requests[i-1])
	case i == 0 && (len(l.zxids) == 0 || zxid < l.zxids[0]):
		return "before"
	}
	return fmt.Sprintf("unknown %#x", zxid)
}

// floor names the last known transaction up to zxid.
func (l *ledger) floor(zxid int64) string {
	if i := l.after(zxid); i > 0 {
		return fmt.Sprintf("since request %d", l.requests[i-1])
	}
	return "before"
}

// after is how many known transactions zxid covers.
func (l *ledger) after(zxid int64) int {
	return sort.Search(len(l.zxids), func(i int) bool { return l.zxids[i] > zxid })
}

// asOf is the zxid of the last transaction that was made by request or one
// before it; first if there is none.
func (l *ledger) asOf(request int, first int64) int64 {
	if i := sort.Search(len(l.requests), func(i int) bool { return l.requests[i] > request }); i > 0 {
		return l.zxids[i-1]
	}
	return first
}

func (l *ledger) session(id int64) string {
	if id == 0 {
		return "none"
	}
	if n, known := l.sessions[id]; known {
		return fmt.Sprintf("session %d", n)
	}
	return fmt.Sprintf("unknown %#x", uint64(id))
}

// timely judges the times of a stat: each belongs to its transaction.
func (l *ledger) timely(s *jute.Stat) string {
	for _, at := range [...]struct{ zxid, ms int64 }{{s.Czxid, s.Ctime}, {s.Mzxid, s.Mtime}} {
		if known, seen := l.times[at.zxid]; seen && known != at.ms {
			return fmt.Sprintf("%#x was at %d, now at %d", at.zxid, known, at.ms)
		}
		l.times[at.zxid] = at.ms
	}
	if s.Mtime < s.Ctime {
		return "modified before it was made"
	}
	return "fine"
}
