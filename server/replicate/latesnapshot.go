package replicate

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// errLate refuses a snapshot of what this server has gone beyond.
var errLate = errors.New("replicate: a snapshot came late")

// snapshotReader is what raft reads a snapshot from. raft puts in place whatever
// its leader has sent, and empties the log for it: also a snapshot that a broken
// connection delivers when its leader has sent another one since, or entries
// behind that, which may be committed by what this server answered to them. So
// the first read, on raft's own goroutine, fails if something behind it has been
// taken of the same leader, in whatever term it was proposed.
type snapshotReader struct {
	io.Reader
	gate *gate
	req  *raft.InstallSnapshotRequest
	read int64
}

func (r *snapshotReader) Read(b []byte) (int, error) {
	newest, ends := &r.gate.newest, logID{r.req.LastLogIndex, r.req.Term}
	if r.read == 0 && newest.term == ends.term && newest.index > ends.index {
		_, _ = io.Copy(io.Discard, r.Reader) // else it would be taken for the next request
		return 0, fmt.Errorf("%w: it ends at entry %d, and entry %d has come of its leader", errLate, ends.index, newest.index)
	}
	n, err := r.Reader.Read(b)
	// One of a leader before raft reads to its end and puts nowhere.
	if r.read += int64(n); r.read >= r.req.Size && ends.term >= newest.term {
		*newest = ends
	}
	return n, err
}

// placeBehindSnapshot has raft take a message that begins right behind the snapshot that
// it has installed. raft looks for the entry before in its log, where the snapshot's last
// one is not once something is behind it: if the answer to that was lost, or another
// leader has something else there, it would refuse all that comes until it is sent
// a snapshot, which is no news.
func (t *peerTransport) placeBehindSnapshot(req *raft.AppendEntriesRequest) {
	before := req.PrevLogEntry
	first, err := t.gate.FirstIndex()
	if before == 0 || err != nil || first != 0 && first != before+1 {
		return
	}
	all, err := t.snapshots()
	if err != nil || !slices.ContainsFunc(all, func(s *raft.SnapshotMeta) bool { return s.Index == before && s.Term == req.PrevLogTerm }) {
		return
	}
	for first == 0 && err == nil && t.gate.writes() { // perhaps what this repeats, which raft is to finish first anyway
		select {
		case <-t.closed:
			return
		case <-time.After(time.Millisecond):
		}
		first, err = t.gate.FirstIndex()
	}
	if first == before+1 {
		req.PrevLogEntry, req.PrevLogTerm = 0, 0 // raft compares nothing
	}
}
